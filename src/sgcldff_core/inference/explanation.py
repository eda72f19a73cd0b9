"""Grad-CAM of every cell of a field, checked against its outline."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from sgcldff_core.explain import Agreement, cam_agreement, class_activation
from sgcldff_core.inference.windows import cell_windows, cut
from sgcldff_core.model import FUSED_STRIDE

if TYPE_CHECKING:
    from sgcldff_core.inference.forward import FieldMaps

__all__ = ["explain_cells"]

_MARGIN = 0.5  # of a cell's side, on each side: three parts of the window are not the cell


def explain_cells(
    maps: FieldMaps, prior: NDArray[np.float32], labels: NDArray[np.int32], evidence: NDArray[np.float32]
) -> tuple[Agreement, NDArray[np.float32]]:
    """Map where the evidence for each cell's class lies, and compare it with the cell's outline.

    Parameters
    ----------
    maps : FieldMaps
        Of the field.
    prior : ndarray
        (H, W) float32 in [0, 1].
    labels : ndarray
        (H, W) int32, the field's cells numbered 1..N.
    evidence : ndarray
        (N, C) float32, see `sgcldff_core.inference.classification.Classification`.

    Returns
    -------
    agreement : Agreement
        Of the N cells, in the order of their labels.
    activation : ndarray
        (ceil(H/4), ceil(W/4)) float32 in [0, 1], the largest of all cells' maps, none of which
        reaches into another cell.
    """
    device = maps.fused.device
    free = _pooled(torch.as_tensor(labels == 0, dtype=torch.float32, device=device))
    saliency = _pooled(torch.as_tensor(prior, device=device))
    height, width = maps.fused.shape[-2:]
    whole = np.zeros((height, width), np.float32)
    rows: dict[str, list[NDArray[np.float32]]] = {f.name: [] for f in fields(Agreement)}
    order = [np.zeros(0, np.intp)]
    for windows in cell_windows(maps, labels, margin=_MARGIN):
        side = windows.fused.shape[-1]
        activation = class_activation(windows.fused, torch.as_tensor(evidence[windows.labels - 1], device=device))
        background = torch.stack([cut(free, corner, side) for corner in windows.corners])
        local_prior = torch.stack([cut(saliency, corner, side) for corner in windows.corners])
        cam, inside, outside, salient = (x.cpu().numpy() for x in (activation, windows.cells, background, local_prior))
        part = cam_agreement(cam, inside, outside, salient)
        for name, values in rows.items():
            values.append(getattr(part, name))
        order.append(windows.labels)
        for (y, x), shown in zip(windows.corners, cam * np.minimum(inside + outside, 1), strict=True):
            target = whole[max(y, 0) : y + side, max(x, 0) : x + side]
            np.maximum(target, shown[max(-y, 0) :, max(-x, 0) :][: target.shape[0], : target.shape[1]], out=target)
    back = np.argsort(np.concatenate(order))
    kinds = {"pointing": np.bool_}
    joined = {
        name: np.concatenate([np.zeros(0, kinds.get(name, np.float32)), *values])[back] for name, values in rows.items()
    }
    return Agreement(**joined), whole


def _pooled(x: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(x[None, None], FUSED_STRIDE, ceil_mode=True)[0, 0]
