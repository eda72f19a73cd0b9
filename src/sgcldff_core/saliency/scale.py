"""The size of the leukocytes in an image, from their nuclear stain alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sgcldff_core.saliency.optical_density import optical_density
from sgcldff_core.saliency.pixels import block_mean, soft_step

__all__ = ["blueness", "coarse_factor", "diameter_of_stained", "estimate_diameter"]

_SHORT_SIDE = 160  # px of the grid on which cells are sized
_LARGEST_FACTOR = 4  # so that a cell of 60 px in a large field is still seen
_HALF_BLUE = 0.104
_NUCLEAR = 0.4
_LEAST_AREA = 20  # px on that grid: less is a platelet or noise
_CELL_TO_STAINED = 1.1  # the rim of cytoplasm that stays below _NUCLEAR; median over the development images


def blueness(density: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much more red and green light than blue light is absorbed, as nuclei do and red cells do not.

    Parameters
    ----------
    density : ndarray
        (..., 3) optical density of R, G, B.

    Returns
    -------
    ndarray
        (...) float32, at least 0, unit of `density`.
    """
    return np.maximum(density @ np.array([0.5, 0.5, -1], np.float32), 0)


def coarse_factor(shape: tuple[int, ...]) -> int:
    """Return by how much an image may be coarsened and still show its cells.

    Parameters
    ----------
    shape : tuple of int
        Height and width in pixels; further axes do not count.

    Returns
    -------
    int
        How many pixels become one along each axis, at least 1.
    """
    return int(np.clip(min(shape[:2]) // _SHORT_SIDE, 1, _LARGEST_FACTOR))


def diameter_of_stained(density: NDArray[np.float32]) -> float | None:
    """Return the diameter of a typical leukocyte on the grid of `density`.

    Parameters
    ----------
    density : ndarray
        (H, W, 3) optical density.

    Returns
    -------
    float or None
        In px of that grid; the equivalent diameter of the connected blue regions, each counted by
        its area, so that specks do not matter. None where nothing is stained like a nucleus.
    """
    smooth = ndimage.gaussian_filter(blueness(density), 1)
    regions, count = ndimage.label(soft_step(smooth, _HALF_BLUE) > _NUCLEAR)
    if not count:
        return None
    area = np.bincount(regions.ravel())[1:].astype(float)
    area = area[area > _LEAST_AREA]
    if not len(area):
        return None
    return float(_CELL_TO_STAINED * np.sqrt(4 / np.pi * (area**2).sum() / area.sum()))


def estimate_diameter(image: NDArray[Any]) -> float | None:
    """Estimate the diameter of a typical leukocyte.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB; uint8, uint16, or floating point in [0, 1].

    Returns
    -------
    float or None
        In px of `image`; None where nothing is stained like a nucleus.
    """
    factor = coarse_factor(image.shape)
    diameter = diameter_of_stained(optical_density(block_mean(image, factor)))
    return None if diameter is None else diameter * factor
