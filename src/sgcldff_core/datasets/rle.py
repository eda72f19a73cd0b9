"""COCO's run lengths and polygons as masks, without pycocotools.

References
----------
Lin et al.: Microsoft COCO: common objects in context. ECCV 2014.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon

__all__ = ["check_segmentation", "decode_counts", "mask_of"]


def decode_counts(text: str) -> list[int]:
    """Return the run lengths that COCO packs into a string.

    Parameters
    ----------
    text : str
        Six bits a character from ``0`` on: five of the number, least first, and one that says
        that more follow. From the fourth on a number is the difference to the one two before.

    Returns
    -------
    list of int
        Pixels outside, inside, outside and so on; may be wrong for the image, which the caller checks.

    Raises
    ------
    ValueError
        If the string is none of this kind.

    Examples
    --------
    >>> decode_counts("13")
    [1, 3]
    """
    counts: list[int] = []
    number = shift = 0
    for character in text.encode():
        bits = character - 48
        if not 0 <= bits < 64:
            raise ValueError(f"a run length holds the character {chr(character)!r}")
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                number -= 1 << shift
            counts.append(number + counts[-2] if len(counts) > 2 else number)
            number = shift = 0
    if shift:
        raise ValueError("the run lengths end in the middle of a number")
    return counts


def mask_of(segmentation: object, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the pixels of a COCO segmentation.

    Parameters
    ----------
    segmentation : mapping or list
        Run lengths, ``{"size": [H, W], "counts": ...}`` as numbers or packed, or polygons
        ``[[x, y, x, y, ...], ...]`` in pixels, (0, 0) the outer corner of the first pixel.
    shape : tuple of int
        Height and width of the image.

    Returns
    -------
    ndarray of bool, shape (H, W)
        With polygons, the pixels whose centres lie inside.

    Raises
    ------
    ValueError
        If it is neither, or does not fit the image.

    Examples
    --------
    >>> mask_of({"size": [2, 2], "counts": [1, 3]}, (2, 2)).astype(int)
    array([[0, 1],
           [1, 1]])
    """
    if isinstance(segmentation, Mapping):
        runs = _run_lengths(segmentation, shape)
        # Columns first, beginning with what is outside.
        return np.repeat(np.arange(runs.size) % 2 == 1, runs).reshape(shape, order="F")
    mask = np.zeros(shape, bool)
    for points in _rings(segmentation):
        mask[polygon(points[1::2] - 0.5, points[::2] - 0.5, shape)] = True
    return mask


def check_segmentation(segmentation: object, shape: tuple[int, int]) -> None:
    """Check a COCO segmentation without drawing it.

    Parameters
    ----------
    segmentation, shape
        As for `mask_of`.

    Raises
    ------
    ValueError
        As `mask_of`.
    """
    if isinstance(segmentation, Mapping):
        _run_lengths(segmentation, shape)
    else:
        _rings(segmentation)


def _rings(segmentation: object) -> list[NDArray[np.float64]]:
    if not isinstance(segmentation, list) or not all(isinstance(ring, list) for ring in segmentation):
        raise ValueError("the segmentation is neither run lengths nor polygons")
    rings = [np.asarray(ring, float) for ring in segmentation]
    if any(ring.ndim != 1 or ring.size < 6 or ring.size % 2 or not np.isfinite(ring).all() for ring in rings):
        raise ValueError("a polygon is no list of at least three pairs of numbers")
    return rings


def _run_lengths(rle: Mapping[str, Any], shape: tuple[int, int]) -> NDArray[np.int64]:
    size, counts = rle.get("size"), rle.get("counts")
    if not isinstance(size, list) or tuple(size) != tuple(shape):
        raise ValueError(f"the run lengths are for the size {size}, the image has {list(shape)}")
    runs = np.asarray(decode_counts(counts) if isinstance(counts, str) else counts)
    whole = runs.ndim == 1 and np.issubdtype(runs.dtype, np.integer)
    # Each by itself too: the sum of huge ones may wrap around to what it should be.
    if not whole or (runs < 0).any() or (runs > np.prod(shape)).any() or runs.sum() != np.prod(shape):
        raise ValueError(f"the run lengths do not add up to the {np.prod(shape)} pixels of the image")
    return runs
