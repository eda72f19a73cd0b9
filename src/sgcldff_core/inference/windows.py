"""Each cell of a field in a window of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional as F

from sgcldff_core.model import FUSED_STRIDE

if TYPE_CHECKING:
    from torch import Tensor

    from sgcldff_core.inference.forward import FieldMaps

__all__ = ["CellWindows", "cell_windows", "cut"]

_CHUNK = 32  # cells at a time: bounds memory


@dataclass(frozen=True, slots=True, eq=False)
class CellWindows:
    """Some cells of a field, each in a window of the fused map with itself in the middle.

    Attributes
    ----------
    labels : ndarray
        (N,) int, labels of the cells.
    corners : ndarray
        (N, 2) int, row and column of each window's first pixel in the fused map; may be negative.
    fused : Tensor
        (N, C, k, k) float32, zero outside the field.
    cells, nuclei : Tensor
        (N, k, k) float32 in [0, 1], soft masks of the cell and of its nucleus.
    """

    labels: NDArray[np.intp]
    corners: NDArray[np.intp]
    fused: Tensor
    cells: Tensor
    nuclei: Tensor


def cell_windows(
    maps: FieldMaps, labels: NDArray[np.int32], *, margin: float = 0.0, chunk: int = _CHUNK
) -> Iterator[CellWindows]:
    """Cut a window out of the fused map around each cell; small cells first, `chunk` at a time.

    Parameters
    ----------
    maps : FieldMaps
        Of the field.
    labels : ndarray
        (H, W) int32, the field's cells numbered 1..N.
    margin : float
        Room around the cell, as a share of the longer side of its box.
    chunk : int
        Cells in one `CellWindows`.

    Yields
    ------
    CellWindows
        On the device of `maps`.
    """
    boxes = ndimage.find_objects(labels)
    sides = np.array([max(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in boxes])
    probability = maps.logits[:2].sigmoid()
    numbered = torch.as_tensor(labels, device=maps.logits.device)[None]
    order = np.argsort(sides, kind="stable")
    for start in range(0, len(order), chunk):
        chosen = order[start : start + chunk]
        side = int(np.ceil(sides[chosen].max() * (1 + 2 * margin) / FUSED_STRIDE)) + 2
        centres = np.array([[(s.start + s.stop) / 2 for s in boxes[i]] for i in chosen])
        corners = np.floor(centres / FUSED_STRIDE - side / 2).astype(np.intp)
        masks = []
        for index, corner in zip(chosen, corners, strict=True):
            place = (corner * FUSED_STRIDE, side * FUSED_STRIDE)
            masks.append(F.avg_pool2d(cut(probability, *place) * (cut(numbered, *place) == index + 1), FUSED_STRIDE))
        cells, nuclei = torch.stack(masks, 1)
        fused = torch.stack([cut(maps.fused, corner, side) for corner in corners])
        yield CellWindows(chosen + 1, corners, fused, cells, nuclei)


def cut(x: Tensor, corner: NDArray[np.intp], side: int) -> Tensor:
    """Cut a square out of a map (..., H, W), with zeros where it leaves the map.

    Parameters
    ----------
    x : Tensor
        Of any number of leading axes.
    corner : ndarray of int, shape (2,)
        Row and column of the square's first pixel; may be negative.
    side : int
        Of the square, in pixels of the map.

    Returns
    -------
    Tensor, shape (..., side, side)
        Of the same dtype, on the same device.
    """
    y, x0 = int(corner[0]), int(corner[1])
    height, width = x.shape[-2:]
    inside = x[..., max(y, 0) : min(y + side, height), max(x0, 0) : min(x0 + side, width)]
    return F.pad(inside, (max(-x0, 0), max(x0 + side - width, 0), max(-y, 0), max(y + side - height, 0)))
