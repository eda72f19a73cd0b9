"""Views: what the network is shown of an image, after one geometric transform."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sgcldff_core.model.network import IMAGENET_MEAN
from sgcldff_core.training.prepared import MARGIN, PreparedSample

if TYPE_CHECKING:
    from sgcldff_core.training.config import AugmentationConfig

__all__ = ["FILL", "Placement", "View", "draw_placement", "render_view"]

FILL = IMAGENET_MEAN
"""Colour outside the image: normalisation turns it into zero, just as the network's own padding is zero."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how a view looks at an image.

    Attributes
    ----------
    centre : tuple of float
        Row and column of the prepared image that comes to lie at the view's centre.
    zoom : float
        Pixels of the view for one pixel of the prepared image.
    angle : float
        Rotation in radians.
    mirror : bool
        Flip columns before rotating.
    """

    centre: tuple[float, float]
    zoom: float
    angle: float
    mirror: bool

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(2, 2) from offsets in the view to offsets in the prepared image, rows before columns."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        flip = np.diag([1.0, -1.0 if self.mirror else 1.0])
        rotation: NDArray[np.float64] = np.array([[cos, -sin], [sin, cos]])
        return rotation @ flip / self.zoom

    def into_view(self, points: NDArray[np.float32], size: int) -> NDArray[np.float64]:
        """Bring (N, 2) points of the prepared image to pixels of the view.

        Parameters
        ----------
        points : ndarray of float32, shape (N, 2)
            Rows and columns.
        size : int
            Of the view's side, in pixels.
        """
        offsets = (points - np.array(self.centre)) @ np.linalg.inv(self.matrix).T
        return np.asarray(offsets + size / 2)


@dataclass(frozen=True, slots=True)
class View:
    """One training view of ``S`` by ``S`` px.

    Attributes
    ----------
    image : Tensor
        (3, S, S) float in [0, 1].
    prior : Tensor
        (1, S, S) float in [0, 1].
    labels : Tensor or None
        (S, S) int64 instance labels; None where the image has no masks.
    nucleus : Tensor or None
        (S, S) bool.
    inside : Tensor
        (S, S) bool, where the view lies within the image.
    class_of_label : dict of int to int
        Class of the cells that are shown well enough to be named.
    boxed : bool
        Whether somebody drew boxes; without one, the view then shows no leukocyte.
    boxes : ndarray
        (K, 4) y0, x0, y1, x1 in px of the view, of leukocytes without a mask.
    box_classes : ndarray
        (K,).
    points : ndarray
        (P, 2).
    point_classes : ndarray
        (P,).
    image_class : int
        Of the image as a whole.
    """

    image: Tensor
    prior: Tensor
    labels: Tensor | None
    nucleus: Tensor | None
    inside: Tensor
    class_of_label: dict[int, int]
    boxed: bool
    boxes: NDArray[np.float64]
    box_classes: NDArray[np.int64]
    points: NDArray[np.float64]
    point_classes: NDArray[np.int64]
    image_class: int


def draw_placement(
    sample: PreparedSample, rng: np.random.Generator, size: int, augmentation: AugmentationConfig
) -> Placement:
    """Draw where a view looks: mostly at one of the cells, off centre, at a random scale and angle.

    Parameters
    ----------
    sample : PreparedSample
        The image and its cells.
    rng : Generator
        Where chance comes from.
    size : int
        Of the view's side, in pixels.
    augmentation : AugmentationConfig
        How far scale, place and angle may vary.
    """
    low, high = augmentation.scale
    zoom = math.exp(rng.uniform(math.log(low), math.log(high))) / MARGIN
    # Boxes stay boxes only under quarter turns.
    angle = rng.integers(4) * math.pi / 2 if len(sample.boxes) else rng.uniform(-math.pi, math.pi)
    height, width = sample.image.shape[:2]
    if rng.random() < augmentation.elsewhere:
        centre = (rng.uniform(0, height), rng.uniform(0, width))
    else:
        y, x = _some_cell(sample, rng)
        reach = augmentation.shift * size / zoom
        centre = (y + rng.uniform(-reach, reach), x + rng.uniform(-reach, reach))
    centre = (_keep_in(centre[0], height, size / zoom), _keep_in(centre[1], width, size / zoom))
    return Placement(centre, zoom, float(angle), bool(rng.random() < 0.5))


def render_view(sample: PreparedSample, placement: Placement, size: int) -> View:
    """Resample an image and its annotation once.

    Parameters
    ----------
    sample : PreparedSample
        The image.
    placement : Placement
        Where and how to look at it.
    size : int
        Side of the view in px.
    """
    height, width = sample.image.shape[:2]
    grid = _sampling_grid(placement, size, height, width)
    fill = torch.tensor(FILL).view(3, 1, 1)
    image = torch.from_numpy(sample.image).permute(2, 0, 1).float() / 255 - fill
    smooth = torch.cat([image, torch.from_numpy(sample.prior)[None].float() / 255])
    smooth = F.grid_sample(smooth[None], grid, mode="bilinear", align_corners=False)[0]
    marks = torch.stack(
        [
            torch.ones(height, width),
            torch.zeros(height, width) if sample.labels is None else torch.from_numpy(sample.labels).float(),
            torch.zeros(height, width) if sample.nucleus is None else torch.from_numpy(sample.nucleus).float(),
        ]
    )
    marks = F.grid_sample(marks[None], grid, mode="nearest", align_corners=False)[0]
    labels = None if sample.labels is None else marks[1].round().long()
    corners = placement.into_view(sample.boxes.reshape(-1, 2), size).reshape(-1, 2, 2)
    boxes = np.concatenate([corners.min(1), corners.max(1)], 1) if len(corners) else np.zeros((0, 4))
    visible = _visible_boxes(boxes, size)
    points = placement.into_view(sample.points, size) if len(sample.points) else np.zeros((0, 2))
    in_view = ((points >= 0) & (points < size)).all(1)
    return View(
        image=smooth[:3] + fill,
        prior=smooth[3:],
        labels=labels,
        nucleus=None if sample.nucleus is None else marks[2] > 0.5,
        inside=marks[0] > 0.5,
        class_of_label={} if labels is None else _shown_well(sample, labels, placement.zoom),
        boxed=sample.boxed,
        boxes=boxes[visible],
        box_classes=sample.box_classes[visible],
        points=points[in_view],
        point_classes=sample.point_classes[in_view],
        image_class=sample.image_class,
    )


def _keep_in(centre: float, side: float, reach: float, outside: float = 0.25) -> float:
    """Move a view back so that not much of it lies outside the image, where nothing is learned."""
    low, high = (0.5 - outside) * reach, side - (0.5 - outside) * reach
    return float(np.clip(centre, low, high)) if low < high else side / 2


def _sampling_grid(placement: Placement, size: int, height: int, width: int) -> Tensor:
    steps = np.arange(size) + 0.5 - size / 2
    offsets = np.stack(np.meshgrid(steps, steps, indexing="ij"), -1) @ placement.matrix.T
    where = offsets + np.array(placement.centre)  # (S, S, 2) rows, columns
    where = 2 * where / np.array([height, width]) - 1
    return torch.from_numpy(np.ascontiguousarray(where[None, ..., ::-1])).float()


def _some_cell(sample: PreparedSample, rng: np.random.Generator) -> tuple[float, float]:
    places = [tuple(p) for p in sample.points] + [((b[0] + b[2]) / 2, (b[1] + b[3]) / 2) for b in sample.boxes]
    if sample.labels is not None:
        for label in np.unique(sample.labels)[1:]:
            rows, columns = np.nonzero(sample.labels == label)
            places.append((rows.mean(), columns.mean()))
    if not places:
        height, width = sample.image.shape[:2]
        return rng.uniform(0, height), rng.uniform(0, width)
    y, x = places[rng.integers(len(places))]
    return float(y), float(x)


def _visible_boxes(boxes: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    clipped = boxes.clip(0, size)
    area, seen = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (boxes, clipped))
    return np.asarray(seen > 0.1 * np.maximum(area, 1e-6))


def _shown_well(sample: PreparedSample, labels: Tensor, zoom: float, share: float = 0.4) -> dict[int, int]:
    shown = {}
    for label, cell_class in sample.class_of_label.items():
        whole = np.count_nonzero(sample.labels == label) * zoom**2
        if whole and (labels == label).sum().item() >= share * whole:
            shown[label] = cell_class
    return shown
