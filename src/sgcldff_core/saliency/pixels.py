"""Pixels on their way into a prior and out of it: checks, units, smaller and larger grids."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sgcldff_core.errors import ConfigError

__all__ = ["block_mean", "check_image", "resized", "soft_step", "spread", "unit_rgb"]


def check_image(image: NDArray[Any]) -> None:
    """Refuse what is not an RGB image of a known depth.

    Parameters
    ----------
    image : ndarray
        Should be (H, W, 3); uint8, uint16, or floating point.

    Raises
    ------
    ConfigError
        If it has another shape, no pixel, or another dtype.
    """
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ConfigError(f"a prior needs an RGB image of shape (H, W, 3), got {image.shape}")
    if image.dtype not in (np.uint8, np.uint16) and image.dtype.kind != "f":
        raise ConfigError(f"a prior needs uint8, uint16 or floats in 0..1, got {image.dtype}; convert the image first")


def _full_scale(dtype: np.dtype[Any]) -> float:
    return 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


def _refuse_off_scale(values: NDArray[np.float32]) -> None:
    # One comparison in the negative also catches NaN.
    if not (values.min() >= 0 and values.max() <= 1.001):
        raise ConfigError(
            f"a prior needs floats in 0..1, got {values.min():g} to {values.max():g}; divide by the full scale first"
        )


def unit_rgb(image: NDArray[Any]) -> NDArray[np.float32]:
    """Return an image as floats, 1 for full brightness.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB; uint8, uint16, or floating point in [0, 1].

    Returns
    -------
    ndarray
        (H, W, 3) float32 in [0, 1].

    Raises
    ------
    ConfigError
        If the image is refused by `check_image`, or floats are outside [0, 1] or NaN.
    """
    return block_mean(image, 1)


def block_mean(image: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Return an image as floats on a grid that is coarser by a whole number.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB; uint8, uint16, or floating point in [0, 1].
    factor : int
        Side of a block in px, at least 1.

    Returns
    -------
    ndarray
        (ceil(H / factor), ceil(W / factor), 3) float32 in [0, 1]: the mean of each block, whose
        missing pixels at the lower and right rim repeat the last row and column.

    Raises
    ------
    ConfigError
        As for `unit_rgb`.
    """
    check_image(image)
    rest = [(0, -side % factor) for side in image.shape[:2]]
    if any(after for _, after in rest):
        image = np.pad(image, (*rest, (0, 0)), mode="edge")
    # Sums of strided views are several times faster than a mean over a reshaped array.
    total = image[::factor, ::factor].astype(np.float32)
    for y in range(factor):
        for x in range(factor):
            if y or x:
                total += image[y::factor, x::factor]
    total /= factor * factor * _full_scale(image.dtype)
    if image.dtype.kind == "f":
        _refuse_off_scale(total)
    return total


def resized(plane: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Bring one channel to another grid: area-weighted means down, linear interpolation up.

    Parameters
    ----------
    plane : ndarray
        (H, W) float32.
    shape : tuple of int
        Height and width wanted.

    Returns
    -------
    ndarray
        float32 of that shape; the outer corners of both grids coincide.
    """
    if plane.shape == shape:
        return plane
    shrinks = shape[0] <= plane.shape[0] and shape[1] <= plane.shape[1]
    method = Image.Resampling.BOX if shrinks else Image.Resampling.BILINEAR
    return np.array(Image.fromarray(plane).resize((shape[1], shape[0]), method))  # a copy, for a view is read-only


def spread(plane: NDArray[np.float32], factor: float, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Bring a map from the grid of `block_mean` back to that of its image.

    Parameters
    ----------
    plane : ndarray
        (h, w) float32.
    factor : float
        Side of a block in px.
    shape : tuple of int
        Height and width of the image.

    Returns
    -------
    ndarray
        float32 of that shape.
    """
    whole = (max(shape[0], round(plane.shape[0] * factor)), max(shape[1], round(plane.shape[1] * factor)))
    return resized(plane, whole)[: shape[0], : shape[1]]


def soft_step(values: NDArray[np.float32], half_way: float) -> NDArray[np.float32]:
    """Map values from zero up to [0, 1): linear at first, then levelling off.

    Parameters
    ----------
    values : ndarray
        Of any shape; what is below zero counts as zero.
    half_way : float
        The value that becomes one half.

    Returns
    -------
    ndarray
        float32 of the same shape: ``1 - 2 ** (-values / half_way)``.
    """
    return 1 - np.exp2(np.maximum(values, 0) * np.float32(-1 / half_way))
