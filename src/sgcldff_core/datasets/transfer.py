"""Transfers over HTTP that go on where they broke off, and whose checksum is right or that are refused."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch
import requests

from sgcldff_core.errors import DownloadError

__all__ = ["PAUSES", "Progress", "Resumer", "fetch"]

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here and the bytes there will be (None: the server does not say)."""

PAUSES = (1.0, 3.0, 10.0)
"""Seconds to wait before each further attempt after one that brought nothing."""

_CHUNK = 1 << 16  # a transfer that breaks off loses at most one
_TIMEOUT = (15, 60)  # seconds to connect, seconds of silence


def fetch(
    url: str,
    file: Path,
    *,
    sha256: str | None,
    size: int | None = None,
    vouched: str = "as published",
    pauses: tuple[float, ...] = PAUSES,
    progress: Progress | None = None,
) -> str:
    """Bring a file from the web to `file`, unless it is already there.

    Parameters
    ----------
    url : str
        Its address.
    file : Path
        Where it goes. What came of a broken transfer waits beside it as ``<file>.part``.
    sha256 : str or None
        The checksum that it must have; None where nobody has published one.
    size : int, optional
        The size in bytes that it must have.
    vouched : str
        Where the checksum comes from, in words for the error.
    pauses : tuple of float
        Seconds to wait before each further attempt after one that brought nothing new.
    progress : callable, optional
        Told now and then how far the transfer is.

    Returns
    -------
    str
        The SHA-256 of the file, in hexadecimal.

    Raises
    ------
    DownloadError
        If the file cannot be had, or is not the one announced.
    """
    resumer = Resumer(file, size=size, trusted=sha256 is not None, pauses=pauses, progress=progress)
    log = pooch.get_logger()
    level = log.level
    log.setLevel(logging.WARNING)  # it would tell users to copy a hash into their code
    try:
        pooch.retrieve(url, known_hash=sha256, fname=file.name, path=file.parent, downloader=resumer)
        return str(pooch.file_hash(str(file), alg="sha256"))
    except ValueError as err:  # pooch's word for a wrong hash
        raise DownloadError(
            f"{url}: wrong checksum, so what came was deleted; it must have the SHA-256 {sha256} ({vouched}), so the "
            "file was changed at its source or on the way: try again, and if it stays so ask its authors"
        ) from err
    finally:
        log.setLevel(level)


@dataclass(frozen=True, slots=True)
class _Reply:
    start: int
    total: int | None
    validator: str | None


class Resumer:
    """A downloader for pooch that asks only for the bytes that are missing.

    Parameters
    ----------
    file : Path
        The final file, which names the partial one beside it.
    size : int or None
        The size that the file must have, where it is known.
    trusted : bool
        Whether a checksum will be compared afterwards. If so, a partial file is continued even
        where the server gives no means to tell that the file is still the same.
    pauses : tuple of float
        Seconds before each further attempt after one that brought nothing new.
    progress : callable, optional
        Told how far the transfer is.
    """

    def __init__(
        self, file: Path, *, size: int | None, trusted: bool, pauses: tuple[float, ...], progress: Progress | None
    ) -> None:
        self._part = file.with_name(file.name + ".part")
        self._state = file.with_name(file.name + ".part.json")
        self._size = size
        self._trusted = trusted
        self._pauses = pauses
        self._progress = progress

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Transfer `url` and put it at `output_file`; pooch compares the checksum then.

        Raises
        ------
        DownloadError
            If the transfer breaks off for good; what came is kept for the next time.
        """
        waits = list(self._pauses)
        while True:
            before = self._here()
            try:
                self._pull(url)
                break
            except requests.RequestException as err:
                if self._here() > before:
                    waits = list(self._pauses)
                elif not waits:
                    kept = f"; {self._here():,} bytes are kept, so that trying again goes on from there"
                    raise DownloadError(
                        f"{url}: the transfer failed ({_plainly(err)}){kept if self._here() else ''}; check the "
                        "connection and try again"
                    ) from err
                else:
                    time.sleep(waits.pop(0))
        self._part.replace(output_file)
        self._state.unlink(missing_ok=True)

    def _here(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _pull(self, url: str) -> None:
        headers = {"Accept-Encoding": "identity", **self._range(url)}  # offsets count bytes of the file itself
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                self._forget()
                raise requests.ConnectionError("the part that was kept does not fit the file any more")
            if 400 <= response.status_code < 500:
                raise DownloadError(f"{url}: the server answers {response.status_code} {response.reason}; see its page")
            response.raise_for_status()
            reply = self._understood(response)
            self._check_size(url, reply.total)
            if not reply.start:
                self._forget()
            self._state.write_text(json.dumps({"url": url, "validator": reply.validator}), encoding="utf-8")
            here = reply.start
            with self._part.open("ab") as file:
                for chunk in response.iter_content(_CHUNK):
                    here += len(chunk)
                    self._check_size(url, here, whole=False)
                    file.write(chunk)
                    if self._progress is not None:
                        self._progress(here, reply.total)
        if reply.total is not None and here < reply.total:
            raise requests.ConnectionError(f"it broke off after {here:,} of {reply.total:,} bytes")
        self._check_size(url, here)

    def _range(self, url: str) -> dict[str, str]:
        here = self._here()
        if not here:
            return {}
        state: Mapping[str, Any] = {}
        with suppress(OSError, ValueError):
            state = json.loads(self._state.read_text(encoding="utf-8"))
        validator = state.get("validator")
        if state.get("url") != url or not (validator or self._trusted):
            return {}
        return {"Range": f"bytes={here}-", **({"If-Range": validator} if validator else {})}

    def _understood(self, response: requests.Response) -> _Reply:
        etag = response.headers.get("ETag", "")
        # A weak tag does not promise the same bytes, and may not be used to go on.
        validator = etag if etag.startswith('"') else response.headers.get("Last-Modified")
        if response.status_code != requests.codes.partial_content:
            length = response.headers.get("Content-Length", "")
            return _Reply(0, int(length) if length.isdigit() else None, validator)
        span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        start = span.partition("-")[0]
        if not start.isdigit() or int(start) != self._here():
            self._forget()
            raise requests.ConnectionError("the server sent another part than the one asked for")
        return _Reply(int(start), int(total) if total.isdigit() else None, validator)

    def _check_size(self, url: str, size: int | None, *, whole: bool = True) -> None:
        if self._size is None or size is None or size == self._size or (not whole and size < self._size):
            return
        self._forget()
        raise DownloadError(f"{url}: the file must have {self._size:,} bytes, and this one has {size:,}; see its page")

    def _forget(self) -> None:
        self._part.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)


def _plainly(err: requests.RequestException) -> str:
    if isinstance(err, requests.Timeout):
        return "the server is silent"
    if isinstance(err, requests.exceptions.SSLError):
        return "its certificate is not valid"
    if isinstance(err, requests.exceptions.ChunkedEncodingError):
        return "it broke off"
    if isinstance(err, requests.ConnectionError) and err.args and not isinstance(err.args[0], str):
        return "the server cannot be reached, or hung up"
    return str(err)
