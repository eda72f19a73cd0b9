"""How alike two maps of the same cell are, judged on the cell's own pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from skimage.metrics import structural_similarity

__all__ = ["Similarity", "compare_maps"]

_SSIM_WINDOW = 7


@dataclass(frozen=True, slots=True)
class Similarity:
    """Likeness of two maps.

    Attributes
    ----------
    rank : float
        In [-1, 1], Spearman correlation; 0 where a map is constant.
    ssim : float
        In [-1, 1], structural similarity of the maps scaled to [0, 1].
    """

    rank: float
    ssim: float


def compare_maps(one: NDArray[np.floating], other: NDArray[np.floating], cell: NDArray[np.bool_]) -> Similarity:
    """Compare two maps inside a cell.

    Many maps are zero outside the cell for reasons that have nothing to do with what a network
    learned; over the whole window any two of them would look alike.

    Parameters
    ----------
    one, other : ndarray
        (H, W) float in [0, 1], at least 7 pixels either way.
    cell : ndarray
        (H, W) bool, pixels that count.

    Returns
    -------
    Similarity
        (0, 0) for a cell without pixels.

    References
    ----------
    Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018.
    """
    if not cell.any():
        return Similarity(0.0, 0.0)
    a, b = (np.asarray(x, np.float64) for x in (one, other))
    _, local = structural_similarity(a, b, data_range=1.0, win_size=_SSIM_WINDOW, full=True)
    x, y = (rankdata(m[cell]) for m in (a, b))
    x, y = x - x.mean(), y - y.mean()
    spread = np.sqrt((x**2).sum() * (y**2).sum())
    return Similarity(float((x * y).sum() / spread) if spread > 0 else 0.0, float(local[cell].mean()))
