"""What an edit does to the pixels of a cell: split, join, fill, smooth; arrays in, arrays out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError

__all__ = ["Mask", "cell_under_line", "filled", "smoothed", "split_along", "split_by_shape"]

Mask = NDArray[np.bool_]

_SMOOTHING = 0.04  # standard deviation, as a share of the cell's diameter
_NECK = 0.85  # a cell is two if the way between its two depths is narrower than this share of the lesser


def cell_under_line(labels: NDArray[np.integer], line: NDArray[np.floating]) -> int:
    """Return the cell that most of a line lies in.

    Parameters
    ----------
    labels : ndarray
        (H, W) int.
    line : ndarray
        (N, 2) float, rows and columns of its points.

    Returns
    -------
    int
        0 where the line lies in none.
    """
    y, x = _points(line, labels.shape)
    crossed, times = np.unique(labels[y, x], return_counts=True)
    times[crossed == 0] = 0
    return int(crossed[times.argmax()]) if times.any() else 0


def split_along(mask: Mask, line: NDArray[np.floating]) -> Mask:
    """Split a cell along a line that somebody drew.

    Parameters
    ----------
    mask : ndarray
        (H, W) bool, the cell.
    line : ndarray
        (N, 2) float, rows and columns of its points. A line that ends inside the cell is led on
        straight to the cell's edge.

    Returns
    -------
    ndarray
        (H, W) bool, the smaller part.

    Raises
    ------
    ConfigError
        If the line leaves the cell in one piece.
    """
    from scipy import ndimage

    barrier = np.zeros(mask.shape, bool)
    barrier[_points(_led_on(line, mask), mask.shape)] = True
    # Pixels that touch at a corner only are apart, so a line of one pixel parts them.
    parts, count = ndimage.label(mask & ~barrier)
    if count < 2:
        raise ConfigError("the line does not cross a cell from edge to edge; draw it across the whole cell")
    return _lesser_of_two(mask, parts)


def split_by_shape(mask: Mask) -> Mask:
    """Split a cell where it is narrow, as two round cells that touch are.

    Parameters
    ----------
    mask : ndarray
        (H, W) bool, the cell.

    Returns
    -------
    ndarray
        (H, W) bool, the smaller part.

    Raises
    ------
    ConfigError
        If it has no waist.
    """
    from scipy import ndimage
    from skimage.morphology import reconstruction
    from skimage.segmentation import watershed

    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    # Both peaks stay where the way from one to the other is lower than the lesser of them by some share.
    floor = reconstruction(depth * _NECK, depth)
    peaks, count = ndimage.label(mask & (floor < depth - 0.02 * depth.max()), np.ones((3, 3)))
    tops = ndimage.maximum(depth, peaks, np.arange(1, count + 1)) if count else np.zeros(0)
    if count < 2:
        raise ConfigError("the cell has no waist where it could be split; draw a line across it")
    deepest = np.argsort(tops)[-2:] + 1
    markers = np.searchsorted(np.sort(deepest), peaks) + 1
    markers[~np.isin(peaks, deepest)] = 0
    return _lesser_of_two(mask, watershed(-depth, markers, mask=mask))


def filled(mask: Mask, free: Mask) -> Mask:
    """Return the cell with its holes filled, as far as they belong to nobody.

    Parameters
    ----------
    mask, free : ndarray
        (H, W) bool, the cell, and the background.
    """
    from scipy import ndimage

    return np.asarray(mask | (ndimage.binary_fill_holes(mask) & free))


def smoothed(mask: Mask, free: Mask) -> Mask:
    """Return the cell with a smoother outline of about the same size.

    Parameters
    ----------
    mask, free : ndarray
        (H, W) bool, the cell, and the background; beyond their border lies what is next to it.
    """
    from scipy import ndimage

    radius = _SMOOTHING * np.sqrt(4 / np.pi * mask.sum())
    soft = ndimage.gaussian_filter(mask.astype(np.float32), max(radius, 0.7), mode="nearest")
    return np.asarray((soft > 0.5) & (mask | free))


def _points(line: NDArray[np.floating], shape: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pixels of a line, each touching the next by a side, as far as they lie in the image."""
    ends = np.asarray(line, float)
    steps = [np.linspace(a, b, 2 + 4 * int(np.abs(b - a).max())) for a, b in itertools.pairwise(ends)]
    pixels = np.rint(np.concatenate(steps) if steps else ends).astype(np.intp)
    corner = np.flatnonzero(np.abs(np.diff(pixels, axis=0)).sum(1) > 1)
    between = np.stack([pixels[corner, 0], pixels[corner + 1, 1]], 1)
    pixels = np.concatenate([pixels, between])
    inside = ((pixels >= 0) & (pixels < np.array(shape))).all(1)
    y, x = pixels[inside].T
    return y, x


def _led_on(line: NDArray[np.floating], mask: Mask) -> NDArray[np.float64]:
    """Lead a line on beyond those of its ends that lie in the cell, in the direction that it has there."""
    points = np.asarray(line, float)
    length = np.concatenate([[0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
    if length[-1] == 0:
        raise ConfigError("the line has no length; draw it across the cell")
    reach = max(length[-1] / 4, min(3.0, length[-1]))  # the last pixels of a hand's stroke point anywhere
    first, last = (
        points[np.searchsorted(length, reach)],
        points[np.searchsorted(length, length[-1] - reach, "right") - 1],
    )
    far = sum(mask.shape)
    parts = [points]
    for end, towards in ((points[0], first), (points[-1], last)):
        y, x = _points(end[None], mask.shape)
        if mask[y, x].any():
            parts.append((end + _unit(end - towards) * far)[None])
        else:
            parts.append(end[None])
    return np.concatenate([parts[1], parts[0], parts[2]])


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return vector / max(np.hypot(*vector), 1e-9)


def _lesser_of_two(mask: Mask, parts: NDArray[np.integer]) -> Mask:
    """Give every pixel of a cell to one of the two largest parts; return the smaller."""
    from skimage.segmentation import watershed

    size = np.bincount(parts.ravel())
    size[0] = 0
    large, small = np.argsort(size)[-2:][::-1]
    seeds = np.where(parts == large, 1, np.where(parts == small, 2, 0))
    owner = watershed(np.zeros(mask.shape, np.uint8), seeds, mask=mask)
    return np.asarray(owner == 2)
