"""Cells of a field made ready for any method of explanation, at any level, for the class or for the mask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from sgcldff_core.errors import ConfigError
from sgcldff_core.explain import Subject
from sgcldff_core.inference.explain_cell import LEVEL_STRIDES
from sgcldff_core.model import FUSED_STRIDE, STRIDE

if TYPE_CHECKING:
    from torch import Tensor

    from sgcldff_core.explain import Score
    from sgcldff_core.inference.encoded_part import EncodedPart
    from sgcldff_core.inference.map_placement import Window

__all__ = ["IMAGE_LEVEL", "TARGETS", "CellSubjects", "cell_subjects", "level_index"]

TARGETS = ("class", "mask")
"""What may be explained: the logit of a cell's class, or the mask logit, the mean over the cell's own pixels."""

IMAGE_LEVEL = 1
"""Stride of the image itself, which only methods that need no features can look at."""

_WayToFused = Callable[["Tensor", "Tensor"], tuple["Tensor", "Tensor"]]

_MARGIN = 0.5  # of the longer side of the largest cell, on each side
_CELLS_AT_ONCE = 16
_PATCH = 24  # px of the canonical scale: a quarter of a cell


@dataclass(frozen=True, slots=True, eq=False)
class CellSubjects:
    """Some cells of a part of a field, each in a window of its own.

    Attributes
    ----------
    cells : list of int
        As they are numbered in the field.
    classes : Tensor
        (N,) long, the class that is explained, or that the cell would have if its mask is explained.
    subject : Subject
        Of these cells.
    windows : list of tuple of slice
        Rows and columns of the field that each of the maps covers.
    stride : int
        Px of the canonical scale for one px of a map.
    """

    cells: list[int]
    classes: Tensor
    subject: Subject
    windows: list[Window]
    stride: int


def level_index(level: int | None, count: int) -> int | None:
    """Return which of the levels has a stride; None for the fused map and for the image.

    Parameters
    ----------
    level : int or None
        One of `sgcldff_core.inference.LEVEL_STRIDES`, `IMAGE_LEVEL`, or None for the fused map.
    count : int
        Levels that the network has.

    Raises
    ------
    ConfigError
        If there is no such level.
    """
    if level is None or level == IMAGE_LEVEL:
        return None
    known = LEVEL_STRIDES[:count]
    if level not in known:
        raise ConfigError(f"level must be one of {', '.join(map(str, known))} in this model, got {level}")
    return known.index(level)


def cell_subjects(
    part: EncodedPart,
    cells: Sequence[int],
    *,
    level: int | None = None,
    target: str = "class",
    classes: Mapping[int, int] | None = None,
    whole: bool = False,
) -> Iterator[CellSubjects]:
    """Cut a window around each cell out of all that the network computed, some cells at a time.

    What follows the level is computed again, window by window; the backbone is not. On the fused
    map nothing but the head follows and scores are exactly those of the whole part. From a level
    below it the fusion runs on the window, whose channel attention describes the window instead of
    the part: scores differ a little, as they do between tiles.

    Parameters
    ----------
    part : EncodedPart
        With the cells.
    cells : sequence of int
        As they are numbered in the field.
    level : int, optional
        See `level_index`; the fused map by default.
    target : {"class", "mask"}
        What is to be explained.
    classes : mapping of int to int, optional
        Which class of each cell to explain; by default its most probable one as the part's fused map
        has it, whatever the level.
    whole : bool
        Every window is the whole part, as slow as it sounds: maps show all that there is.

    Yields
    ------
    CellSubjects
        Together all cells, small ones first.

    Raises
    ------
    ConfigError
        If the level or the target does not exist.
    """
    index = level_index(level, len(part.levels))
    if target not in TARGETS:
        raise ConfigError(f"target must be one of {', '.join(TARGETS)}, got {target!r}")
    stride = FUSED_STRIDE if level is None else level
    # Windows of a level end where its pixels end, and those of all levels where the deepest's do.
    step = FUSED_STRIDE if level is None else STRIDE
    boxes = ndimage.find_objects(part.labels.cpu().numpy())
    ordered = sorted(cells, key=lambda cell: _longer_side(boxes[cell - 1]))
    for start in range(0, len(ordered), _CELLS_AT_ONCE):
        some = ordered[start : start + _CELLS_AT_ONCE]
        size = part.labels.shape
        if not whole:
            side = _longer_side(boxes[some[-1] - 1]) * (1 + 2 * _MARGIN)
            full = -(-int(np.ceil(side)) // step) * step + step
            size = torch.Size(min(full, length) for length in size)
        windows = [_window(boxes[cell - 1], size, part.labels.shape, step) for cell in some]
        yield _subjects(part, some, windows, index, stride, target, classes)


def _subjects(
    part: EncodedPart,
    cells: list[int],
    windows: list[Window],
    index: int | None,
    stride: int,
    target: str,
    classes: Mapping[int, int] | None,
) -> CellSubjects:
    labels = torch.stack([part.labels[window] for window in windows])
    own = (labels == torch.tensor(cells, device=labels.device)[:, None, None]).float()
    probability = _cut(part.logits[:, :2], windows, 1).sigmoid()
    inside, nuclei = F.avg_pool2d(probability * own[:, None], FUSED_STRIDE).unbind(1)
    stem, prior = _cut(part.stem, windows, _stride_of(part, part.stem)), _cut(part.prior, windows, 1)
    network = part.network
    fused_of = _way_to_fused(part, windows, index, stride, stem, prior)

    def named(fused: Tensor, rows: Tensor) -> Tensor:
        apart = torch.arange(len(fused), device=fused.device)
        logits: Tensor = network.classify(fused, inside[rows], nuclei[rows], apart)[0]
        return logits

    def class_score(maps: Tensor, rows: Tensor) -> Tensor:
        fused, _ = fused_of(maps, rows)
        return named(fused, rows).gather(1, explained[rows, None])[:, 0]

    def mask_score(maps: Tensor, rows: Tensor) -> Tensor:
        logits = network.segment(*fused_of(maps, rows))[:, 0]
        return (logits * own[rows]).sum((1, 2)) / own[rows].sum((1, 2)).clamp_min(1)

    if stride == IMAGE_LEVEL:
        activation, neutral = _cut(part.image, windows, 1), network.mean.flatten()
    else:
        source = part.fused if index is None else part.levels[index]
        stride = _stride_of(part, source)
        activation = _cut(source, windows, stride)
        neutral = activation.new_zeros(activation.shape[1])
    if classes is None:
        fused = _cut(part.fused, windows, _stride_of(part, part.fused))
        with torch.no_grad():
            explained = named(fused, torch.arange(len(cells), device=fused.device)).argmax(1)
    else:
        explained = torch.tensor([classes[cell] for cell in cells], device=activation.device)
    scores: dict[str, Score] = {"class": class_score, "mask": mask_score}
    subject = Subject(activation, scores[target], neutral, max(1, _PATCH // stride))
    top, left = (side.start for side in part.window)
    placed = [
        (slice(rows.start + top, rows.stop + top), slice(columns.start + left, columns.stop + left))
        for rows, columns in windows
    ]
    return CellSubjects(cells, explained, subject, placed, stride)


def _way_to_fused(
    part: EncodedPart, windows: list[Window], index: int | None, stride: int, stem: Tensor, prior: Tensor
) -> _WayToFused:
    """Return what leads from maps of the level to the fused map and the stem's."""
    network = part.network

    def from_image(maps: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        early, levels = network.encode(maps, prior[rows])
        return network.fuse(levels, prior[rows]), early

    def from_fused(maps: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        return maps, stem[rows]

    def from_level(maps: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        given = [maps if i == index else level[rows] for i, level in enumerate(held)]
        return network.fuse(given, prior[rows]), stem[rows]

    if stride == IMAGE_LEVEL:
        return from_image
    if index is None:
        return from_fused
    held = [_cut(level, windows, _stride_of(part, level)) for level in part.levels]
    return from_level


def _stride_of(part: EncodedPart, maps: Tensor) -> int:
    # Other architectures than ours may stop halving before the deepest level, or have no map at stride 2.
    return part.image.shape[-1] // maps.shape[-1]


def _cut(maps: Tensor, windows: list[Window], stride: int) -> Tensor:
    return torch.stack(
        [
            maps[0, :, rows.start // stride : rows.stop // stride, columns.start // stride : columns.stop // stride]
            for rows, columns in windows
        ]
    )


def _longer_side(box: Window) -> int:
    return int(max(side.stop - side.start for side in box))


def _window(box: Window, size: torch.Size, shape: torch.Size, step: int) -> Window:
    rows, columns = (
        _around((side.start + side.stop) / 2, wide, length, step)
        for side, wide, length in zip(box, size, shape, strict=True)
    )
    return rows, columns


def _around(middle: float, wide: int, length: int, step: int) -> slice:
    start = int(np.clip(round((middle - wide / 2) / step) * step, 0, length - wide))
    return slice(start, start + wide)
