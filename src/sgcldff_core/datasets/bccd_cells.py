"""Which pixels of a BCCD field belong to which leukocyte: its mask and its boxes resolve each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from sgcldff_core.datasets.masks import cells_of
from sgcldff_core.datasets.rasters import read_grey

if TYPE_CHECKING:
    from sgcldff_core.sample import Box

__all__ = ["FieldCells", "cells_in_boxes", "read_field_cells", "read_field_labels", "read_field_nucleus"]

# Midway between 0, 155 for cytoplasm and 255 for nucleus; the noisy grey masks have their gaps there too.
_CELL, _NUCLEUS = 77, 205

# A part of the mask answers to a box that holds this share of the part, or of which it fills this share.
_PART_IN_BOX, _BOX_FILLED = 0.5, 0.35

# A leukocyte's box may be drawn a little tight, but more than this share outside is another cell.
_OUTSIDE, _MARGIN_PX = 0.1, 4


@dataclass(frozen=True, slots=True)
class FieldCells:
    """The leukocytes of a field.

    Attributes
    ----------
    labels : ndarray of int32, shape (H, W)
        1 to N are the leukocytes of boxes 1 to N (a number is missing where a box has no mask);
        numbers above N are cells that nobody boxed.
    cut : tuple of int
        Labels whose mask ran on into another cell and was cut at the box.
    misfits : tuple of int
        Labels in whose box so little is filled that the mask must be of something else.
    """

    labels: NDArray[np.int32]
    cut: tuple[int, ...] = ()
    misfits: tuple[int, ...] = ()


def cells_in_boxes(foreground: NDArray[np.bool_], boxes: tuple[Box, ...]) -> FieldCells:
    """Give each leukocyte of a mask the number of its box.

    A cell in several parts, split by a thin gap, is joined by its box; one part with several
    boxes, cells that touch, is split by a watershed grown from what lies in one box alone.

    Parameters
    ----------
    foreground : ndarray of bool, shape (H, W)
        Where leukocytes are.
    boxes : tuple of Box
        Boxes of leukocytes.

    Returns
    -------
    FieldCells
        Labels, those that were cut at a box, and those that hardly fill theirs.
    """
    parts = cells_of(foreground)
    inside = np.stack([_filled(box, foreground.shape) for box in boxes]) if boxes else np.zeros((0, *foreground.shape))
    labels = np.zeros(foreground.shape, np.int32)
    cut, unboxed = [], len(boxes)
    for number in range(1, parts.max(initial=0) + 1):
        part = parts == number
        shared = [int((part & box).sum()) for box in inside]
        owners = [
            i
            for i, pixels in enumerate(shared)
            if pixels >= _PART_IN_BOX * part.sum() or pixels >= _BOX_FILLED * inside[i].sum()
        ]
        if not owners:
            unboxed += 1
            labels[part] = unboxed
        elif len(owners) > 1:
            labels[part] = np.array([0, *(i + 1 for i in owners)], np.int32)[_split(part, inside[owners])[part]]
        elif part.sum() - shared[owners[0]] > _OUTSIDE * part.sum():
            labels[part & _filled(boxes[owners[0]], part.shape, _MARGIN_PX)] = owners[0] + 1
            cut.append(owners[0] + 1)
        else:
            labels[part] = owners[0] + 1
    # A neighbour's pixels count too: what a cell lost to one that overlaps it does not make its mask another's.
    misfits = tuple(
        i
        for i, box in enumerate(inside, start=1)
        if ((labels == i) & box).any() and (foreground & box).sum() < _BOX_FILLED * box.sum()
    )
    return FieldCells(labels, tuple(cut), misfits)


def _filled(box: Box, shape: tuple[int, ...], margin: int = 0) -> NDArray[np.bool_]:
    """Return the pixels of a box, and of a margin about it."""
    mask = np.zeros(shape, bool)
    y0, x0 = (max(int(corner) - margin, 0) for corner in (box.y0, box.x0))
    mask[y0 : int(box.y1) + margin, x0 : int(box.x1) + margin] = True
    return mask


def _split(part: NDArray[np.bool_], inside: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return 1 to N for the N boxes that share a part, cut where the part is narrow."""
    alone = inside & (inside.sum(axis=0) == 1) & part
    depth = ndimage.distance_transform_edt(part)
    markers = np.zeros(part.shape, np.int32)
    for i, seed in enumerate(alone, start=1):
        # Only the deep inside: the rim of one cell may reach into what the other's box holds alone.
        markers[seed & (depth >= 0.5 * depth[seed].max(initial=0))] = i
    grown: NDArray[np.int32] = watershed(-depth, markers, mask=part)
    return grown


def read_field_cells(path: Path, *, boxes: tuple[Box, ...]) -> FieldCells:
    """Read the mask of a field and give each leukocyte the number of its box.

    Parameters
    ----------
    path : Path
        Greyscale mask: 155 cytoplasm, 255 nucleus.
    boxes : tuple of Box
        Boxes of leukocytes.
    """
    return cells_in_boxes(read_grey(path) > _CELL, boxes)


def read_field_labels(path: Path, *, boxes: tuple[Box, ...]) -> NDArray[np.int32]:
    """Read the mask of a field as (H, W) int32 labels, numbered as in `FieldCells`.

    Parameters
    ----------
    path : Path
        As for `read_field_cells`.
    boxes : tuple of Box
        Boxes of leukocytes.
    """
    return read_field_cells(path, boxes=boxes).labels


def read_field_nucleus(path: Path, *, boxes: tuple[Box, ...]) -> NDArray[np.bool_]:
    """Read the nuclei of what `read_field_labels` labels, as (H, W) bool.

    Parameters
    ----------
    path : Path
        As for `read_field_cells`.
    boxes : tuple of Box
        Boxes of leukocytes.
    """
    grey = read_grey(path)
    return (grey > _NUCLEUS) & (cells_in_boxes(grey > _CELL, boxes).labels > 0)
