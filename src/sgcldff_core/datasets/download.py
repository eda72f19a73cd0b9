"""Getting a public data set here: transferred, checked, unpacked, and put in place as a whole."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from sgcldff_core.datasets.archives import unpack
from sgcldff_core.datasets.catalog import CATALOG, Asset, PublicDataset
from sgcldff_core.datasets.drafts import folder_drafted
from sgcldff_core.datasets.ledger import Ledger
from sgcldff_core.datasets.transfer import PAUSES, Progress, fetch
from sgcldff_core.errors import ConfigError, DownloadError

__all__ = ["Download", "default_folder", "download"]

_MARK = "sgcldff-source.txt"


@dataclass(frozen=True, slots=True)
class Download:
    """What a download left on disk.

    Attributes
    ----------
    folder : Path
        The folder of the data set.
    files : int
        Files in it.
    first_seen : tuple of str
        Addresses whose checksum was noted now for the first time, so that nobody vouches for them.
    left_packed : tuple of Path
        Archives in `folder` that must be opened with another program.
    """

    folder: Path
    files: int
    first_seen: tuple[str, ...]
    left_packed: tuple[Path, ...]


def default_folder() -> Path:
    """Return the folder of this user under which data sets are put when no other is named."""
    return platformdirs.user_data_path("sgcldff", appauthor=False) / "datasets"


def download(
    name: str,
    to: Path | str | None = None,
    *,
    overwrite: bool = False,
    catalog: Mapping[str, PublicDataset] = CATALOG,
    ledger: Ledger | None = None,
    progress: Callable[[Asset], Progress] | None = None,
    pauses: tuple[float, ...] = PAUSES,
) -> Download:
    """Download a public data set and unpack it into a folder of its own.

    Parameters
    ----------
    name : str
        Its name in the catalog.
    to : Path or str, optional
        Where the folder ``<name>`` is made; the folder of the user by default.
    overwrite : bool, default False
        Whether an earlier download in the same place is replaced.
    catalog : mapping of str to PublicDataset
        What there is.
    ledger : Ledger, optional
        Where checksums that nobody has published are noted at the first download.
    progress : callable, optional
        Makes what is told how far the transfer of each asset is.
    pauses : tuple of float
        Seconds before each further attempt after one that brought nothing.

    Returns
    -------
    Download
        Where the data are, and how each file was checked.

    Raises
    ------
    ConfigError
        If there is no data set of that name.
    DownloadError
        If it must be asked for, or cannot be had, or is not what was announced, or its archive
        would reach out of its folder. What came of a broken transfer is kept and continued.
    DataError
        If the folder exists already.
    """
    entry = catalog.get(name)
    if entry is None:
        raise ConfigError(f"there is no data set {name!r} to download; known are {', '.join(catalog)}")
    if not entry.assets:
        raise DownloadError(f"{name} cannot be downloaded: {entry.request}")
    ledger = Ledger(default_folder().parent / "checksums.json") if ledger is None else ledger
    folder = Path(default_folder() if to is None else to) / name
    # Archives wait beside the folder, so that a broken transfer goes on next time.
    waiting = folder.with_name(f".{name}-download")
    with folder_drafted(folder, mark=_MARK, overwrite=overwrite) as draft:
        waiting.mkdir(exist_ok=True)
        sums = {
            asset: _bring(asset, waiting / asset.file, ledger, progress and progress(asset), pauses)
            for asset in entry.assets
        }
        files = sum(
            unpack(waiting / asset.file, draft, most_bytes=entry.most_bytes) for asset in entry.assets if asset.unpacks
        )
        packed = [asset.file for asset in entry.assets if not asset.unpacks]
        sizes = {asset: (waiting / asset.file).stat().st_size for asset in entry.assets}
        for file in packed:
            (waiting / file).rename(draft / file)
        (draft / _MARK).write_text(_source_note(entry, sums), encoding="utf-8")
    # Only now: a first download that could not even be unpacked must not become the one to trust.
    new = [asset for asset in entry.assets if asset.sha256 is None and ledger.known(asset.url) is None]
    for asset in new:
        ledger.note(asset.url, sums[asset], sizes[asset])
    shutil.rmtree(waiting)
    return Download(folder, files + len(packed), tuple(a.url for a in new), tuple(folder / file for file in packed))


def _bring(asset: Asset, file: Path, ledger: Ledger, progress: Progress | None, pauses: tuple[float, ...]) -> str:
    if asset.sha256 is not None:
        return fetch(
            asset.url,
            file,
            sha256=asset.sha256,
            size=asset.size,
            vouched="as published",
            pauses=pauses,
            progress=progress,
        )
    noted = ledger.known(asset.url)
    return fetch(
        asset.url,
        file,
        sha256=noted.sha256 if noted else None,
        size=asset.size,
        vouched=f"as noted at the first download on {noted.seen} in {ledger.file}" if noted else "",
        pauses=pauses,
        progress=progress,
    )


def _source_note(entry: PublicDataset, sums: Mapping[Asset, str]) -> str:
    lines = [entry.title, f"Home: {entry.homepage}", f"Licence: {entry.licence}", f"Cite: {entry.citation}", ""]
    for asset, sha256 in sums.items():
        vouched = "as published" if asset.sha256 else "as first seen here; nobody has published one"
        lines += [asset.url, f"  SHA-256 {sha256} ({vouched})"]
    return "\n".join([*lines, f"Downloaded {time.strftime('%Y-%m-%d')} by sgcldff", ""])
