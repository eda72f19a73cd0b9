"""Checksums noted at the first download of files for which nobody has published one."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from sgcldff_core.errors import DownloadError
from sgcldff_core.files import written_atomically

__all__ = ["Entry", "Ledger"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What was seen at the first download of a file.

    Attributes
    ----------
    sha256 : str
        Its checksum, 64 hexadecimal digits.
    size : int
        Its size in bytes.
    seen : str
        The day, as YYYY-MM-DD.
    """

    sha256: str
    size: int
    seen: str

    def __post_init__(self) -> None:
        if len(self.sha256) != 64 or not set(self.sha256) <= set("0123456789abcdef"):
            raise ValueError(f"{self.sha256!r} is no SHA-256")


class Ledger:
    """Trust on first use: a file must stay as it was when it was first downloaded here.

    Parameters
    ----------
    file : Path or str
        A JSON file, made when the first checksum is noted.
    """

    def __init__(self, file: Path | str) -> None:
        self.file = Path(file)

    def known(self, url: str) -> Entry | None:
        """Return what was noted for an address, or None.

        Parameters
        ----------
        url : str
            The address of the file.

        Returns
        -------
        Entry or None
            Size and checksum as they were at the first download.

        Raises
        ------
        DownloadError
            If the ledger is damaged: going on without it would trust anything.
        """
        return self._read().get(url)

    def note(self, url: str, sha256: str, size: int) -> None:
        """Note the checksum of a file that was seen for the first time.

        Parameters
        ----------
        url : str
            The address of the file.
        sha256 : str
            Its checksum.
        size : int
            Its size in bytes.
        """
        entries = self._read() | {url: Entry(sha256, size, time.strftime("%Y-%m-%d"))}
        text = json.dumps({url: asdict(entry) for url, entry in entries.items()}, indent=1, sort_keys=True)
        with written_atomically(self.file) as draft:
            draft.write_text(text + "\n", encoding="utf-8")

    def _read(self) -> dict[str, Entry]:
        if not self.file.exists():
            return {}
        try:
            read = json.loads(self.file.read_text(encoding="utf-8"))
            return {url: Entry(**entry) for url, entry in read.items()}
        except (ValueError, TypeError, AttributeError) as err:
            raise DownloadError(
                f"{self.file}: the list of checksums is damaged ({err}); delete it to trust all files anew"
            ) from err
