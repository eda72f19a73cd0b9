"""Reading a data set from end to end, pixels included, and counting what is in it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.datasets.kinds import UNNAMED
from sgcldff_core.datasets.pixels import Pixels, counted_cells, pixels_of
from sgcldff_core.datasets.registry import open_dataset
from sgcldff_core.datasets.summary import UNKNOWN, ClassSummary, DatasetSummary, SourceSummary
from sgcldff_core.datasets.writing import in_order
from sgcldff_core.errors import DataError

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import ReadReport
    from sgcldff_core.sample import Sample

__all__ = ["inspect_dataset", "summarise"]


def inspect_dataset(
    path: Path | str,
    format: str = "auto",
    *,
    progress: Callable[[Sample], None] | None = None,
) -> DatasetSummary:
    """Read a data set from end to end, pixels included, and count what is in it.

    Parameters
    ----------
    path : Path or str
        A data set in any format that `open_dataset` reads.
    format : str, default "auto"
        As for `open_dataset`.
    progress : callable, optional
        Called with each sample before its pixels are read.

    Returns
    -------
    DatasetSummary
        Counts of images, cells, boxes and classes by source, and every problem.

    Raises
    ------
    DataError
        If there is no data set at `path`.
    ConfigError
        If there is no such format.
    """
    dataset = open_dataset(path, format=format)
    return summarise(dataset, dataset.path, dataset.format, dataset.report, progress=progress)


def summarise(
    samples: Iterable[Sample],
    path: Path,
    format: str,
    report: ReadReport,
    *,
    progress: Callable[[Sample], None] | None = None,
) -> DatasetSummary:
    """Count what is in some samples.

    Parameters
    ----------
    samples : iterable of Sample
        The samples; each is read once and forgotten.
    path, format
        As in `DatasetSummary`.
    report : ReadReport
        What was met while reading; receives images whose pixels cannot be read.
    progress : callable, optional
        Called with each sample before its pixels are read.

    Returns
    -------
    DatasetSummary
        Counts of images, cells, boxes and classes by source, and every problem.
    """
    counts: dict[str, _Source] = {}
    pixels_seen: dict[bytes, dict[str, str]] = {}
    sides: dict[str, set[str]] = {}
    for sample in samples:
        if progress is not None:
            progress(sample)
        try:
            pixels = pixels_of(sample)
        except DataError as error:
            report.refuse(error.path, error.problem)
            continue
        counts.setdefault(sample.source, _Source()).add(sample, pixels)
        # One name for each group is enough: copies within a group are no surprise.
        pixels_seen.setdefault(_digest(pixels.image), {}).setdefault(sample.group, sample.name)
        sides.setdefault(sample.group, set()).update([sample.split] if sample.split else [])
    sources = tuple(counted.summary(name) for name, counted in counts.items())
    return DatasetSummary(
        path=Path(path),
        format=format,
        images=sum(s.images for s in sources),
        groups=len(sides),
        cells=sum(c.outlined for s in sources for c in s.classes),
        sources=sources,
        duplicates=tuple(tuple(names.values()) for names in pixels_seen.values() if len(names) > 1),
        torn=tuple(group for group, splits in sides.items() if len(splits) > 1),
        unusable=report.unusable,
        notes=report.notes,
    )


@dataclass(slots=True)
class _Source:
    """Counters of one source."""

    images: int = 0
    bare: int = 0
    groups: set[str] = field(default_factory=set)
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    boxed: Counter[str] = field(default_factory=Counter)
    pointed: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    named_in: dict[str, Counter[str]] = field(default_factory=dict)
    outlined_in: dict[str, Counter[str]] = field(default_factory=dict)
    areas: dict[str, list[int]] = field(default_factory=dict)
    shares: dict[str, list[float]] = field(default_factory=dict)

    def add(self, sample: Sample, pixels: Pixels) -> None:
        self.images += 1
        self.groups.add(sample.group)
        height, width = pixels.image.shape[:2]
        self.sizes[height, width] += 1
        self.kinds.update(sample.kinds)
        self.bare += not sample.kinds
        self.boxed.update(_class_of(box.kind) for box in sample.boxes or ())
        self.pointed.update(_class_of(point.kind) for point in sample.points or ())
        if sample.split is not None:
            self.splits[sample.split] += 1
        if sample.image_class is not None:
            self.named[sample.image_class] += 1
            if sample.split is not None:
                self.named_in.setdefault(sample.image_class, Counter())[sample.split] += 1
        self._add_cells(sample, pixels)

    def _add_cells(self, sample: Sample, pixels: Pixels) -> None:
        if pixels.labels is None:
            return
        numbers, cells = counted_cells(pixels.labels)
        areas = np.bincount(cells.ravel(), minlength=len(numbers) + 1)
        nuclei = None if pixels.nucleus is None else np.bincount(cells[pixels.nucleus], minlength=len(numbers) + 1)
        for k, n in enumerate(numbers, start=1):
            name = (sample.classes or {}).get(n, UNKNOWN)
            self.areas.setdefault(name, []).append(int(areas[k]))
            if nuclei is not None:
                self.shares.setdefault(name, []).append(float(nuclei[k] / areas[k]))
            if sample.split is not None:
                self.outlined_in.setdefault(name, Counter())[sample.split] += 1

    def summary(self, source: str) -> SourceSummary:
        found = in_order({*self.areas, *self.boxed, *self.pointed, *self.named} - {UNKNOWN})
        splits = self.outlined_in if self.areas else self.named_in
        return SourceSummary(
            source=source,
            images=self.images,
            groups=len(self.groups),
            sizes=dict(self.sizes.most_common()),
            splits=dict(self.splits),
            kinds=dict(self.kinds),
            bare=self.bare,
            classes=tuple(
                ClassSummary(
                    name=name,
                    outlined=len(self.areas.get(name, ())),
                    boxed=self.boxed[name],
                    pointed=self.pointed[name],
                    images=self.named[name],
                    splits=dict(splits.get(name, {})),
                    diameters_px=_diameters(self.areas.get(name)),
                    nucleus_share=round(float(np.median(self.shares[name])), 3) if name in self.shares else None,
                )
                for name in (*found, *([UNKNOWN] if UNKNOWN in {*self.areas, *self.boxed, *self.pointed} else []))
            ),
        )


def _class_of(kind: str) -> str:
    return UNKNOWN if kind == UNNAMED else kind


def _diameters(areas: list[int] | None) -> tuple[float, float, float] | None:
    if not areas:
        return None
    low, median, high = np.percentile(np.sqrt(np.asarray(areas) * 4 / np.pi), (5, 50, 95))
    return round(float(low), 1), round(float(median), 1), round(float(high), 1)


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16, salt=str(image.shape[1]).encode()).digest()
