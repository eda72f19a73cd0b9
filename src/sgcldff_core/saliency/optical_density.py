"""Optical density: how much stain light has met, whatever the lamp, the camera's gains and the glass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.saliency.pixels import soft_step, unit_rgb

__all__ = ["ROMANOWSKY", "background_colour", "estimate_stains", "optical_density", "stain_contrast"]

ROMANOWSKY: NDArray[np.float32] = np.array([[0.834750, 0.513556, 0.196330], [0.092789, 0.954111, 0.283111]], np.float32)
"""(2, 3) unit vectors of optical density in R, G, B: methylene blue with its azures, and eosin."""

_TRANSPARENT = 0.02  # share of the lamp that still arrives through the darkest stain: bounds the density at 3.9
_DARK = 1e-5  # of full scale: keeps the density of a black image at zero instead of undefined
_STAINED = 0.15  # sum over channels; less is glass (Macenko's beta)
_FEWEST_STAINED = 50  # px, fewer say nothing of directions
_LEAST_ANGLE = np.deg2rad(8)  # directions that are closer than this cannot be told from noise
_HALF_STAINED = 0.35


def background_colour(rgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the colour of the empty slide.

    Parameters
    ----------
    rgb : ndarray
        (H, W, 3) float32 in [0, 1].

    Returns
    -------
    ndarray
        (3,) float32: the median of that quarter of the pixels that is brightest in green, which
        every Romanowsky stain darkens. A gain on a channel is a gain on the result.
    """
    green = rgb[..., 1]
    return np.asarray(np.median(rgb[green >= np.quantile(green, 0.75)], axis=0), np.float32)


def optical_density(rgb: NDArray[np.float32], background: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """Return the optical density of an image against its empty slide.

    Parameters
    ----------
    rgb : ndarray
        (H, W, 3) float32 in [0, 1].
    background : ndarray, optional
        (3,) float32, the colour of density zero; `background_colour` of the image itself.

    Returns
    -------
    ndarray
        (H, W, 3) float32, natural logarithm, at most 3.94; below zero where it is brighter than the slide.
    """
    if background is None:
        background = background_colour(rgb)
    # The floor is a share of the lamp, so that the density stays free of gains.
    floor = np.float32(_TRANSPARENT) * background + np.float32(_DARK)
    density: NDArray[np.float32] = np.log(background + floor) - np.log(rgb + floor)
    return density


def estimate_stains(density: NDArray[np.float32]) -> NDArray[np.float32]:
    """Estimate the directions of the two stains from an image in the manner of Macenko.

    Parameters
    ----------
    density : ndarray
        (H, W, 3) optical density.

    Returns
    -------
    ndarray
        (2, 3) float32 unit vectors: that of the nuclei (methylene blue and azures) first, that of
        the red cells and granules (eosin) second. `ROMANOWSKY` where too little is stained or
        where only one direction is seen.

    References
    ----------
    Macenko et al., A method for normalizing histology slides for quantitative analysis, ISBI 2009.
    """
    flat = density.reshape(-1, 3)
    stained = np.maximum(flat[flat.sum(axis=1) > _STAINED], 0).astype(np.float64)
    if len(stained) < _FEWEST_STAINED:
        return ROMANOWSKY
    _, axes = np.linalg.eigh(stained.T @ stained)
    plane = axes[:, :0:-1]  # the two largest, largest first
    plane = plane * np.where(plane.sum(axis=0) < 0, -1, 1)
    on_plane = stained @ plane
    low, high = np.quantile(np.arctan2(on_plane[:, 1], on_plane[:, 0]), (0.01, 0.99))
    if high - low < _LEAST_ANGLE:
        return ROMANOWSKY
    found = np.maximum([[np.cos(a), np.sin(a)] @ plane.T for a in (low, high)], 0)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    # Blue light passes the nuclear stain best, red light the eosin.
    nuclear_first = np.argsort(found[:, 2] - found[:, 0])
    return np.asarray(found[nuclear_first], np.float32)


def stain_contrast(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return the amount of nuclear stain after colour deconvolution.

    Stain vectors are those of the image itself, by `estimate_stains`; gains of lamp and camera
    do not change the result.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB; uint8, uint16, or floating point in [0, 1].

    Returns
    -------
    ndarray
        (H, W) float32 in [0, 1), 0.5 at a density of 0.35.

    References
    ----------
    Ruifrok and Johnston, Quantification of histochemical staining by color deconvolution,
    Anal. Quant. Cytol. Histol. 23 (2001).
    """
    density = optical_density(unit_rgb(image))
    amounts = np.linalg.pinv(estimate_stains(density)).astype(np.float32)
    return soft_step(density @ amounts[:, 0], _HALF_STAINED)
