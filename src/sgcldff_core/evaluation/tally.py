"""What every image adds to the figures, so that thousands of resampled data sets cost one product of matrices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sgcldff_core.evaluation.agreement import BINS
from sgcldff_core.evaluation.assessment import MISSED, ImageAssessment

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Tally", "tally"]

_MEANS = ("iou", "cell_iou", "nucleus_iou", "disc_iou")


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums that every image adds to; all figures of `summarise` follow from them.

    Attributes
    ----------
    classes : tuple of str
        Classes that occur in the annotation, sorted.
    parts : mapping of str to array
        (N,) or (N, M) float64, one row for each image.
    """

    classes: tuple[str, ...]
    parts: Mapping[str, NDArray[np.float64]]

    def figures(self, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return the figures of `summarise` for images that count several times or not at all.

        Parameters
        ----------
        weights : (D, N) array_like
            How often each image is in each of D data sets.

        Returns
        -------
        dict of str to (D,) float64 array
            NaN in a data set that cannot tell a figure; a figure that none can tell is missing.
        """
        total = self._totals(weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = {name: total[name] / total[f"{name}_known"] for name in _MEANS}
            found["right_count"] = total["right_count"] / total["counted"]
            found["count_error"] = total["count_error"] / total["counted"]
            hits, false_alarms, misses = np.moveaxis(total["boxes"], -1, 0)
            boxed = np.where(total["boxed"] > 0, 2 * hits + false_alarms + misses, np.nan)
            found["box_f1"] = 2 * hits / boxed
            found["accuracy"] = total["hits"].sum(-1) / total["true"].sum(-1)
            occurs = total["true"] > 0
            found["macro_f1"] = np.where(occurs, _f1(total), 0.0).sum(-1) / occurs.sum(-1)
            found["calibration_error"] = np.abs(total["overconfidence"]).sum(-1) / total["seen"]
            found["cells_named"] = np.where(occurs.any(-1), total["true"].sum(-1), np.nan)
        return {name: values for name, values in found.items() if not np.isnan(values).all()}

    def class_figures(self, weights: NDArray[np.float64]) -> dict[str, dict[str, NDArray[np.float64]]]:
        """Return precision, recall and F1 of each class.

        Parameters
        ----------
        weights : (D, N) array_like
            How often each image is in each of D data sets.

        Returns
        -------
        dict of str to dict of str to (D,) float64 array
            Class, then ``precision``, ``recall``, ``f1``; NaN in a data set without a cell of the class.
            A class that was never found has precision 0, as scikit-learn has it.
        """
        total = self._totals(weights)
        with np.errstate(invalid="ignore", divide="ignore"):
            recall = total["hits"] / total["true"]
            precision = np.where(total["found"] > 0, total["hits"] / total["found"], 0.0)
            columns = {"precision": np.where(total["true"] > 0, precision, np.nan), "recall": recall, "f1": _f1(total)}
        return {c: {name: v[:, i] for name, v in columns.items()} for i, c in enumerate(self.classes)}

    def _totals(self, weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        weights = np.atleast_2d(np.asarray(weights, float))
        return {name: weights @ part for name, part in self.parts.items()}


def tally(images: Sequence[ImageAssessment]) -> Tally:
    """Write down what each image adds to the figures.

    Parameters
    ----------
    images : sequence of ImageAssessment
        In the order of the weights to come.
    """
    parts: dict[str, NDArray[np.float64]] = {}
    for name in _MEANS:
        values = [getattr(i, name) for i in images]
        parts[name] = np.array([v or 0.0 for v in values], float)
        parts[f"{name}_known"] = np.array([v is not None for v in values], float)
    parts["counted"] = np.array([i.cells is not None for i in images], float)
    parts["right_count"] = np.array([i.cells == i.cells_found for i in images], float)
    parts["count_error"] = np.array([0 if i.cells is None else abs(i.cells - i.cells_found) for i in images], float)
    parts["boxed"] = np.array([i.boxes is not None for i in images], float)
    parts["boxes"] = np.array([i.boxes or (0, 0, 0) for i in images], float).reshape(-1, 3)
    classes = tuple(sorted({c.true for i in images for c in i.classes}))
    parts |= _class_parts(images, classes)
    return Tally(classes, parts)


def _class_parts(images: Sequence[ImageAssessment], classes: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    number = {name: i for i, name in enumerate(classes)}
    true, found, hits = (np.zeros((len(images), len(classes))) for _ in range(3))
    overconfidence, seen = np.zeros((len(images), BINS)), np.zeros(len(images))
    for row, image in enumerate(images):
        for cell in image.classes:
            true[row, number[cell.true]] += 1
            hits[row, number[cell.true]] += cell.found == cell.true
            if cell.found in number:
                found[row, number[cell.found]] += 1
            if cell.found != MISSED:
                which = min(int(cell.confidence * BINS), BINS - 1)
                overconfidence[row, which] += cell.confidence - (cell.found == cell.true)
                seen[row] += 1
    return {"true": true, "found": found, "hits": hits, "overconfidence": overconfidence, "seen": seen}


def _f1(total: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return F1 of each class, NaN where no cell of it is annotated."""
    return np.where(total["true"] > 0, 2 * total["hits"] / (total["true"] + total["found"]), np.nan)
