"""The evidence for and against each cell of a field, and what follows from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.cells import cell_shapes
from sgcldff_core.explain import (
    cell_evidence,
    outline_stability,
    reasons_by_rule,
    review_reasons,
    saliency_consistency,
    threshold_stability,
)
from sgcldff_core.model.known_smears import LOOK, image_look
from sgcldff_core.model.known_stains import cell_colours

if TYPE_CHECKING:
    import pandas as pd

    from sgcldff_core.explain import Agreement
    from sgcldff_core.inference.classification import Classification
    from sgcldff_core.inference.forward import FieldMaps
    from sgcldff_core.model import Model

__all__ = ["REACH", "distance_from_smears", "gather_evidence", "review_cells"]

REACH = 0.15
"""Of a diameter: what an unstable outline may gain or lose around a cell."""

_EMPTY = np.log(0.15)  # of the look's density: not even a tenth of the field is stained
_AROUND = 1.25  # diameters on each side of a cell's centre: as much as crops of single cells show


def gather_evidence(
    model: Model,
    image: NDArray[np.uint8],
    labels: NDArray[np.int32],
    maps: FieldMaps,
    looks: tuple[FieldMaps, FieldMaps] | None,
    named: Classification,
    agreement: Agreement,
    at_border: NDArray[np.bool_],
    *,
    whole: NDArray[np.uint8] | None = None,
) -> pd.DataFrame:
    """Measure what bears on whether names and outlines can be trusted.

    Parameters
    ----------
    model : Model
        The one that looked.
    image : ndarray
        (h, w, 3) uint8 RGB at the canonical scale.
    labels : ndarray
        (h, w) int32, the cells numbered 1..N.
    maps : FieldMaps
        Mean of all looks.
    looks : tuple of FieldMaps, or None
        As seen directly, and as seen in a mirror and turned back; None after one look.
    named : Classification
        Of `maps`.
    agreement : Agreement
        Of class activation and outline.
    at_border : ndarray
        (N,) bool, whether the image's border cuts the cell.
    whole : ndarray, optional
        (H, W, 3) uint8 RGB, the field of which `image` is a part.

    Returns
    -------
    DataFrame
        (N, `sgcldff_core.explain.EVIDENCE`) float64.
    """
    canonical = model.config.canonical_diameter
    reach = REACH * canonical
    logits = maps.logits[:2].cpu().numpy()
    nucleus = logits[1] > 0
    shapes = cell_shapes(labels)
    area = shapes["area_px"].to_numpy(float)
    inside = np.bincount(labels.ravel(), nucleus.ravel(), len(area) + 1)[1:]
    distance = stability = np.full(len(area), np.nan)
    if looks is not None:
        direct, reflected = looks
        stability = outline_stability(labels, direct.foreground, reflected.foreground, reach)
    if model.known_stains is not None:
        distance = model.known_stains.distance(cell_colours(image, labels, nucleus, whole))
    return cell_evidence(
        named.probabilities,
        agreement,
        stability,
        threshold_stability(labels, logits[0], reach),
        shapes["solidity"].to_numpy(float),
        inside / area,
        np.sqrt(4 / np.pi * area) / canonical,
        at_border,
        distance,
    )


def review_cells(
    model: Model, probabilities: NDArray[np.float32], agreement: Agreement, evidence: pd.DataFrame
) -> tuple[NDArray[np.float32], list[str]]:
    """Say how far each cell can be trusted, and why a person should look at it.

    By the rule that was fitted for the model; by one that was set by hand for a model without.

    Parameters
    ----------
    model : Model
        The one that looked.
    probabilities : ndarray
        (N, classes) float32, calibrated.
    agreement : Agreement
        Of class activation and outline.
    evidence : DataFrame
        From `gather_evidence`.

    Returns
    -------
    consistency : ndarray
        (N,) float32 in [0, 1]; by a fitted rule, the probability that neither name nor outline is
        wrong.
    reasons : list of str
        Empty where nobody needs to look.
    """
    classes = model.config.classes
    if model.review is not None:
        trust = (1 - model.review.risk(evidence)).astype(np.float32)
        return trust, reasons_by_rule(model.review, classes, probabilities, evidence)
    stability = evidence["stability"].fillna(1.0).to_numpy(np.float32)  # after one look nothing speaks against it
    consistency = saliency_consistency(agreement, stability)
    size, nucleus, border = (evidence[name].to_numpy() for name in ("size", "nucleus", "border"))
    reasons = review_reasons(
        classes, probabilities, agreement, stability, consistency, size, nucleus, border.astype(bool)
    )
    return consistency, reasons


def distance_from_smears(model: Model, image: NDArray[np.uint8], labels: NDArray[np.int32]) -> float | None:
    """Return how far an image is from a stained smear in focus; above 1 it is taken for none.

    Of a field that is almost empty, the surroundings of the largest cell are judged: glass looks like
    nothing.

    Parameters
    ----------
    model : Model
        The one that looked.
    image : ndarray
        (h, w, 3) uint8 RGB at the canonical scale.
    labels : ndarray
        (h, w) int32, the cells numbered 1..N.

    Returns
    -------
    float or None
        See `sgcldff_core.model.known_smears.KnownSmears.distance`; None for a model without.
    """
    if model.known_smears is None:
        return None
    diameter = model.config.canonical_diameter
    look = image_look(image, diameter)
    if labels.any() and look[list(LOOK).index("density")] < _EMPTY:
        largest = np.bincount(labels.ravel())[1:].argmax() + 1
        y, x = (int(np.mean(places)) for places in np.nonzero(labels == largest))
        half = int(_AROUND * diameter)
        look = image_look(image[max(y - half, 0) : y + half, max(x - half, 0) : x + half], diameter)
    return model.known_smears.distance_of_look(look)
