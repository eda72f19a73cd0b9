"""From views to what the losses want."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from sgcldff_core.losses import UNKNOWN, Targets
from sgcldff_core.model import FUSED_STRIDE
from sgcldff_core.training.prepared import UNSURE

if TYPE_CHECKING:
    from sgcldff_core.training.views import View

__all__ = ["collate", "make_targets"]


def make_targets(views: Sequence[View], class_weights: Sequence[float], canonical_diameter: float) -> Targets:
    """Render the annotation of a batch of views.

    Parameters
    ----------
    views : sequence of View
        B views of one size.
    class_weights : sequence of float
        Weight of each class in the mask losses, about one on average.
    canonical_diameter : float
        Of the model in px: cells much smaller than it weigh more, since they have fewer pixels.

    Returns
    -------
    Targets
        Of the B views.
    """
    maps: dict[str, list[Tensor]] = {k: [] for k in _MAPS}
    cells = _Cells()
    boxes: list[Tensor] = []
    image_of_box: list[int] = []
    for b, view in enumerate(views):
        known, positive = _supervised(view, canonical_diameter)
        labels = torch.zeros_like(view.inside, dtype=torch.long) if view.labels is None else view.labels.clamp_min(0)
        weight = known * _cell_weights(labels, view.class_of_label, class_weights, canonical_diameter)
        maps["cell"].append(((labels > 0) | positive).float())
        maps["distance"].append(_outline_distance(labels))
        maps["guide"].append(view.prior[0])
        maps["attention"].append(_attention(view, labels))
        maps["cell_weight"].append(weight)
        has_nucleus = view.nucleus is not None
        maps["nucleus"].append(view.nucleus.float() if view.nucleus is not None else torch.zeros_like(weight))
        maps["nucleus_weight"].append(weight if has_nucleus else torch.zeros_like(weight))
        cells.add(b, view, labels, canonical_diameter)
        boxes += [torch.from_numpy(box).float() for box in view.boxes]
        image_of_box += [b] * len(view.boxes)
    side = views[0].inside.shape[-1] // FUSED_STRIDE
    return Targets(
        **{name: torch.stack(maps[name])[:, None] for name in maps},
        **cells.stacked(side),
        outlined=torch.tensor([view.labels is not None for view in views]),
        box=torch.stack(boxes) if boxes else torch.zeros(0, 4),
        image_of_box=torch.tensor(image_of_box, dtype=torch.long),
    )


def collate(views: Sequence[View]) -> tuple[Tensor, Tensor]:
    """Stack images (B, 3, S, S) and priors (B, 1, S, S).

    Parameters
    ----------
    views : sequence of View
        Of one size S.
    """
    images = torch.stack([v.image for v in views]).contiguous(memory_format=torch.channels_last)
    return images, torch.stack([v.prior for v in views])


_MAPS = ("cell", "nucleus", "distance", "cell_weight", "nucleus_weight", "guide", "attention")


class _Cells:
    """Collects where each cell is to be pooled, and its class."""

    def __init__(self) -> None:
        self.cell: list[Tensor] = []
        self.nucleus: list[Tensor] = []
        self.image: list[int] = []
        self.classes: list[int] = []
        self.masked: list[bool] = []

    def add(self, image: int, view: View, labels: Tensor, diameter: float) -> None:
        nothing = torch.zeros_like(view.inside)
        nucleus = nothing if view.nucleus is None else view.nucleus
        for label in labels.unique().tolist():
            if label:
                mask = labels == label
                self._append(image, mask.float(), (mask & nucleus).float(), view.class_of_label.get(label), True)
        weak = [(_rectangle(box, view), c) for box, c in zip(view.boxes, view.box_classes.tolist(), strict=True)]
        weak += [(_disc(p, diameter / 2, view), c) for p, c in zip(view.points, view.point_classes, strict=True)]
        if view.image_class != UNKNOWN and not weak and view.labels is None:
            weak = [(view.inside, view.image_class)]
        for region, known in weak:
            self._append(image, region * view.prior[0], nothing.float(), int(known), False)

    def _append(self, image: int, cell: Tensor, nucleus: Tensor, known: int | None, masked: bool) -> None:
        self.cell.append(F.avg_pool2d(cell[None], FUSED_STRIDE)[0])
        self.nucleus.append(F.avg_pool2d(nucleus[None], FUSED_STRIDE)[0])
        self.image.append(image)
        self.classes.append(UNKNOWN if known is None else known)
        self.masked.append(masked)

    def stacked(self, side: int) -> dict[str, Tensor]:
        nothing = torch.zeros(0, side, side)
        return {
            "pool_cell": torch.stack(self.cell) if self.cell else nothing,
            "pool_nucleus": torch.stack(self.nucleus) if self.nucleus else nothing,
            "image_of_cell": torch.tensor(self.image, dtype=torch.long),
            "class_of_cell": torch.tensor(self.classes, dtype=torch.long),
            "masked": torch.tensor(self.masked, dtype=torch.bool),
        }


def _supervised(view: View, diameter: float) -> tuple[Tensor, Tensor]:
    """Where the mask is known (float), and which known pixels are cell though no mask says so."""
    nothing = torch.zeros_like(view.inside)
    if view.labels is None and not view.boxed and not len(view.points):
        return nothing.float(), nothing
    known, positive = view.inside.clone(), nothing
    if view.labels is not None:
        known &= view.labels != UNSURE
    for box in view.boxes:
        known &= ~_rectangle(box, view)
    if len(view.points):
        # Around a point a cell, far from all points and without prior background, between unknown.
        near = nothing.clone()
        for point in view.points:
            positive = positive | _disc(point, 0.15 * diameter, view)
            near |= _disc(point, diameter, view)
        known &= positive | (~near & (view.prior[0] < 0.2))
    return known.float(), positive


def _attention(view: View, labels: Tensor) -> Tensor:
    if view.labels is None:
        return view.prior[0]
    wanted = torch.where(view.labels == UNSURE, view.prior[0], (labels > 0).float())
    for box in view.boxes:  # a cell without an outline, among others that have one
        wanted = torch.maximum(wanted, _rectangle(box, view) * view.prior[0])
    return wanted


def _rectangle(box: NDArray[np.float64], view: View) -> Tensor:
    size = view.inside.shape[-1]
    y0, x0, y1, x1 = np.rint(box).clip(0, size).astype(int)
    region = torch.zeros_like(view.inside)
    region[y0:y1, x0:x1] = True
    return region & view.inside


def _disc(point: NDArray[np.float64], radius: float, view: View) -> Tensor:
    steps = torch.arange(view.inside.shape[-1]) + 0.5
    near: Tensor = (steps[:, None] - point[0]) ** 2 + (steps[None] - point[1]) ** 2 <= radius**2
    return near & view.inside


def _cell_weights(labels: Tensor, classes: dict[int, int], class_weights: Sequence[float], diameter: float) -> Tensor:
    typical = np.pi * diameter**2 / 4
    table = torch.ones(int(labels.max()) + 1)
    for label in labels.unique().tolist():
        if label:
            size = float(np.clip(np.sqrt(typical / float((labels == label).sum())), 0.7, 2))
            table[label] = size * class_weights[classes[label]] if label in classes else size
    return table[labels]


def _outline_distance(labels: Tensor) -> Tensor:
    array = labels.numpy()
    distance = np.zeros(array.shape, np.float32)
    for label, where in enumerate(ndimage.find_objects(array), start=1):
        if where is None:
            continue
        # One ring more than the box, so that its rim counts as outline; a cell cut by the border of
        # the view goes on beyond it, so nothing is added there.
        grown = tuple(slice(max(s.start - 1, 0), s.stop + 1) for s in where)
        mask = array[grown] == label
        inner = ndimage.distance_transform_edt(mask)
        distance[grown][mask] = (inner / inner.max())[mask]
    return torch.from_numpy(distance)
