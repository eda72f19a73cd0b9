"""What each cell is: pool the fused map inside its outline and its nucleus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from sgcldff_core.inference.forward import FieldMaps, evaluating
from sgcldff_core.model import FUSED_STRIDE, Model

__all__ = ["CellWindows", "cell_windows", "classify_cells"]

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

    labels: NDArray[np.int64]
    corners: NDArray[np.int64]
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
    order = np.argsort(sides, kind="stable")
    for start in range(0, len(order), chunk):
        chosen = order[start : start + chunk]
        side = int(np.ceil(sides[chosen].max() * (1 + 2 * margin) / FUSED_STRIDE)) + 2
        centres = np.array([[(s.start + s.stop) / 2 for s in boxes[i]] for i in chosen])
        corners = np.floor(centres / FUSED_STRIDE - side / 2).astype(np.int64)
        fused, cells, nuclei = [], [], []
        for index, corner in zip(chosen, corners, strict=True):
            fused.append(_window(maps.fused, corner, side))
            pixels = _window(probability, corner * FUSED_STRIDE, side * FUSED_STRIDE)
            own = _window(torch.from_numpy(labels)[None], corner * FUSED_STRIDE, side * FUSED_STRIDE) == index + 1
            pixels = pixels * own.to(pixels.device)
            cell, nucleus = F.avg_pool2d(pixels, FUSED_STRIDE)
            cells.append(cell)
            nuclei.append(nucleus)
        yield CellWindows(chosen + 1, corners, torch.stack(fused), torch.stack(cells), torch.stack(nuclei))


def classify_cells(model: Model, maps: FieldMaps, labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the probability of each class for each cell.

    Parameters
    ----------
    model : Model
        The one whose network made `maps`.
    maps : FieldMaps
        Of the field.
    labels : ndarray
        (H, W) int32, the field's cells numbered 1..N.

    Returns
    -------
    ndarray
        (N, classes) float32, calibrated; rows sum to 1; row i is of label i + 1.
    """
    found = np.zeros((int(labels.max(initial=0)), len(model.config.classes)), np.float32)
    with torch.inference_mode(), evaluating(model.network):
        for windows in cell_windows(maps, labels):
            own_image = torch.arange(len(windows.labels), device=windows.fused.device)
            logits, _ = model.network.classify(windows.fused, windows.cells, windows.nuclei, own_image)
            found[windows.labels - 1] = (logits / model.temperature).softmax(1).cpu().numpy()
    return found


def _window(x: Tensor, corner: NDArray[np.int64], side: int) -> Tensor:
    # Where the window leaves the field there are zeros.
    y, x0 = int(corner[0]), int(corner[1])
    height, width = x.shape[-2:]
    inside = x[..., max(y, 0) : min(y + side, height), max(x0, 0) : min(x0 + side, width)]
    pad = (max(-x0, 0), max(x0 + side - width, 0), max(-y, 0), max(y + side - height, 0))
    return F.pad(inside, pad)
