"""Priors that compare colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import rgb2lab

from sgcldff_core.errors import ConfigError

__all__ = ["background_contrast"]


def background_contrast(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return how much darker and bluer than the background each pixel is, smoothed.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB; uint8, uint16, or floating point in [0, 1].

    Returns
    -------
    ndarray
        (H, W) float32 in [0, 1].
    """
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ConfigError(f"expected an RGB image of shape (H, W, 3), got {image.shape}")
    rgb = image.astype(np.float32)
    if image.dtype.kind == "u":
        rgb /= np.iinfo(image.dtype).max
    lab = rgb2lab(rgb).astype(np.float32)
    bright = lab[..., 0] >= np.quantile(lab[..., 0], 0.75)
    background = np.median(lab[bright], axis=0)
    contrast = 0.5 * (background[0] - lab[..., 0]) + (background[2] - lab[..., 2])
    contrast = ndimage.gaussian_filter(contrast, min(0.02 * min(image.shape[:2]), 10.0))
    return np.clip(contrast / 60.0, 0.0, 1.0).astype(np.float32)
