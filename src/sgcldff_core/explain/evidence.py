"""What is known of each cell that bears on whether its name and its outline can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sgcldff_core.explain.consistency import Agreement

__all__ = ["EVIDENCE", "cell_evidence"]

EVIDENCE = {
    "confidence": "calibrated probability of the cell's class",
    "lead": "logarithm of how many times as probable as the second class it is, 8 at most",
    "entropy": "of the class probabilities, 0 for certain to 1 for all alike",
    "energy": "share of the class activation inside the outline, less chance",
    "pointing": "1 where the strongest activation is inside",
    "overlap": "IoU of the outline with the stronger half of the activation",
    "rank": "correlation of activation and prior",
    "stability": "IoU of the outline seen directly and in a mirror",
    "firmness": "IoU of the outline when more and when less is asked of a pixel",
    "solidity": "share of its convex hull that the cell fills",
    "nucleus": "share of the cell that is nucleus",
    "size": "diameter over that of a typical cell",
    "border": "1 where the image's border cuts the cell",
    "stain": "distance of the cell's colours from those that the model learned from, 1 for the limit of usual",
}
"""Columns of the evidence, and what each is."""

_MOST_LEAD = 8.0
_LEAST = 1e-6


def cell_evidence(
    probabilities: NDArray[np.float32],
    agreement: Agreement,
    stability: NDArray[np.floating],
    firmness: NDArray[np.floating],
    solidity: NDArray[np.floating],
    nucleus_share: NDArray[np.floating],
    relative_diameter: NDArray[np.floating],
    at_border: NDArray[np.bool_],
    stain_distance: NDArray[np.floating],
) -> pd.DataFrame:
    """Put together what is known of N cells.

    Parameters
    ----------
    probabilities : ndarray
        (N, classes) float32, calibrated; of two classes at least.
    agreement : Agreement
        Of class activation and outline.
    stability, firmness : ndarray
        (N,) float in [0, 1], see `outline_stability` and `threshold_stability`; NaN where not known.
    solidity, nucleus_share, relative_diameter : ndarray
        (N,) float.
    at_border : ndarray
        (N,) bool.
    stain_distance : ndarray
        (N,) float, see `sgcldff_core.model.known_stains`; NaN where the model has no record.

    Returns
    -------
    DataFrame
        (N, `EVIDENCE`) float64, one row a cell.
    """
    p = np.maximum(probabilities.astype(np.float64), _LEAST)
    ordered = np.sort(p, axis=1)
    return pd.DataFrame(
        {
            "confidence": ordered[:, -1],
            "lead": np.minimum(np.log(ordered[:, -1] / ordered[:, -2]), _MOST_LEAD),
            "entropy": np.clip(-(p * np.log(p)).sum(1) / np.log(p.shape[1]), 0, 1),
            "energy": agreement.energy,
            "pointing": agreement.pointing,
            "overlap": agreement.overlap,
            "rank": agreement.rank,
            "stability": stability,
            "firmness": firmness,
            "solidity": solidity,
            "nucleus": nucleus_share,
            "size": relative_diameter,
            "border": at_border,
            "stain": stain_distance,
        }
    ).astype(np.float64)
