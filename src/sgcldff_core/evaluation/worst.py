"""Which images came out worst, and which cells were confidently called something else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sgcldff_core.evaluation.assessment import MISSED, ImageAssessment

__all__ = ["Case", "confidently_wrong", "worst_outlined"]


@dataclass(frozen=True, slots=True)
class Case:
    """One image that deserves a look.

    Attributes
    ----------
    seed, fold : int
        Of the trial whose network judged it.
    image : ImageAssessment
        How it came out.
    cell : int or None
        Index into its classes where one cell is meant.
    """

    seed: int
    fold: int
    image: ImageAssessment
    cell: int | None = None


def worst_outlined(judged: Iterable[Case], count: int) -> dict[str, list[Case]]:
    """Return the images of lowest mask IoU, lowest first, of each source.

    Parameters
    ----------
    judged : iterable of Case
        All images.
    count : int
        How many of a source at most.
    """
    masked = [case for case in judged if case.image.iou is not None]
    return {
        source: sorted((c for c in masked if c.image.source == source), key=_by_outline)[:count]
        for source in sorted({case.image.source for case in masked})
    }


def confidently_wrong(judged: Iterable[Case], count: int) -> list[Case]:
    """Return cells that were called something else, the most confident first.

    Parameters
    ----------
    judged : iterable of Case
        All images.
    count : int
        How many at most.
    """
    wrong = [
        Case(case.seed, case.fold, case.image, index)
        for case in judged
        for index, cell in enumerate(case.image.classes)
        if cell.found not in (cell.true, MISSED)
    ]
    return sorted(wrong, key=_by_confidence)[:count]


def _by_outline(case: Case) -> tuple[float, str]:
    return case.image.iou or 0.0, case.image.name


def _by_confidence(case: Case) -> tuple[float, str]:
    return -case.image.classes[case.cell or 0].confidence, case.image.name
