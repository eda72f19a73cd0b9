"""Which cells a person should look at, and why, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sgcldff_core.explain.consistency import Agreement

__all__ = ["review_reasons"]

# Set by hand; to be fitted, so that what is flagged is what is wrong, when errors on real images
# have been gathered.
_LEAST_CONFIDENCE = 0.7
_LEAST_LEAD = 0.25  # of the first class over the second, in probability
_LEAST_ENERGY = 0.2
_LEAST_CONSISTENCY = 0.6
_LEAST_STABILITY = 0.85
_LEAST_NUCLEUS = 0.08  # share of the cell's area
_SMALLEST, _LARGEST = 0.5, 1.7  # diameters over that of a typical cell


def review_reasons(
    classes: Sequence[str],
    probabilities: NDArray[np.float32],
    agreement: Agreement,
    stability: NDArray[np.float32],
    consistency: NDArray[np.float32],
    relative_diameter: NDArray[np.floating],
    nucleus_share: NDArray[np.floating],
    at_border: NDArray[np.bool_],
) -> list[str]:
    """Say for each of N cells why a person should look at it.

    Parameters
    ----------
    classes : sequence of str
        Of the model.
    probabilities : ndarray
        (N, classes) float32, calibrated.
    agreement : Agreement
        Of class activation and outline.
    stability : ndarray
        (N,) float32 in [0, 1], of the outline when the image is mirrored.
    consistency : ndarray
        (N,) float32 in [0, 1], see `sgcldff_core.explain.consistency.saliency_consistency`.
    relative_diameter : ndarray
        (N,) float, equivalent diameter over that of a typical cell.
    nucleus_share : ndarray
        (N,) float in [0, 1], of the cell's area.
    at_border : ndarray
        (N,) bool, whether the image's border cuts the cell.

    Returns
    -------
    list of str
        Reasons joined by ``"; "``, the gravest first; empty where there is none.
    """
    found = []
    for i, p in enumerate(probabilities):
        second, first = np.argsort(p)[-2:]
        looks_away = agreement.energy[i] < _LEAST_ENERGY or not agreement.pointing[i]
        reasons = {
            f"two classes close: {classes[first]} or {classes[second]}": p[first] - p[second] < _LEAST_LEAD,
            "class uncertain": p[first] < _LEAST_CONFIDENCE and p[first] - p[second] >= _LEAST_LEAD,
            "looks outside the cell": looks_away,
            "explanation inconsistent": consistency[i] < _LEAST_CONSISTENCY and not looks_away,
            "mask unstable": stability[i] < _LEAST_STABILITY,
            "no nucleus found": nucleus_share[i] < _LEAST_NUCLEUS,
            "unusually small": relative_diameter[i] < _SMALLEST and not at_border[i],
            "unusually large, perhaps two cells": relative_diameter[i] > _LARGEST,
            "touches the border": at_border[i],
        }
        found.append("; ".join(reason for reason, holds in reasons.items() if holds))
    return found
