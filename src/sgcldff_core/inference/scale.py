"""How large a cell is in an image of unknown magnification."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from sgcldff_core.inference.resampling import resize_image
from sgcldff_core.saliency import compute_prior

__all__ = ["diameter_from_prior"]

_LONGEST_SIDE = 480  # enough to see a cell's size, and quick


def diameter_from_prior(image: NDArray[np.uint8], method: str) -> float | None:
    """Guess the diameter of a typical leukocyte from the saliency prior alone.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    method : str
        Name of the prior.

    Returns
    -------
    float or None
        In px of `image`; None where nothing stands out.
    """
    shrink = min(1.0, _LONGEST_SIDE / max(image.shape[:2]))
    shape = (max(1, round(image.shape[0] * shrink)), max(1, round(image.shape[1] * shrink)))
    prior = compute_prior(resize_image(image, shape), method)
    if prior.max() - prior.min() < 0.05:
        return None
    salient = ndimage.binary_opening(prior > threshold_otsu(prior), iterations=1)
    pieces, count = ndimage.label(salient)
    if not count:
        return None
    area = np.bincount(pieces.ravel())[1:].astype(float)
    order = np.argsort(area)
    # Half of all salient area lies in pieces at least this large: specks do not count, clumps do little.
    middle = np.searchsorted(np.cumsum(area[order]), area.sum() / 2)
    return float(2 * np.sqrt(area[order][middle] / np.pi) / shrink)
