"""A part of a field as the network sees it, with all that lies between the image and the heads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from sgcldff_core.inference.forward import evaluating, network_input
from sgcldff_core.inference.tiling import DEFAULT_TILE, OVERLAP, tile_starts

if TYPE_CHECKING:
    from torch import Tensor

    from sgcldff_core.inference.map_placement import Window
    from sgcldff_core.inference.neighbourhood import LabelledField
    from sgcldff_core.model import SgcldffNetwork

__all__ = ["EncodedPart", "parts_with_cells"]


@dataclass(frozen=True, slots=True, eq=False)
class EncodedPart:
    """What the network computed of a part of a field, looked at directly.

    Attributes
    ----------
    network : SgcldffNetwork
        The one that looked.
    window : tuple of slice
        Rows and columns of the field.
    image, prior : Tensor
        (1, 3, h, w) and (1, 1, h, w) float32, filled up to a multiple of the network's stride.
    stem : Tensor
        (1, C, h/2, w/2) float32.
    levels : tuple of Tensor
        (1, C_l, h/s, w/s) float32 each, gated.
    fused : Tensor
        (1, C, h/4, w/4) float32.
    logits : Tensor
        (1, 3, h, w) float32: cell, nucleus, distance.
    labels : Tensor
        (h, w) int32, the cells as they are numbered in the field, 0 background.
    """

    network: SgcldffNetwork
    window: Window
    image: Tensor
    prior: Tensor
    stem: Tensor
    levels: tuple[Tensor, ...]
    fused: Tensor
    logits: Tensor
    labels: Tensor

    @classmethod
    def of(cls, network: SgcldffNetwork, field: LabelledField, window: Window) -> EncodedPart:
        """Run the network over a part of a field once.

        Parameters
        ----------
        network : SgcldffNetwork
            On any device; its mode is left as it was.
        field : LabelledField
            The field.
        window : tuple of slice
            Rows and columns of the part.
        """
        own = field.labels[window]
        with torch.no_grad(), evaluating(network):
            image, prior = network_input(network, field.image[window], field.prior[window])
            stem, levels = network.encode(image, prior)
            fused = network.fuse(levels, prior)
            logits = network.segment(fused, stem)
        labels = torch.zeros(image.shape[-2:], dtype=torch.int32, device=image.device)
        labels[: own.shape[0], : own.shape[1]] = torch.as_tensor(own, device=image.device)
        return cls(network, window, image, prior, stem, tuple(levels), fused, logits, labels)


def parts_with_cells(
    field: LabelledField, numbers: Sequence[int], *, side: int = DEFAULT_TILE
) -> Iterator[tuple[Window, list[int]]]:
    """Part a field so that each of some cells is in one part, well away from where it was cut.

    Parameters
    ----------
    field : LabelledField
        The field.
    numbers : sequence of int
        Cells, as they were numbered before the field was made.
    side : int
        Of a part in px at the canonical scale, a multiple of 32.

    Yields
    ------
    window : tuple of slice
        Rows and columns of the field; a field that is not larger comes in one part.
    cells : list of int
        Those that belong to it, as the field numbers them, at least one.

    Raises
    ------
    ConfigError
        If a cell is so small that nothing of it is left at this scale.
    """
    shape = field.labels.shape
    starts = [np.array(tile_starts(length, side, OVERLAP)) for length in shape]
    middles = [np.minimum(s + side / 2, length) for s, length in zip(starts, shape, strict=True)]
    members: dict[tuple[int, int], list[int]] = {}
    for cell, box in field.boxes_of(numbers).items():
        row, column = (_nearest(m, (s.start + s.stop) / 2) for m, s in zip(middles, box, strict=True))
        members.setdefault((row, column), []).append(cell)
    for (row, column), cells in members.items():
        top, left = starts[0][row], starts[1][column]
        yield (slice(top, min(top + side, shape[0])), slice(left, min(left + side, shape[1]))), cells


def _nearest(values: NDArray[np.floating], wanted: float) -> int:
    return int(np.abs(values - wanted).argmin())
