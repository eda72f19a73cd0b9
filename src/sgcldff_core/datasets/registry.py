"""`open_dataset`: the one door to every data set on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from sgcldff_core.datasets.all_idb import AllIdb1, AllIdb2
from sgcldff_core.datasets.bccd import Bccd
from sgcldff_core.datasets.bccd_crops import BccdAugmented, BccdCrops
from sgcldff_core.datasets.coco import Coco
from sgcldff_core.datasets.curated import Curated
from sgcldff_core.datasets.layout import Format
from sgcldff_core.datasets.lisc import Lisc, LiscCrops
from sgcldff_core.datasets.original_mask import OriginalMask
from sgcldff_core.datasets.plain import Plain
from sgcldff_core.datasets.raabin import Raabin
from sgcldff_core.datasets.report import ReadReport
from sgcldff_core.datasets.zheng import Zheng
from sgcldff_core.errors import ConfigError, DataError, FormatError, UnknownFormatError

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

__all__ = ["DataSet", "formats", "open_dataset"]

_GROUP = "sgcldff.formats"


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set on disk, or several that lie under one folder; iterate it for its samples.

    Attributes
    ----------
    path : Path
        What was opened.
    format : str
        Name of the format; several are joined by ``+``.
    parts : tuple of (Format, Path)
        Each root of a data set and what reads it, in order.
    report : ReadReport
        Every file that could not be used and why; complete once the data set was iterated.
    """

    path: Path
    format: str
    parts: tuple[tuple[Format, Path], ...]
    report: ReadReport = field(default_factory=ReadReport)

    def __iter__(self) -> Iterator[Sample]:
        """Yield the samples; pixels are read when they are asked for.

        Yields
        ------
        Sample
            With a name that is unique in the whole data set, whatever the case of its letters.

        Raises
        ------
        FormatError
            If not a single image can be used, or an index is damaged.
        """
        seen: set[str] = set()
        for reader, root in self.parts:
            for sample in reader.read_root(root, self.report):
                name, n = sample.name, 1
                while name.casefold() in seen:
                    n += 1
                    name = f"{sample.name}_{n}"
                seen.add(name.casefold())
                yield sample if name == sample.name else replace(sample, name=name)
        if not seen:
            first = next((f", the first: {p.path}: {p.problem}" for p in self.report.unusable), "")
            raise FormatError(
                self.path,
                f"no image in it could be used, {len(self.report.unusable)} files are unusable{first}",
                "mend the files or take a whole copy",
            )


def formats() -> Mapping[str, Format]:
    """Return every known format by name: those of this package, then those of installed plugins.

    Returns
    -------
    mapping of str to Format
        Plugins announce a sub-class of `Format` in the entry point group ``sgcldff.formats``.

    Raises
    ------
    ConfigError
        If two formats have the same name, or an entry point is no `Format`.
    """
    found: dict[str, Format] = {reader.name: reader for reader in _own_formats()}
    for entry in entry_points(group=_GROUP):
        made = entry.load()()
        if not isinstance(made, Format):
            raise ConfigError(f"the entry point {entry.name} = {entry.value} in {_GROUP} is no Format; uninstall it")
        if made.name in found:
            raise ConfigError(f"two formats are named {made.name!r}: {found[made.name]!r} and {made!r}; uninstall one")
        found[made.name] = made
    return found


def _own_formats() -> tuple[Format, ...]:
    return (
        Curated(),
        Coco(),
        Zheng(),
        Bccd(),
        BccdCrops(),
        BccdAugmented(),
        OriginalMask(),
        AllIdb1(),
        AllIdb2(),
        Lisc(),
        LiscCrops(),
        Raabin(),
        Plain(),
    )


def open_dataset(path: Path | str, format: str = "auto") -> DataSet:
    """Open a data set, whatever its format.

    Parameters
    ----------
    path : Path or str
        A folder, or the JSON file of a COCO data set. A folder that holds several data sets
        yields them together.
    format : str, default "auto"
        Name of a format, or ``"auto"`` to tell by content.

    Returns
    -------
    DataSet
        Nothing but names was read so far.

    Raises
    ------
    DataError
        If there is nothing at `path`.
    ConfigError
        If there is no format of that name.
    UnknownFormatError
        If no format, or not the one asked for, recognises the path.

    Examples
    --------
    >>> for sample in open_dataset("data/zheng"):  # doctest: +SKIP
    ...     print(sample.name, sample.kinds)
    """
    path = Path(path)
    known = formats()
    if format != "auto" and format not in known:
        raise ConfigError(f"there is no data format {format!r}; known are auto, {', '.join(known)}")
    if not path.exists():
        raise DataError(path, "there is no such file or folder", "check the spelling")
    asked = tuple(known.values()) if format == "auto" else (known[format],)
    parts = _find_parts(path, [reader for reader in asked if not reader.generic])
    parts = parts or _find_parts(path, [reader for reader in asked if reader.generic])
    if not parts:
        empty = path.is_dir() and next(path.iterdir(), None) is None
        wanted = "; ".join(f"{reader.name}: {reader.looks_for}" for reader in asked)
        problem = "the folder is empty" if empty else f"no data set was recognised here, looked for {wanted}"
        raise UnknownFormatError(path, problem, "give the folder that holds the images")
    names = dict.fromkeys(reader.name for reader, _ in parts)
    return DataSet(path, "+".join(names), parts)


def _find_parts(path: Path, readers: Sequence[Format]) -> tuple[tuple[Format, Path], ...]:
    """Return the roots at and under a path; each file belongs to the first format that claims it."""
    parts: list[tuple[Format, Path]] = []
    for reader in readers:
        taken = [root for _, root in parts]
        for root in reader.roots(path):
            if not any(root.is_relative_to(other) or other.is_relative_to(root) for other in taken):
                parts.append((reader, root))
    return tuple(parts)
