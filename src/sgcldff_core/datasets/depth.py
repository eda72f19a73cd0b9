"""From the depth at which a camera counts to 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["full_scale", "to_uint8"]

# Cameras count with 10, 12 or 14 bits and store the numbers in 16.
_DEPTHS = (8, 10, 12, 14, 16, 32)


def full_scale(array: NDArray[Any]) -> float:
    """Return the value that stands for full brightness.

    Parameters
    ----------
    array : ndarray
        Pixels of any shape and dtype, not negative.

    Returns
    -------
    float
        255 for 8 bits; for wider integers 2**b − 1 with the least of b = 8, 10, 12, 14, 16, 32 that
        holds the brightest pixel: a bright-field image has pixels near white. For floats 1, or
        255 where the brightest pixel is above 1.

    Raises
    ------
    ValueError
        If the values fit no scale: negative, not finite, or floats above 255.

    Examples
    --------
    >>> full_scale(np.array([100, 3900], np.uint16))
    4095.0
    """
    if array.dtype == np.bool_:
        return 1.0
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    if np.issubdtype(array.dtype, np.integer):
        if low < 0:
            raise ValueError(f"it has negative values, down to {low}")
        bits = 8 if array.dtype.itemsize == 1 else next(b for b in _DEPTHS if int(high) < 1 << b)
        return float((1 << bits) - 1)
    if not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all() or low < 0 or high > 255:
        raise ValueError(f"its {array.dtype} values, {low} to {high}, are on no known scale (0 to 1, or 0 to 255)")
    return 1.0 if high <= 1 else 255.0


def to_uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Return pixels of any dtype as 8 bits, by `full_scale`.

    Parameters
    ----------
    array : ndarray
        Pixels of any shape and dtype.

    Returns
    -------
    ndarray of uint8
        The same shape, rounded to the nearest.

    Raises
    ------
    ValueError
        If the values fit no scale.

    Examples
    --------
    >>> to_uint8(np.array([0, 2048, 4095], np.uint16))
    array([  0, 128, 255], dtype=uint8)
    """
    if array.dtype == np.uint8:
        return array
    return np.rint(array * np.float32(255 / full_scale(array))).astype(np.uint8)
