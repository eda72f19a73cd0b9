"""What a data set holds, counted: to be read before anything is trained or evaluated on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import Problem

__all__ = ["UNKNOWN", "ClassSummary", "DatasetSummary", "SourceSummary"]

UNKNOWN = "class unknown"
"""Under this name cells are counted of which nobody said what they are."""

_FEW = 10  # with fewer cells of a class neither training nor a figure for it means much


@dataclass(frozen=True, slots=True)
class ClassSummary:
    """The cells of one class in one source.

    Attributes
    ----------
    name : str
        The class, `UNKNOWN`, or another kind of thing in a box (``"erythrocyte"``).
    outlined, boxed, pointed : int
        Cells with a mask, boxes, and points.
    images : int
        Images that have this class as a whole.
    splits : mapping of str to int
        Outlined cells by published split; images of this class where the source outlines none.
    diameters_px : tuple of float or None
        5th, 50th and 95th percentile of the diameter of a disc of the cell's area, in px.
    nucleus_share : float or None
        Median share of the nucleus in the cell's area, where nuclei are marked.
    """

    name: str
    outlined: int = 0
    boxed: int = 0
    pointed: int = 0
    images: int = 0
    splits: Mapping[str, int] = field(default_factory=dict)
    diameters_px: tuple[float, float, float] | None = None
    nucleus_share: float | None = None


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """One source of images within a data set.

    Attributes
    ----------
    source : str
        Its name.
    images : int
        Images that can be read.
    groups : int
        How many different scenes they show; a split has to keep each on one side.
    sizes : mapping of tuple of int to int
        Images by (height, width) in px, the most frequent first.
    splits : mapping of str to int
        Images by published split; empty where none was published.
    kinds : mapping of str to int
        Images by kind of annotation, as in `Sample.kinds`.
    bare : int
        Images without any annotation.
    classes : tuple of ClassSummary
        Cells by class, known classes first.
    """

    source: str
    images: int
    groups: int
    sizes: Mapping[tuple[int, int], int]
    splits: Mapping[str, int]
    kinds: Mapping[str, int]
    bare: int
    classes: tuple[ClassSummary, ...]


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """Everything that is worth knowing of a data set before using it.

    Attributes
    ----------
    path : Path
        What was inspected.
    format : str
        The format in which it was read.
    images, groups, cells : int
        Readable images, different scenes among them, outlined cells.
    sources : tuple of SourceSummary
        In the order in which they were met.
    duplicates : tuple of tuple of str
        Names of images with the same pixels that are not in the same group.
    torn : tuple of str
        Groups with images on both sides of the published split.
    unusable, notes : tuple of Problem
        Files that were left out, and files that were used after mending.
    """

    path: Path
    format: str
    images: int
    groups: int
    cells: int
    sources: tuple[SourceSummary, ...]
    duplicates: tuple[tuple[str, ...], ...]
    torn: tuple[str, ...]
    unusable: tuple[Problem, ...]
    notes: tuple[Problem, ...]

    @property
    def findings(self) -> tuple[str, ...]:
        """What to think of before using it, in sentences."""
        found = []
        for source in self.sources:
            rare = [c for c in source.classes if c.name != UNKNOWN and 0 < _counted(c) < _FEW and not c.boxed > _FEW]
            if rare:
                told = ", ".join(f"{c.name} {_counted(c)}" for c in rare)
                found.append(f"few cells in {source.source}: {told}; too few to train on, or to give a figure for")
            unknown = next((c.outlined for c in source.classes if c.name == UNKNOWN), 0)
            if unknown:
                found.append(f"outlined cells without a class in {source.source}: {unknown}; they teach outlines only")
            if source.bare:
                found.append(f"images without any annotation in {source.source}: {source.bare}")
        for names in self.duplicates:
            found.append(f"{' and '.join(names)} have the same pixels but are not of one group: keep them on one side")
        if self.torn:
            found.append(f"groups on both sides of the published split: {len(self.torn)}, the first is {self.torn[0]}")
        if self.groups < self.images:
            found.append(f"{self.images} images show {self.groups} scenes: split by group, never by image")
        return tuple(found)

    def as_json(self) -> dict[str, Any]:
        """Return the summary as it stands in a JSON file.

        Returns
        -------
        dict
            The fields by name and ``findings``; sizes as ``"480x640"``, height first.
        """
        whole = asdict(self) | {"path": str(self.path), "findings": self.findings}
        for source in whole["sources"]:
            source["sizes"] = {f"{height}x{width}": n for (height, width), n in source["sizes"].items()}
        for problem in (*whole["unusable"], *whole["notes"]):
            problem["path"] = str(problem["path"])
            del problem["unusable"]
        return whole


def _counted(of: ClassSummary) -> int:
    return of.outlined or of.images
