"""Spectral residual: what is unexpected in the spectrum of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from sgcldff_core.saliency.pixels import resized, unit_rgb

__all__ = ["spectral_residual"]

_SHORT_SIDE = 64  # px, the scale at which the authors work
_SOFTNESS = 2.5  # px on that grid
_FULL_CONTRAST = 0.05  # standard deviation of grey from which on the map has its full range


def spectral_residual(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return the energy that is left when the smooth part of the log spectrum is taken away.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB; uint8, uint16, or floating point in [0, 1].

    Returns
    -------
    ndarray
        (H, W) float32 in [0, 1]. The method knows no units: the highest energy becomes 1, but less
        where the image has hardly any contrast, so that noise on an empty slide stays low.

    References
    ----------
    Hou and Zhang, Saliency detection: a spectral residual approach, CVPR 2007.
    """
    grey = unit_rgb(image).mean(axis=2)
    shrink = min(1.0, _SHORT_SIDE / min(grey.shape))
    small = resized(grey, (max(1, round(grey.shape[0] * shrink)), max(1, round(grey.shape[1] * shrink))))
    contrast = min(1.0, float(small.std()) / _FULL_CONTRAST)
    spectrum = fft.fft2(small)
    amplitude = np.log(np.abs(spectrum) + 1e-8)
    residual = amplitude - ndimage.uniform_filter(amplitude, 3, mode="wrap")
    energy = np.abs(fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    energy = ndimage.gaussian_filter(energy, _SOFTNESS).astype(np.float32)
    lowest, highest = float(energy.min()), float(energy.max())
    if highest - lowest <= 1e-12 or contrast < 1e-3:
        return np.zeros(grey.shape, np.float32)
    energy = (energy - lowest) * np.float32(contrast / (highest - lowest))
    return resized(np.clip(energy, 0, 1), grey.shape)  # rounding may carry the highest beyond 1
