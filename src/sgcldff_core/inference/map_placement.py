"""Where a cell's map lies on the image: the cell and some room around it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["Window", "cell_boxes", "joined", "on_image", "placed", "sampled", "widened"]

Window = tuple[slice, slice]
"""Rows and columns."""

_MARGIN = 0.5  # of a cell's longer side, on each side: how far its map reaches


def cell_boxes(labels: NDArray[np.integer], numbers: NDArray[np.int64]) -> list[Window]:
    """Return the box of each label; numbers may have gaps.

    Parameters
    ----------
    labels : ndarray
        (H, W) instance labels, 0 background.
    numbers : ndarray
        (N,) int, ascending, all that occur.
    """
    numbered = np.where(labels > 0, np.searchsorted(numbers, labels) + 1, 0)
    return list(ndimage.find_objects(numbered))


def widened(box: Window, shape: tuple[int, ...]) -> Window:
    """Return a cell's box and half of its longer side around it, as far as the image reaches.

    Parameters
    ----------
    box : tuple of slice
        Rows and columns of the cell, within the image.
    shape : tuple of int
        Height and width of the image in px.
    """
    margin = int(np.ceil(_MARGIN * max(side.stop - side.start for side in box)))
    rows, columns = (
        slice(max(side.start - margin, 0), min(side.stop + margin, length))
        for side, length in zip(box, shape, strict=True)
    )
    return rows, columns


def placed(
    labels: NDArray[np.integer], number: int, box: Window
) -> tuple[Window, NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where a cell's map lies on the image, the cell there, and where the map may be shown.

    Parameters
    ----------
    labels : ndarray
        (H, W) instance labels of the image, 0 background.
    number : int
        The cell's label.
    box : tuple of slice
        Its rows and columns.

    Returns
    -------
    place : tuple of slice
        See `widened`.
    own, free : ndarray
        (h, w) bool on `place`: the cell, and the cell with what is no other cell.
    """
    place = widened(box, labels.shape)
    part = labels[place]
    own = part == number
    return place, own, own | (part == 0)


def joined(maps: Iterable[tuple[Window, NDArray[np.float32]]], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Put the maps of cells together into one of the image.

    Parameters
    ----------
    maps : iterable of tuple
        Place and (h, w) float32 map of each cell.
    shape : tuple of int
        Height and width of the image.

    Returns
    -------
    ndarray
        (H, W) float32, the largest of all cells' maps, 0 where there is none.
    """
    whole = np.zeros(shape, np.float32)
    for place, values in maps:
        part = whole[place]
        np.maximum(part, values, out=part)
    return whole


def on_image(
    evidence: NDArray[np.float32],
    place: Window,
    window: Window,
    factor: tuple[float, float],
    stride: float,
    free: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Bring a map onto the pixels of the image, scaled to a largest value of 1.

    Parameters
    ----------
    evidence : ndarray
        (h, w) float32, not negative, of a part of the field.
    place : tuple of slice
        Rows and columns of the image.
    window : tuple of slice
        Rows and columns of the field at the canonical scale that the map covers.
    factor : tuple of float
        Px of the canonical scale for one px of the image, down and across.
    stride : float
        Px of the canonical scale for one px of the map.
    free : ndarray
        (H, W) bool on `place`, where the map may be shown.
    """
    shown = sampled(evidence, place, window, factor, stride) * free
    largest = shown.max(initial=0)
    if largest > 0:
        shown /= largest
    return shown


def sampled(
    values: NDArray[np.float32], place: Window, window: Window, factor: tuple[float, float], stride: float
) -> NDArray[np.float32]:
    """Return a map of a part of the field at pixels of the image; see `on_image`.

    Parameters
    ----------
    values : ndarray
        (h, w) float32; linear between its pixels, beyond them as at the border.
    place, window, factor, stride
        As for `on_image`.
    """
    # Pixel centres of the image, at the canonical scale, in the neighbourhood, on the level.
    y, x = (
        ((np.arange(side.start, side.stop) + 0.5) * scale - around.start) / stride - 0.5
        for side, around, scale in zip(place, window, factor, strict=True)
    )
    grid = np.meshgrid(y, x, indexing="ij")
    found: NDArray[np.float32] = ndimage.map_coordinates(values, grid, order=1, mode="nearest")
    return found
