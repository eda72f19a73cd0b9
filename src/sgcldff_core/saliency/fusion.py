"""The fused prior: nuclear stain, its surroundings, stained bodies and barriers, weighed by what real images say."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import rgb2lab

from sgcldff_core.saliency.barrier import barrier_distance
from sgcldff_core.saliency.optical_density import background_colour, optical_density
from sgcldff_core.saliency.pixels import block_mean, resized, soft_step, spread
from sgcldff_core.saliency.scale import blueness, coarse_factor, diameter_of_stained

__all__ = ["TERMS", "evidence", "fused"]

TERMS: dict[str, float] = {
    "blue": 2.35,
    "blue nearby": -3.25,
    "blue around": 12.25,
    "stained": -2.15,
    "stained, blue around": -3.5,
    "stained body": 4.0,
    "behind a barrier": 5.0,
}
"""Weight of each term of the evidence, learnt on the images that ``docs/results/prior.md`` names: logistic
regression on pairs of a leukocyte's and another pixel of one image, so that what is told apart is seen under
one lamp; then the barrier weighed up by half. One half of the regression's scale leaves shades between
nucleus, cytoplasm and red cell."""

_OFFSET = -6.0  # so that 0.5 is near the best single threshold for all sets

_CELL = 32.0  # px: diameter of a typical cell on the grid where the evidence is gathered
# Lengths in cell diameters.
_SOFT, _NEAR, _AROUND, _BODY = 0.03, 0.1, 0.25, 0.25
_HALF_STAINED = 0.104
_HALF_BARRIER = 40.0  # sum over L, a and b
_BLUE_TO_PEAK = 0.28  # half-way point of the blue terms, as a share of the bluest place
_HALF_BLUE_RANGE = (0.07, 0.21)  # whatever the peak: an empty slide is not stretched, dense stain not dimmed


def fused(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return a fusion of complementary evidence, the best prior on real images by measurement.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB; uint8, uint16, or floating point in [0, 1].

    Returns
    -------
    ndarray
        (H, W) float32 in [0, 1].
    """
    factor = coarse_factor(image.shape)
    terms, scale = evidence(block_mean(image, factor))
    logit = np.full(terms.shape[1:], _OFFSET, np.float32)
    for weight, term in zip(TERMS.values(), terms, strict=True):
        logit += np.float32(weight) * term
    logit = spread(logit, factor * scale, (image.shape[0], image.shape[1]))
    np.negative(logit, out=logit)
    np.exp(logit, out=logit)
    logit += 1
    return np.reciprocal(logit, out=logit)


def evidence(rgb: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Gather the terms that speak for a leukocyte, at a scale where cells have one size.

    Parameters
    ----------
    rgb : ndarray
        (H, W, 3) float32 in [0, 1].

    Returns
    -------
    terms : ndarray
        (7, h, w) float32 in [0, 1], in the order of `TERMS`.
    scale : float
        Px of `rgb` to one px of `terms`.
    """
    background = background_colour(rgb)
    cell = diameter_of_stained(optical_density(rgb, background)) or min(rgb.shape[:2]) / 2
    scale = max(1.0, cell / _CELL)
    shape = (max(1, round(rgb.shape[0] / scale)), max(1, round(rgb.shape[1] / scale)))
    small = np.stack([resized(np.ascontiguousarray(rgb[..., c]), shape) for c in range(3)], axis=2)
    cell /= scale

    density = optical_density(small, background)
    # Lab of the image as if the slide were white: the barrier too is free of lamp and gains.
    lab = np.asarray(rgb2lab(np.minimum(small / np.maximum(background, 1e-5), 1)), np.float32)
    soft = ndimage.gaussian_filter(density, (_SOFT * cell, _SOFT * cell, 0))
    blue_density = blueness(soft)
    peak = float(ndimage.gaussian_filter(blue_density, _NEAR * cell).max())
    blue = soft_step(blue_density, float(np.clip(_BLUE_TO_PEAK * peak, *_HALF_BLUE_RANGE)))
    around = ndimage.gaussian_filter(blue, _AROUND * cell)
    stained = soft_step(soft @ np.array([0.3, 0.4, 0.3], np.float32), _HALF_STAINED)
    terms = (
        blue,
        ndimage.gaussian_filter(blue, _NEAR * cell),
        around,
        stained,
        stained * around,
        ndimage.grey_opening(stained, int(_BODY * cell) | 1, mode="nearest"),
        soft_step(barrier_distance(lab), _HALF_BARRIER),
    )
    return np.stack(terms), scale
