"""What is known of a batch, in the form in which the losses want it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["UNKNOWN", "Targets"]

UNKNOWN = -1
"""Class of a cell whose class is not known."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Annotation of B images of H x W pixels with N cells in all.

    A weight of zero says "not known here": neither cell nor background is learned there.

    Attributes
    ----------
    cell : Tensor
        (B, 1, H, W) float in [0, 1], leukocyte.
    nucleus : Tensor
        (B, 1, H, W) float in [0, 1].
    distance : Tensor
        (B, 1, H, W) float in [0, 1], distance to the outline over its largest value in the cell.
    cell_weight : Tensor
        (B, 1, H, W) float, class-aware weight of each pixel for cell and distance.
    nucleus_weight : Tensor
        (B, 1, H, W) float, likewise for the nucleus.
    guide : Tensor
        (B, 1, H, W) float in [0, 1], the saliency prior, also where the network goes without it.
    attention : Tensor
        (B, 1, H, W) float in [0, 1], where the network should look: the cells where they are outlined,
        the prior where they are not.
    outlined : Tensor
        (B,) bool, whether the image has masks at all.
    pool_cell, pool_nucleus : Tensor
        (N, H/4, W/4) float in [0, 1], where each cell is to be pooled for its class. An all-zero
        nucleus is one that is not known.
    image_of_cell : Tensor
        (N,) long.
    class_of_cell : Tensor
        (N,) long, `UNKNOWN` where it is not known.
    masked : Tensor
        (N,) bool, whether the cell's own outline is known (else pooled by box or prior).
    box : Tensor
        (K, 4) float y0, x0, y1, x1 in px: leukocytes of which only a box is known.
    image_of_box : Tensor
        (K,) long.
    """

    cell: Tensor
    nucleus: Tensor
    distance: Tensor
    cell_weight: Tensor
    nucleus_weight: Tensor
    guide: Tensor
    attention: Tensor
    outlined: Tensor
    pool_cell: Tensor
    pool_nucleus: Tensor
    image_of_cell: Tensor
    class_of_cell: Tensor
    masked: Tensor
    box: Tensor
    image_of_box: Tensor

    def to(self, device: torch.device) -> Targets:
        """Return the same on another device.

        Parameters
        ----------
        device : torch.device
            Where the tensors are wanted; those that are there already are not copied.
        """
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})
