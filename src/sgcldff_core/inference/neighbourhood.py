"""Given cells looked at again, each with what is around it and nothing else of the field."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional as F

from sgcldff_core.errors import ConfigError
from sgcldff_core.explain import Look
from sgcldff_core.inference.field import MAX_ENLARGEMENT
from sgcldff_core.inference.forward import FieldMaps, evaluating, network_input
from sgcldff_core.inference.resampling import resize_image, resize_labels
from sgcldff_core.model import FUSED_STRIDE
from sgcldff_core.saliency import compute_prior

if TYPE_CHECKING:
    from sgcldff_core.inference.map_placement import Window
    from sgcldff_core.model import Model

__all__ = ["LabelledField", "Neighbourhood", "look_closely"]

_SIDE = 384  # px at the canonical scale: almost five cells across
_CONTEXT = 64  # px that a cell has around it at the least, unless the image ends before
_MIRRORS: tuple[tuple[int, ...], ...] = ((), (-1,))  # as in prediction: directly, and left to right


@dataclass(frozen=True, eq=False)  # no slots: the boxes are kept once they were asked for
class LabelledField:
    """A field with outlined cells at the canonical scale.

    Attributes
    ----------
    image : ndarray
        (h, w, 3) uint8 RGB at the canonical scale.
    prior : ndarray
        (h, w) float32 in [0, 1].
    labels : ndarray
        (h, w) int32, cells numbered 1..N.
    numbers : ndarray
        (N,) int, ascending: as the cells were numbered before.
    factor : tuple of float
        Px of `image` for one px of the original, down and across.
    """

    image: NDArray[np.uint8]
    prior: NDArray[np.float32]
    labels: NDArray[np.int32]
    numbers: NDArray[np.int64]
    factor: tuple[float, float]

    @classmethod
    def of(cls, image: NDArray[np.uint8], labels: NDArray[np.integer], model: Model, diameter: float) -> LabelledField:
        """Bring an image and its labels to the scale that a model knows.

        Parameters
        ----------
        image : ndarray
            (H, W, 3) uint8 RGB.
        labels : ndarray
            (H, W) instance labels, 0 background; numbers may have gaps.
        model : Model
            For its scale, its stain and its prior.
        diameter : float
            Of a typical leukocyte in px of `image`.

        Raises
        ------
        ConfigError
            If shapes or types do not fit, or the diameter is no size.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.shape[:2] != labels.shape:
            raise ConfigError(
                f"expected an RGB image (H, W, 3) uint8 and labels of its height and width, "
                f"got {image.shape} {image.dtype} and {labels.shape}"
            )
        if not 1 <= diameter < np.inf:
            raise ConfigError(f"diameter must be at least 1 px, got {diameter}")
        enlarged = min(model.config.canonical_diameter / diameter, MAX_ENLARGEMENT)
        height, width = labels.shape
        shape = (max(1, round(height * enlarged)), max(1, round(width * enlarged)))
        small = resize_image(model.in_own_stain(image), shape)
        numbers = np.unique(labels[labels > 0]).astype(np.int64)
        numbered = np.where(labels > 0, np.searchsorted(numbers, labels) + 1, 0).astype(np.int32)
        factor = (shape[0] / height, shape[1] / width)
        return cls(small, compute_prior(small, model.config.prior), resize_labels(numbered, shape), numbers, factor)

    @cached_property
    def _boxes(self) -> list[Window | None]:
        return list(ndimage.find_objects(self.labels, len(self.numbers)))

    def boxes_of(self, numbers: Sequence[int]) -> dict[int, Window]:
        """Return rows and columns of cells, in the order given, by how they are numbered here.

        Parameters
        ----------
        numbers : sequence of int
            Cells, as they were numbered before.

        Raises
        ------
        ConfigError
            If a cell is so small that nothing of it is left at this scale.
        """
        boxes = {}
        for number in numbers:
            index = int(np.searchsorted(self.numbers, number)) + 1
            box = self._boxes[index - 1]
            if box is None:
                raise ConfigError(f"cell {number} is too small to be seen at this diameter; give a smaller diameter")
            boxes[index] = box
        return boxes

    def neighbourhoods(self, numbers: Sequence[int]) -> Iterator[tuple[Window, list[int]]]:
        """Yield windows in which one or more of some cells have enough around them, until all had their turn.

        Parameters
        ----------
        numbers : sequence of int
            Cells, as they were numbered before.

        Yields
        ------
        window : tuple of slice
            Rows and columns of the field.
        cells : list of int
            Those that are to be looked at in it, as they are numbered here.

        Raises
        ------
        ConfigError
            If a cell is so small that nothing of it is left at this scale.
        """
        waiting = self.boxes_of(numbers)
        while waiting:
            first = next(iter(waiting.values()))
            window = tuple(_around(side, length) for side, length in zip(first, self.labels.shape, strict=True))
            cells = [index for index, box in waiting.items() if self.has_context(box, window)]
            waiting = {index: box for index, box in waiting.items() if index not in cells}
            yield (window[0], window[1]), cells

    def has_context(self, box: tuple[slice, ...], window: tuple[slice, ...]) -> bool:
        """Return whether a window holds a cell and enough around it, unless the field ends before.

        Parameters
        ----------
        box : tuple of slice
            Rows and columns of the cell.
        window : tuple of slice
            Rows and columns that are looked at.
        """
        return all(
            max(side.start - _CONTEXT, 0) >= around.start and min(side.stop + _CONTEXT, length) <= around.stop
            for side, around, length in zip(box, window, self.labels.shape, strict=True)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Neighbourhood:
    """What the network says of a part of a field.

    Attributes
    ----------
    looks : list of Look
        Directly and in a mirror, of the part filled up to a multiple of the network's stride.
    logits : Tensor
        (3, h, w) float32, mean of the looks: cell, nucleus, distance; likewise filled up.
    maps : FieldMaps
        The mean of the looks, of the part alone.
    seen : tuple of FieldMaps
        What each look saw, turned back.
    image : ndarray
        (h, w, 3) uint8 RGB.
    prior : ndarray
        (h, w) float32 in [0, 1].
    labels : ndarray
        (h, w) int32, the cells of the part numbered 1..M.
    present : ndarray
        (M,) int, as they are numbered in the field.
    """

    looks: list[Look]
    logits: torch.Tensor
    maps: FieldMaps
    seen: tuple[FieldMaps, FieldMaps]
    image: NDArray[np.uint8]
    prior: NDArray[np.float32]
    labels: NDArray[np.int32]
    present: NDArray[np.integer]

    def rows_of(self, cells: Sequence[int]) -> list[int]:
        """Return where cells of the field stand among those of this part.

        Parameters
        ----------
        cells : sequence of int
            Numbers in the field, all `present`.
        """
        return [int(row) for row in np.searchsorted(self.present, cells)]

    def masks(self, cells: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (N, h/4, w/4) soft masks of cells of the field, and of their nuclei, on the fused map.

        Parameters
        ----------
        cells : sequence of int
            N numbers in the field, all `present`; at least one.
        """
        own = torch.zeros(self.logits.shape[-2:], dtype=torch.int32, device=self.logits.device)
        own[: self.labels.shape[0], : self.labels.shape[1]] = torch.as_tensor(self.labels)
        probability = self.logits[:2].sigmoid()
        pooled = [F.avg_pool2d(probability * (own == row + 1), FUSED_STRIDE) for row in self.rows_of(cells)]
        inside, nuclei = torch.stack(pooled, 1)
        return inside, nuclei


def look_closely(model: Model, field: LabelledField, window: Window, pause: Callable[[], None]) -> Neighbourhood:
    """Run the network over a part of a field, directly and in a mirror.

    Parameters
    ----------
    model : Model
        Its network's mode is left as it was.
    field : LabelledField
        The field.
    window : tuple of slice
        Rows and columns of the part.
    pause : callable
        Called after each look; may raise to stop.

    Returns
    -------
    Neighbourhood
        On the network's device.
    """
    image, prior, labels = field.image[window], field.prior[window], field.labels[window]
    height, width = labels.shape
    looks, logits = [], []
    with torch.no_grad(), evaluating(model.network):
        x, p = network_input(model.network, image, prior)
        for turned in _MIRRORS:
            out = model.network(x.flip(turned), p.flip(turned))
            looks.append(Look(out.levels, p.flip(turned), out.fused, turned))
            logits.append(out.logits.flip(turned)[0].float())
            pause()
    mean = torch.stack(logits).mean(0)
    fused = [look.fused.flip(look.mirrored)[0].float() for look in looks]
    small = (-(-height // FUSED_STRIDE), -(-width // FUSED_STRIDE))

    def cropped(logits: torch.Tensor, fused: torch.Tensor) -> FieldMaps:
        return FieldMaps(logits[:, :height, :width].contiguous(), fused[:, : small[0], : small[1]].contiguous())

    maps = cropped(mean, torch.stack(fused).mean(0))
    direct, reflected = (cropped(*pair) for pair in zip(logits, fused, strict=True))
    present = np.unique(labels[labels > 0])
    own = np.where(labels > 0, np.searchsorted(present, labels) + 1, 0).astype(np.int32)
    return Neighbourhood(looks, mean, maps, (direct, reflected), image, prior, own, present)


def _around(side: slice, length: int) -> slice:
    wide = min(max(_SIDE, side.stop - side.start + 2 * _CONTEXT), length)
    start = min(max((side.start + side.stop - wide) // 2, 0), length - wide)
    return slice(start, start + wide)
