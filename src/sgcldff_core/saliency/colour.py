"""Priors that look at the colour of each pixel by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import rgb2lab

from sgcldff_core.saliency.pixels import unit_rgb

__all__ = ["border_distance", "frequency_tuned", "inverse_green", "saturation_green"]

_RIM = 2  # px
_LAB_RANGE = 100.0  # from white to black, and about from white to the purple of a dense nucleus


def inverse_green(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return how little green light comes through: nuclei and red cells are dark in it.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB; uint8, uint16, or floating point in [0, 1].

    Returns
    -------
    ndarray
        (H, W) float32 in [0, 1].
    """
    return np.clip(1 - unit_rgb(image)[..., 1], 0, 1)


def saturation_green(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return saturation (of HSV) minus green.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB; uint8, uint16, or floating point in [0, 1].

    Returns
    -------
    ndarray
        (H, W) float32 in [0, 1]; 0.5 where both are equal.
    """
    rgb = unit_rgb(image)
    brightest = rgb.max(axis=2)
    saturation = 1 - rgb.min(axis=2) / np.maximum(brightest, 1e-6)
    saturation[brightest == 0] = 0
    return np.asarray(np.clip((saturation - rgb[..., 1] + 1) / 2, 0, 1))


def border_distance(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return the distance in CIE Lab to the bright part of the image's border.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB; uint8, uint16, or floating point in [0, 1].

    Returns
    -------
    ndarray
        (H, W) float32 in [0, 1], 1 for a distance of 100 and more.
    """
    lab = np.asarray(rgb2lab(unit_rgb(image)), np.float32)
    rim = np.concatenate([part.reshape(-1, 3) for part in (lab[:_RIM], lab[-_RIM:], lab[:, :_RIM], lab[:, -_RIM:])])
    bright = rim[rim[:, 0] >= np.quantile(rim[:, 0], 0.6)]
    return _lab_distance(lab, np.median(bright, axis=0))


def frequency_tuned(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return how rare a colour is: the distance in CIE Lab of a softened image to its mean.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB; uint8, uint16, or floating point in [0, 1].

    Returns
    -------
    ndarray
        (H, W) float32 in [0, 1], 1 for a distance of 100 and more.

    References
    ----------
    Achanta et al., Frequency-tuned salient region detection, CVPR 2009.
    """
    lab = np.asarray(rgb2lab(unit_rgb(image)), np.float32)
    mean = lab.mean(axis=(0, 1))
    for axis in (0, 1):
        lab = ndimage.correlate1d(lab, np.array([1, 4, 6, 4, 1]) / 16, axis=axis, mode="nearest")
    return _lab_distance(lab, mean)


def _lab_distance(lab: NDArray[np.float32], colour: NDArray[np.float32]) -> NDArray[np.float32]:
    squared = np.square(lab[..., 0] - colour[0])
    for channel in (1, 2):
        squared += np.square(lab[..., channel] - colour[channel])
    return np.asarray(np.minimum(np.sqrt(squared, out=squared) / np.float32(_LAB_RANGE), 1))
