"""From any format that can be read into any that can be written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import sgcldff_core
from sgcldff_core.datasets.coco_writer import write_coco
from sgcldff_core.datasets.curated_writer import write_curated
from sgcldff_core.datasets.history import Change, Provenance, history_of
from sgcldff_core.datasets.registry import open_dataset
from sgcldff_core.datasets.zheng_writer import write_zheng
from sgcldff_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import Problem
    from sgcldff_core.datasets.writing import Writer, Written
    from sgcldff_core.sample import Sample

__all__ = ["WRITERS", "Conversion", "convert"]

WRITERS: Mapping[str, Writer] = MappingProxyType(
    {"coco": write_coco, "curated": write_curated, "zheng": write_zheng},
)
"""What data sets can be converted to, by name."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion did.

    Attributes
    ----------
    source : Path
        What was read.
    source_format : str
        The format in which it was read.
    target_format : str
        The format in which it was written.
    written : Written
        What was written, and what was skipped and why.
    problems : tuple of Problem
        Files of the source that could not be used, or only in part.
    """

    source: Path
    source_format: str
    target_format: str
    written: Written
    problems: tuple[Problem, ...]


def convert(
    source: Path | str,
    target: Path | str,
    to: str,
    *,
    who: str,
    source_format: str = "auto",
    overwrite: bool = False,
    crop: bool = False,
    progress: Callable[[Sample], None] | None = None,
) -> Conversion:
    """Convert a data set; the target appears whole or not at all.

    Parameters
    ----------
    source : Path or str
        A data set in any format that `open_dataset` reads.
    target : Path or str
        The folder to make.
    to : str
        A name in `WRITERS`. ``curated`` and ``coco`` lose nothing; ``zheng`` has one class an
        image and no boxes, points, splits and groups.
    who : str
        Recorded in the history as the one who converted it.
    source_format : str, default "auto"
        As for `open_dataset`.
    overwrite : bool, default False
        Whether an earlier data set of this kind in `target` is replaced.
    crop : bool, default False
        Only for ``zheng``: each cell becomes an image of its own.
    progress : callable, optional
        Called with each sample before it is written.

    Returns
    -------
    Conversion
        What was written, and what could not be read.

    Raises
    ------
    ConfigError
        If there is no such format, `crop` does not apply, or one folder lies in the other.
    DataError
        If the source cannot be read, or the target not be written, or nothing could be converted.
    """
    writer = WRITERS.get(to)
    if writer is None:
        raise ConfigError(f"data sets cannot be written as {to!r}; known are {', '.join(WRITERS)}")
    if crop and to != "zheng":
        raise ConfigError(f"cutting out cells is for zheng, which has one an image; {to} keeps all cells in place")
    source, target = Path(source), Path(target)
    _check_apart(source, target)
    dataset = open_dataset(source, format=source_format)
    name = source.resolve().stem if source.is_file() else source.resolve().name
    what = f"converted from {name} ({dataset.format}) to {to} by sgcldff {sgcldff_core.__version__}"
    provenance = Provenance(name, f"{name} ({dataset.format})", (*history_of(source), Change.now(who, what)))
    if crop:
        writer = partial(write_zheng, crop=True)
    written = writer(_watched(dataset, progress), target, provenance=provenance, overwrite=overwrite)
    return Conversion(source, dataset.format, to, written, tuple(dataset.report))


def _check_apart(source: Path, target: Path) -> None:
    if not source.exists():
        raise DataError(source, "there is no such file or folder", "check the spelling")
    here, there = source.resolve(), target.resolve()
    folder = here.parent if here.is_file() else here
    if folder == there or folder in there.parents or there in folder.parents:
        raise ConfigError(f"{target} and {source} lie in one another; choose a target beside the source")


def _watched(samples: Iterable[Sample], progress: Callable[[Sample], None] | None) -> Iterator[Sample]:
    for sample in samples:
        if progress is not None:
            progress(sample)
        yield sample
