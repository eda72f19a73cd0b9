"""How data sets lie on disk: folders as people really have them, and what each reader must offer."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sgcldff_core.datasets.rasters import IMAGE_SUFFIXES
from sgcldff_core.datasets.report import ReadReport
from sgcldff_core.errors import DataError

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

__all__ = [
    "Format",
    "child",
    "files_of",
    "folders_of",
    "folders_within",
    "images_of",
    "natural_key",
    "split_named",
    "stem_key",
]

# /data/bccd-master/BCCD_Dataset/BCCD is as deep as archives are seen to nest.
_DEPTH = 3


class Format(ABC):
    """A way in which data sets lie on disk; one sub-class a format.

    Attributes
    ----------
    name : str
        What ``open_dataset(format=...)`` and the command line call it.
    looks_for : str
        What its folders contain, in a few words, for the error when nothing is recognised.
    generic : bool
        True for a layout that many data sets have (a folder of images): asked only when no
        other format recognises the path.
    """

    name: str
    looks_for: str
    generic: bool = False

    @abstractmethod
    def claims(self, folder: Path) -> bool:
        """Return whether `folder` itself, not one above or below it, is the root of such a data set.

        Parameters
        ----------
        folder : Path
            An existing folder. It may be any on the way to the data, so names are looked at, hardly ever files.
        """

    @abstractmethod
    def read_root(self, root: Path, report: ReadReport) -> Iterator[Sample]:
        """Yield the samples of the data set whose root is `root`.

        Parameters
        ----------
        root : Path
            A folder that `claims` accepted.
        report : ReadReport
            Takes every file that could not be used, and why.
        """

    def roots(self, path: Path | str) -> Iterator[Path]:
        """Yield the roots of such data sets at and under a path.

        Parameters
        ----------
        path : Path or str
            A folder, or the index file of a data set where the format has one.

        Yields
        ------
        Path
            In natural order; nothing below a root is looked at.
        """
        return folders_within(Path(path), self.claims)

    def sniff(self, path: Path | str) -> bool:
        """Return whether there is such a data set at or under a path, by content and layout.

        Parameters
        ----------
        path : Path or str
            A folder or file.

        Returns
        -------
        bool
            True if at least one root is found.
        """
        return next(self.roots(path), None) is not None

    def read(self, path: Path | str, report: ReadReport | None = None) -> Iterator[Sample]:
        """Yield every sample at and under a path; pixels are read when they are asked for.

        Parameters
        ----------
        path : Path or str
            A folder or file that `sniff` accepts.
        report : ReadReport, optional
            Receives each file that could not be used, and why.

        Yields
        ------
        Sample
            In natural order of the names.
        """
        report = ReadReport() if report is None else report
        for root in self.roots(path):
            yield from self.read_root(root, report)


def natural_key(path: Path) -> tuple[tuple[tuple[int, int | str], ...], str]:
    """Return a sort key that puts ``2.bmp`` before ``10.bmp``, the same on every file system.

    Parameters
    ----------
    path : Path
        Only its last part counts.
    """
    parts = re.split(r"([0-9]+)", path.name)
    return tuple((0, int(part)) if n % 2 else (1, part.casefold()) for n, part in enumerate(parts)), path.name


def stem_key(path: Path) -> str:
    """Return what files that belong together share: the stem in lower case.

    Parameters
    ----------
    path : Path
        Of an image, its mask or its annotation.
    """
    return path.stem.casefold()


def split_named(name: str) -> str | None:
    """Return ``"train"``, ``"val"`` or ``"test"`` if a folder or file is named after a split.

    Parameters
    ----------
    name : str
        Such as ``Train``, ``test-A`` or ``validation2``; ``trained`` names none.
    """
    found = re.search(r"(?:^|[\s_-])(train|val|test)(?:ing|id|idation|[ab]|\d*)?(?:$|[\s_-])", name.casefold())
    return found[1] if found else None


def _visible(path: Path) -> bool:
    # Archives made on a Mac carry a shadow of every file.
    return not path.name.startswith(".") and path.name != "__MACOSX"


def _entries(folder: Path, wanted: Callable[[os.DirEntry[str]], bool]) -> list[Path]:
    # Not iterdir(): it asks the disk about each file once more.
    try:
        with os.scandir(folder) as entries:
            found = [Path(entry.path) for entry in entries if wanted(entry)]
    except PermissionError as error:
        raise DataError(folder, "the folder may not be read", "change its permissions") from error
    return sorted((path for path in found if _visible(path)), key=natural_key)


def folders_of(folder: Path) -> list[Path]:
    """Return the visible sub-folders in natural order.

    Parameters
    ----------
    folder : Path
        Is not looked into further down.
    """
    return _entries(folder, lambda entry: entry.is_dir())


def files_of(folder: Path, *suffixes: str) -> list[Path]:
    """Return the visible files of a folder in natural order, of these suffixes (lower case) or all.

    Parameters
    ----------
    folder : Path
        Is not looked into further down.
    *suffixes : str
        Such as ``".png"``; none means all files.
    """
    return _entries(folder, lambda entry: (not suffixes or entry.name.lower().endswith(suffixes)) and entry.is_file())


def images_of(folder: Path) -> list[Path]:
    """Return the image files of a folder, by suffix, in natural order.

    Parameters
    ----------
    folder : Path
        Is not looked into further down.
    """
    return files_of(folder, *IMAGE_SUFFIXES)


def child(folder: Path, *names: str) -> Path | None:
    """Return the first entry of a folder with one of these names, in either case, `_` and `-` read as spaces.

    Parameters
    ----------
    folder : Path
        Where to look; need not exist.
    *names : str
        Names that the entry may have, the likeliest first.
    """

    def plain(name: str) -> str:
        return re.sub(r"[\s_-]+", " ", name.casefold()).strip()

    wanted = [plain(name) for name in names]
    found = _entries(folder, lambda entry: plain(entry.name) in wanted) if folder.is_dir() else []
    return min(found, key=lambda path: wanted.index(plain(path.name)), default=None)


def folders_within(path: Path, claims: Callable[[Path], bool], depth: int = _DEPTH) -> Iterator[Path]:
    """Yield the folders at or under `path` that `claims` accepts, not looking below those.

    Parameters
    ----------
    path : Path
        Where to begin.
    claims : callable
        Whether a folder is what is looked for.
    depth : int, default 3
        How many levels down to look.
    """
    if not path.is_dir():
        return
    if claims(path):
        yield path
    elif depth:
        for folder in folders_of(path):
            yield from folders_within(folder, claims, depth - 1)
