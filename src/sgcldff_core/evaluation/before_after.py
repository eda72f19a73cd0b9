"""Before and after: two models on the same annotated images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sgcldff_core.errors import DataError
from sgcldff_core.evaluation.assessment import ImageAssessment, assess_prediction
from sgcldff_core.inference import predict_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sgcldff_core.model import Model
    from sgcldff_core.sample import Sample

__all__ = ["BeforeAfter", "Change", "compare_before_after"]


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What became of one image.

    Attributes
    ----------
    name : str
        Of the sample.
    image : ndarray
        (H, W, 3) uint8 RGB.
    annotated : ndarray or None
        (H, W) int32 instance labels; None where nobody drew them.
    before, after : ndarray
        (H, W) instance labels that the models found.
    iou : tuple of float or None
        Of the leukocyte mask before and after.
    right : tuple of int
        Cells called by their annotated name before and after.
    named : int
        Cells whose class is annotated and known to the new model.
    """

    name: str
    image: NDArray[np.uint8]
    annotated: NDArray[np.int32] | None
    before: NDArray[np.integer]
    after: NDArray[np.integer]
    iou: tuple[float, float] | None
    right: tuple[int, int]
    named: int


@dataclass(frozen=True, slots=True)
class BeforeAfter:
    """Figures of two models over the same images and the same cells.

    Attributes
    ----------
    before, after : mapping of str to float
        ``iou`` (mean over images), ``accuracy`` (share of cells of known class that were found and
        named right; a class that a model has not it cannot be right about), ``count_error`` (mean
        over images of how many cells too many or too few) and ``cells`` found; what the annotation
        cannot tell is missing.
    images : int
        How many could be read.
    cells : int
        Annotated, over all images.
    changes : tuple of Change
        Image by image, those that changed most first.
    failures : tuple of DataError
        Images that could not be read.
    """

    before: Mapping[str, float]
    after: Mapping[str, float]
    images: int
    cells: int
    changes: tuple[Change, ...]
    failures: tuple[DataError, ...]


def compare_before_after(
    samples: Sequence[Sample],
    before: Model,
    after: Model,
    progress: Callable[[str, int, int], None] | None = None,
    *,
    pictures: int = 12,
) -> BeforeAfter:
    """Predict every sample with both models, just as ``sgcldff predict`` would.

    Parameters
    ----------
    samples : sequence of Sample
        Annotated images.
    before, after : Model
        To be compared.
    progress : callable, optional
        Called with stage, images done and their number, within images too; may raise to stop.
    pictures : int
        Of so many images that changed most the pixels are kept.

    Returns
    -------
    BeforeAfter
        Of all samples that can be read.
    """
    pairs: list[tuple[ImageAssessment, ImageAssessment]] = []
    changes: list[Change] = []
    failures: list[DataError] = []
    for number, sample in enumerate(samples):

        def tell(stage: str, done: int, total: int, number: int = number) -> None:
            if progress is not None:
                progress("comparing", number, len(samples))

        tell("", 0, 0)
        try:
            image, annotated = sample.read_image(), sample.read_labels()
        except DataError as error:
            failures.append(error)
            continue
        found = [predict_image(image, model, progress=tell) for model in (before, after)]
        old, new = (assess_prediction(sample, prediction) for prediction in found)
        pairs.append((old, new))
        changes.append(
            Change(
                sample.name,
                image,
                annotated,
                found[0].labels,
                found[1].labels,
                None if old.iou is None or new.iou is None else (old.iou, new.iou),
                (_right(old), _right(new)),
                len(new.classes),
            )
        )
        changes = sorted(changes, key=_size, reverse=True)[:pictures]
    named = sum(len(new.classes) for _, new in pairs)
    figures = [_figures([pair[side] for pair in pairs], named) for side in (0, 1)]
    return BeforeAfter(
        figures[0],
        figures[1],
        len(pairs),
        sum(new.cells or 0 for _, new in pairs),
        tuple(changes),
        tuple(failures),
    )


def _figures(images: Sequence[ImageAssessment], named: int) -> dict[str, float]:
    figures = {"cells": float(sum(i.cells_found for i in images))}
    ious = [i.iou for i in images if i.iou is not None]
    if ious:
        figures["iou"] = float(np.mean(ious))
    errors = [abs(i.cells - i.cells_found) for i in images if i.cells is not None]
    if errors:
        figures["count_error"] = float(np.mean(errors))
    if named:  # of the new model, so that both are judged on the same cells
        figures["accuracy"] = sum(map(_right, images)) / named
    return figures


def _right(image: ImageAssessment) -> int:
    return sum(cell.true == cell.found for cell in image.classes)


def _size(change: Change) -> float:
    outlines = abs(change.iou[1] - change.iou[0]) if change.iou else 0.0
    return outlines + abs(change.right[1] - change.right[0]) / max(change.named, 1)
