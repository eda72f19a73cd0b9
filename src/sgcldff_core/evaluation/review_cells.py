"""Cells that a network found in images that it had not learned from: the evidence, and what was wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sgcldff_core.evaluation.agreement import match_labels
from sgcldff_core.explain import EVIDENCE
from sgcldff_core.inference import Prediction, predict_image
from sgcldff_core.training.risk import BAD_IOU

if TYPE_CHECKING:
    from sgcldff_core.evaluation.degrading import Degradation
    from sgcldff_core.model import Model
    from sgcldff_core.sample import Sample

__all__ = ["JUDGED", "gather_cells"]

JUDGED = ("image", "source", "group", "label", "true", "found", "iou", "wrong", "bad", "consistency")
"""Columns beside the evidence: see `gather_cells`."""

_SAME_CELL = 0.5  # IoU from which on a cell found is the one annotated, for its class
_AIM = 1.15  # as `sgcldff_core.inference.scale` takes the last look


def gather_cells(
    samples: Sequence[Sample],
    model: Model,
    *,
    worsen: Degradation | None = None,
    diameter_known: bool = False,
    report: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Predict samples as ``sgcldff predict`` does, and hold each cell against the annotation.

    Parameters
    ----------
    samples : sequence of Sample
        That the network has not learned from; those without outlines are passed over.
    model : Model
        To be judged.
    worsen : Degradation, optional
        What is done to the images first.
    diameter_known : bool
        Whether to take the scale from the annotation, which halves the time.
    report : callable, optional
        Called with samples done and in all.

    Returns
    -------
    DataFrame
        One row a cell: `sgcldff_core.explain.EVIDENCE` and `JUDGED`. ``wrong`` is NaN for a cell that
        is no annotated one by half, or one of unknown class; ``bad``, an IoU below 0.8, is NaN for
        a cell that touches none that is annotated: data sets leave out what the border cuts.
    """
    rows: list[dict[str, Any]] = []
    for number, sample in enumerate(samples):
        if report is not None:
            report(number, len(samples))
        truth = sample.read_labels()
        if truth is None or not truth.any():
            continue
        area = np.bincount(truth.ravel())[1:]
        size = float(np.median(np.sqrt(4 / np.pi * area[area > 0])))
        image = sample.read_image()
        if worsen is not None:
            image = worsen.apply(image, size, sample.name)
        found = predict_image(image, model, diameter=_AIM * size if diameter_known else None)
        rows += _judged(sample, truth, found)
    return pd.DataFrame(rows, columns=[*JUDGED, *EVIDENCE])


def _judged(sample: Sample, truth: np.ndarray[Any, np.dtype[np.int32]], found: Prediction) -> list[dict[str, Any]]:
    pairs = {label: (true, iou) for label, true, iou in match_labels(found.labels, truth, 0.0)}
    evidence = [] if found.evidence is None else found.evidence.to_dict("records")
    rows = []
    for cell, known in zip(found.cells.to_dict("records"), evidence, strict=True):
        label = int(cell["label"])
        true, iou = pairs.get(label, (0, float("nan")))
        if not iou > 0:
            iou = 0.0 if truth[found.labels == label].any() else float("nan")
        name = (sample.classes or {}).get(true) if iou >= _SAME_CELL else None
        rows.append(
            {
                **{"image": sample.name, "source": sample.source, "group": sample.group, "label": label},
                **{"true": name, "found": cell["class"], "iou": iou, "consistency": cell["saliency_consistency"]},
                "wrong": float("nan") if name is None else float(name != cell["class"]),
                "bad": float("nan") if np.isnan(iou) else float(iou < BAD_IOU),
                **{str(key): value for key, value in known.items()},
            }
        )
    return rows
