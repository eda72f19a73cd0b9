"""From the input's pixels to the canonical scale, and smoothly back."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

__all__ = ["resize_image", "resize_labels", "resize_map"]


def resize_image(image: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize an RGB image; where it shrinks, every pixel has its say.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8.
    shape : tuple of int
        Height and width wanted.
    """
    if image.shape[:2] == shape:
        return image
    small = Image.fromarray(image).resize(shape[::-1], Image.Resampling.BILINEAR)
    return np.asarray(small)


def resize_map(values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resize a map of numbers (H, W) bilinearly, smoothed first where it shrinks.

    Parameters
    ----------
    values : ndarray of float32, shape (H, W)
        Such as a prior or a probability.
    shape : tuple of int
        Height and width wanted.

    Returns
    -------
    ndarray of float32, shape `shape`
        `values` itself if it has that shape already.
    """
    if values.shape == shape:
        return values
    x = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    return F.interpolate(x, shape, mode="bilinear", align_corners=False, antialias=True)[0, 0].numpy()


def resize_labels(labels: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Resize a label image without stairs: each pixel takes the label that weighs most around it.

    The same as resizing a mask of each label bilinearly and taking the highest, without the masks.

    Parameters
    ----------
    labels : ndarray
        (H, W) int32.
    shape : tuple of int
        Height and width wanted.
    """
    if labels.shape == shape:
        return labels
    rows = [_neighbours(old, new) for old, new in zip(labels.shape, shape, strict=True)]
    (y0, y1, wy), (x0, x1, wx) = rows
    corners = [labels[np.ix_(y, x)] for y in (y0, y1) for x in (x0, x1)]
    out = corners[0].copy()
    mixed = np.nonzero((corners[1] != out) | (corners[2] != out) | (corners[3] != out))
    at = np.stack([corner[mixed] for corner in corners])
    fy, fx = wy[mixed[0]], wx[mixed[1]]
    weight = np.stack([(1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx])
    votes = np.stack([(weight * (at == one)).sum(0) for one in at])
    out[mixed] = np.take_along_axis(at, votes.argmax(0)[None], 0)[0]
    return out


def _neighbours(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    # Pixel centres, as torch and Pillow place them.
    position = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    below = np.floor(position).astype(np.intp)
    return below, np.minimum(below + 1, old - 1), position - below
