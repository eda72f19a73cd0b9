"""A model held against annotated samples, image by image and as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import confusion_matrix, f1_score

from sgcldff_core.datasets.kinds import leukocyte_boxes
from sgcldff_core.evaluation.agreement import (
    calibration_error,
    centred_disc,
    mask_iou,
    match_boxes,
    match_labels,
    where_known,
)
from sgcldff_core.inference import Prediction, predict_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sgcldff_core.model import Model
    from sgcldff_core.sample import Sample

__all__ = [
    "MISSED",
    "Assessment",
    "ImageAssessment",
    "JudgedCell",
    "assess",
    "assess_prediction",
    "judged_labels",
    "summarise",
]

MISSED = "(missed)"
"""Stands in for the class of a cell that was not found."""


@dataclass(frozen=True, slots=True)
class JudgedCell:
    """One annotated cell of known class, and what it was called.

    Attributes
    ----------
    true, found : str
        Class annotated, and class found or `MISSED`.
    confidence : float
        In the class found, 0 to 1.
    probabilities : mapping of str to float
        Of every class of the model; empty for a missed cell.
    """

    true: str
    found: str
    confidence: float
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ImageAssessment:
    """How one image came out; None where the sample does not know.

    Attributes
    ----------
    name, source : str
        Of the sample.
    iou : float or None
        Of the leukocyte mask, all cells of the image together.
    cell_iou : float or None
        Mean over annotated cells of the IoU with the instance matched to it, 0 for missed ones.
    nucleus_iou : float or None
        Of the nucleus mask.
    disc_iou : float or None
        Of one centred disc that looks at no pixel: what any figure has to be held against.
    cells, cells_found : int or None
        Annotated and found. Points do not tell a count: data sets mark cells of one class with them.
    boxes : tuple of int or None
        Hits, false alarms and misses at box IoU 0.5.
    classes : tuple of JudgedCell
        Each cell of known class, but of no class that the model has not: it cannot be right about that.
    diameter : float
        The estimate or what was given, px.
    """

    name: str
    source: str
    iou: float | None
    cell_iou: float | None
    nucleus_iou: float | None
    disc_iou: float | None
    cells: int | None
    cells_found: int
    boxes: tuple[int, int, int] | None
    classes: tuple[JudgedCell, ...]
    diameter: float


@dataclass(frozen=True, slots=True)
class Assessment:
    """Figures over images of one source, or of all.

    Attributes
    ----------
    images : int
        How many.
    figures : mapping of str to float
        By name; one that the samples cannot tell is missing.
    labels : tuple of str
        Classes of the rows of `confusion`; its columns are these and `MISSED`.
    confusion : tuple of tuple of int
        Rows true, columns found.
    """

    images: int
    figures: Mapping[str, float]
    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "images": self.images,
            "figures": dict(self.figures),
            "confusion": {"labels": [*self.labels, MISSED], "rows_true": [list(r) for r in self.confusion]},
        }


def assess(
    samples: Iterable[Sample],
    model: Model,
    *,
    diameter: float | None = None,
    flips: bool = False,
) -> list[ImageAssessment]:
    """Predict every sample just as ``sgcldff predict`` would, and compare.

    Parameters
    ----------
    samples : iterable of Sample
        Annotated images.
    model : Model
        To be judged.
    diameter : float, optional
        Of a typical cell in px; estimated for each image by default.
    flips : bool
        Test-time augmentation.
    """
    done = []
    for sample in samples:
        prediction = predict_image(sample.read_image(), model, diameter=diameter, flips=flips)
        done.append(assess_prediction(sample, prediction))
    return done


def assess_prediction(sample: Sample, prediction: Prediction) -> ImageAssessment:
    """Compare one prediction with what is known of its image.

    Parameters
    ----------
    sample : Sample
        The image with its annotation; what is not known of it is not judged.
    prediction : Prediction
        What was found in it, at the same height and width.
    """
    truth, nucleus = sample.read_labels(), sample.read_nucleus()
    boxes = None
    white = leukocyte_boxes(sample.boxes)
    if sample.boxes is not None:
        found_boxes = prediction.cells[["bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"]].to_numpy()
        boxes = match_boxes(found_boxes, [(b.y0, b.x0, b.y1, b.x1) for b in white])
    iou = cell_iou = nucleus_iou = disc = cells = None
    classes: tuple[JudgedCell, ...] = ()
    if truth is not None:
        known = where_known(truth, [(b.y0, b.x0, b.y1, b.x1) for b in white])
        iou = mask_iou(prediction.labels > 0, truth > 0, known)
        disc = mask_iou(centred_disc(truth.shape), truth > 0, known)
        nucleus_iou = None if nucleus is None else mask_iou(prediction.nucleus, nucleus, known)
        pairs = match_labels(prediction.labels, truth)
        count = len(np.unique(truth[truth > 0]))
        cell_iou = sum(v for _, _, v in pairs) / count if count else None
        cells = max(count, len(white))
        classes = _named(sample.classes or {}, pairs, prediction)
    elif sample.boxes is not None:
        cells = len(white)
    if truth is None and sample.image_class is not None and _knows(prediction, sample.image_class):
        classes = (_largest(sample.image_class, prediction),)
    return ImageAssessment(
        name=sample.name,
        source=sample.source,
        iou=iou,
        cell_iou=cell_iou,
        nucleus_iou=nucleus_iou,
        disc_iou=disc,
        cells=cells,
        cells_found=len(prediction.cells),
        boxes=boxes,
        classes=classes,
        diameter=prediction.diameter,
    )


def summarise(images: Sequence[ImageAssessment]) -> Assessment:
    """Put images together: means over images for masks, over cells for classes.

    Class figures count a cell that was not found as wrong. Macro-F1 is over the classes in the annotation.

    Parameters
    ----------
    images : sequence of ImageAssessment
        Judged images, of one or several sources.
    """
    figures: dict[str, float] = {}
    for name in ("iou", "cell_iou", "nucleus_iou", "disc_iou"):
        values = [v for i in images if (v := getattr(i, name)) is not None]
        if values:
            figures[name] = float(np.mean(values))
    counted = [i for i in images if i.cells is not None]
    if counted:
        figures["right_count"] = float(np.mean([i.cells == i.cells_found for i in counted]))
        figures["count_error"] = float(np.mean([abs((i.cells or 0) - i.cells_found) for i in counted]))
    boxed = [i.boxes for i in images if i.boxes is not None]
    if boxed:
        hits, false_alarms, misses = np.sum(boxed, 0)
        figures["box_f1"] = float(2 * hits / (2 * hits + false_alarms + misses))
    named = [c for i in images for c in i.classes]
    labels = tuple(sorted({c.true for c in named}))
    confusion: NDArray[np.int64] = np.zeros((0, 0), int)
    if named:
        true, found = [c.true for c in named], [c.found for c in named]
        figures["accuracy"] = float(np.mean([t == f for t, f in zip(true, found, strict=True)]))
        figures["macro_f1"] = float(f1_score(true, found, labels=labels, average="macro", zero_division=0))
        seen = [c for c in named if c.found != MISSED]
        if seen:
            right = [c.true == c.found for c in seen]
            figures["calibration_error"] = calibration_error([c.confidence for c in seen], right)
        figures["cells_named"] = float(len(named))
        others = sorted(set(found) - set(labels) - {MISSED})
        confusion = confusion_matrix(true, found, labels=[*labels, *others, MISSED])[: len(labels)]
        labels = (*labels, *others)
    return Assessment(len(images), figures, labels, tuple(tuple(int(v) for v in row) for row in confusion))


def judged_labels(sample: Sample, classes: Collection[str]) -> list[int]:
    """Return the labels of the cells that are judged by name, in the order of `ImageAssessment.classes`.

    Parameters
    ----------
    sample : Sample
        With instance labels.
    classes : collection of str
        That the model knows; cells of another class are not judged.
    """
    return [label for label, name in (sample.classes or {}).items() if name in classes]


def _named(
    classes: Mapping[int, str], pairs: Sequence[tuple[int, int, float]], prediction: Prediction
) -> tuple[JudgedCell, ...]:
    match = {true: label for label, true, _ in pairs}
    return tuple(
        _judged(name, prediction, match.get(label)) for label, name in classes.items() if _knows(prediction, name)
    )


def _knows(prediction: Prediction, name: str) -> bool:
    return f"prob_{name}" in prediction.cells.columns


def _largest(name: str, prediction: Prediction) -> JudgedCell:
    """Say what the largest cell was called: a crop shows one cell, and its neighbours only in part."""
    if prediction.cells.empty:
        return _judged(name, prediction, None)
    areas = np.bincount(prediction.labels.ravel())[1:]
    return _judged(name, prediction, int(areas.argmax()) + 1)


def _judged(name: str, prediction: Prediction, label: int | None) -> JudgedCell:
    if label is None:
        return JudgedCell(name, MISSED, 0.0, {})
    (cell,) = prediction.cells[prediction.cells["label"] == label].to_dict("records")
    probabilities = {str(k).removeprefix("prob_"): float(v) for k, v in cell.items() if str(k).startswith("prob_")}
    return JudgedCell(name, str(cell["class"]), float(cell["confidence"]), probabilities)
