"""The cell at a point that a person shows, however unsure the model is of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError
from sgcldff_core.inference.field import look_again, look_at
from sgcldff_core.inference.forward import FieldMaps
from sgcldff_core.inference.instances import InstanceSettings, separate_cells
from sgcldff_core.inference.prediction import Prediction, describe_cells
from sgcldff_core.inference.resampling import resize_labels
from sgcldff_core.inference.tiling import DEFAULT_TILE

if TYPE_CHECKING:
    from sgcldff_core.model import Model

__all__ = ["Proposal", "propose_cell"]

# A person says that there is a cell, so none of the doubts counts that a field is searched with.
_THRESHOLDS = (0.5, 0.3, 0.15, 0.06)
_CREDULOUS = InstanceSettings(smallest=0.02, smallest_at_border=0.01, sure=0, nucleus=0, deep=0)
_LARGEST = 4.0  # areas of a typical cell: more is the background, seen at too low a threshold
_SIDE = 4.0  # of the window that is looked at, in diameters
_NEAR = 0.12  # diameters: how far beside the cell a person may point


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A cell that the model proposes.

    Attributes
    ----------
    prediction : Prediction
        Of a window of the image, with this cell as label 1.
    corner : tuple of int
        Row and column of the window's first pixel in the image.
    """

    prediction: Prediction
    corner: tuple[int, int]


def propose_cell(
    image: NDArray[np.uint8],
    model: Model,
    point: tuple[float, float],
    diameter: float,
    *,
    taken: NDArray[np.bool_] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Proposal | None:
    """Outline and name the cell at a point.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    model : Model
        On any device.
    point : tuple of float
        Row and column in px, inside the image.
    diameter : float
        Of a typical leukocyte in px.
    taken : ndarray, optional
        (H, W) bool, pixels of other cells, that no part of this one may be.
    progress : callable, optional
        Called with the name of the stage, steps done and steps in all; may raise to stop.

    Returns
    -------
    Proposal or None
        None where the model sees nothing like a cell.

    Raises
    ------
    ConfigError
        If the point is outside the image, or the diameter is less than a pixel.
    """
    y, x = point
    if not (0 <= y < image.shape[0] and 0 <= x < image.shape[1]):
        raise ConfigError(f"the point ({y:.0f}, {x:.0f}) is outside the image of {image.shape[0]}x{image.shape[1]} px")
    if not 1 <= diameter < np.inf:
        raise ConfigError(f"diameter must be at least 1 px, got {diameter}")
    half = _SIDE / 2 * diameter
    rows, columns = (
        slice(max(0, int(at - half)), min(side, int(at + half) + 1))
        for at, side in zip(point, image.shape[:2], strict=True)
    )
    part = model.in_own_stain(np.ascontiguousarray(image[rows, columns]))

    def stage(title: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(title, done, total)

    direct = look_at(part, model, diameter, tile=DEFAULT_TILE, progress=stage("looking at the cell"))
    view, reflected = look_again(
        direct, model, [(False, True)], tile=DEFAULT_TILE, progress=stage("looking in the mirror")
    )
    scale = np.array(view.labels.shape) / part.shape[:2]
    at = (np.array([y - rows.start, x - columns.start]) + 0.5) * scale
    blocked = None
    if taken is not None:
        blocked = resize_labels(taken[rows, columns].astype(np.int32), view.labels.shape[:2]) > 0
    mask = _cell_at(view.maps, at, model.config.canonical_diameter, blocked)
    if mask is None:
        return None
    view = replace(view, outlined=mask.astype(np.int32), maps=_without_others(view.maps, mask))
    prediction = describe_cells(view, model, (direct.maps, reflected), part.shape[:2], name="", explain=False)
    return Proposal(prediction, (rows.start, columns.start)) if len(prediction.cells) else None


def _without_others(maps: FieldMaps, mask: NDArray[np.bool_]) -> FieldMaps:
    """Take from the maps what belongs to other cells, or the outline would reach into those that touch."""
    logits = maps.logits.clone()
    others = ~torch.as_tensor(mask, device=logits.device)
    logits[0] = torch.where(others, logits[0].clamp(max=-1e-3), logits[0])
    return FieldMaps(logits, maps.fused)


def _cell_at(
    maps: FieldMaps, at: NDArray[np.float64], diameter: float, blocked: NDArray[np.bool_] | None
) -> NDArray[np.bool_] | None:
    """Return the mask of the cell at a point, seen at the highest threshold that shows one."""
    cell, nucleus, distance = torch.sigmoid(maps.logits).cpu().numpy()
    if blocked is not None:
        cell = np.where(blocked, 0, cell)
    y, x = np.mgrid[: cell.shape[0], : cell.shape[1]]
    away = np.hypot(y + 0.5 - at[0], x + 0.5 - at[1])
    for threshold in _THRESHOLDS:
        labels = separate_cells(cell, nucleus, distance, diameter, replace(_CREDULOUS, threshold=threshold))
        reach = np.where(labels > 0, away, np.inf)
        nearest = np.unravel_index(reach.argmin(), reach.shape)
        if reach[nearest] > _NEAR * diameter:
            continue
        mask = np.asarray(labels == labels[nearest])
        if mask.sum() <= _LARGEST * np.pi / 4 * diameter**2:
            return mask
    return None
