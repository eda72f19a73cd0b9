"""Why given cells have their names, and why not another: on the fused map or any level below it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError
from sgcldff_core.explain import level_activation
from sgcldff_core.inference.encoded_part import parts_with_cells
from sgcldff_core.inference.forward import evaluating
from sgcldff_core.inference.judgement import Judgement
from sgcldff_core.inference.map_placement import Window, cell_boxes, joined, on_image, placed, sampled
from sgcldff_core.inference.neighbourhood import LabelledField, look_closely

if TYPE_CHECKING:
    from sgcldff_core.model import Model

__all__ = ["LEVEL_STRIDES", "CellExplanation", "explain_labels", "joined_activation"]

LEVEL_STRIDES = (4, 8, 16, 32)
"""Strides of the levels below the fused map, in px of the canonical scale."""


@dataclass(frozen=True, slots=True, eq=False)
class CellExplanation:
    """Why one cell has its name.

    Attributes
    ----------
    label : int
        Of the cell.
    probabilities : mapping of str to float
        Calibrated, of all classes of the model, the most probable first.
    window : tuple of slice
        Rows and columns of the image in which the maps lie: the cell and half its side around it.
    activation : mapping of str to ndarray
        Grad-CAM of each class that was explained, (h, w) float32 in [0, 1] on the window, each
        scaled to its own largest value, zero on other cells; all zero where nothing speaks for it.
    inside, nucleus : ndarray
        (h, w) bool, the cell itself and its nucleus as the network sees it.
    energy, pointing, overlap, rank : float, bool, float, float
        How the evidence on the fused map for the cell's name agrees with outline and prior, see
        `sgcldff_core.explain.Agreement`. They are those of the table, whatever level is shown.
    stability : float
        In [0, 1], of the outline as the network sees it directly and in a mirror.
    consistency : float
        In [0, 1], see `sgcldff_core.explain.saliency_consistency`.
    reason : str
        Why a person should look at the cell; empty where nobody needs to.
    """

    label: int
    probabilities: Mapping[str, float]
    window: tuple[slice, slice]
    activation: Mapping[str, NDArray[np.float32]]
    inside: NDArray[np.bool_]
    nucleus: NDArray[np.bool_]
    energy: float
    pointing: bool
    overlap: float
    rank: float
    stability: float
    consistency: float
    reason: str

    @property
    def named(self) -> str:
        """The most probable class."""
        return next(iter(self.probabilities))

    @property
    def runner_up(self) -> str | None:
        """The second most probable class; None for a model with one class."""
        return next(iter(list(self.probabilities)[1:]), None)


def explain_labels(
    image: NDArray[np.uint8],
    labels: NDArray[np.integer],
    model: Model,
    *,
    diameter: float,
    chosen: Collection[int] | None = None,
    classes: Sequence[str] = (),
    level: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[CellExplanation]:
    """Explain cells that are already outlined, whoever outlined them.

    Only the neighbourhood of the cells asked for is computed, directly and in a mirror as in
    `sgcldff_core.inference.predict_image`, so that one cell of a large field costs as much as one
    of a small field; where cells stand close, a tile that holds them is.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB; of a slide, the cell and some cells' width around it will do.
    labels : ndarray
        (H, W) instance labels, 0 background; numbers may have gaps.
    model : Model
        On any device; its network's mode is left as it was.
    diameter : float
        Of a typical leukocyte in px of `image`.
    chosen : collection of int, optional
        Labels to explain; all of them by default.
    classes : sequence of str
        Classes to explain beside the most probable and the second most probable one.
    level : int, optional
        Stride of the level to look at, one of `LEVEL_STRIDES`; the fused map by default.
    progress : callable, optional
        Called with the name of the stage, cells done and cells in all; may raise to stop.

    Returns
    -------
    list of CellExplanation
        In ascending order of label.

    Raises
    ------
    ConfigError
        If shapes do not fit, a label, class or level does not exist, or a cell is too small to be seen.
    """
    _check(model, classes, level)
    field = LabelledField.of(image, labels, model, diameter)
    wanted = field.numbers.tolist() if chosen is None else sorted({int(number) for number in chosen})
    missing = sorted(set(wanted) - set(field.numbers.tolist()))
    if missing:
        raise ConfigError(f"there is no cell {', '.join(map(str, missing))} in these labels; choose one that is there")
    boxes = dict(zip(field.numbers.tolist(), cell_boxes(labels, field.numbers), strict=True))
    extra = [model.config.classes.index(name) for name in classes]
    found: list[CellExplanation] = []

    def pause() -> None:
        if progress is not None:
            progress("explaining cells", len(found), len(wanted))

    pause()
    for window, cells in _parts(field, wanted):
        around = look_closely(model, field, window, pause)
        judged = Judgement.of(model, field, around)
        rows = around.rows_of(cells)
        asked = [list(dict.fromkeys([*judged.ranking(row)[:2], *extra])) for row in rows]
        depths = around.logits[1].cpu().numpy()
        index = None if level is None else _index(level, len(around.looks[0].levels))
        with evaluating(model.network):
            maps = level_activation(model.network, around.looks, index, *around.masks(cells), asked)
            for cell, row, which, evidence in zip(cells, rows, asked, maps, strict=True):
                number = int(field.numbers[cell - 1])
                place, own, free = placed(labels, number, boxes[number])
                stride = around.logits.shape[-1] / evidence.shape[-1]
                nucleus = own & (sampled(depths, place, window, field.factor, 1) > 0)
                shown = {
                    model.config.classes[kind]: on_image(plane, place, window, field.factor, stride, free)
                    for kind, plane in zip(which, evidence.float().cpu().numpy(), strict=True)
                }
                found.append(_explanation(number, row, judged, model.config.classes, place, shown, (own, nucleus)))
                pause()
    return sorted(found, key=lambda cell: cell.label)


def joined_activation(
    cells: Sequence[CellExplanation], shape: tuple[int, int], kind: str | None = None
) -> NDArray[np.float32]:
    """Put the maps of cells together into one of the image.

    Parameters
    ----------
    cells : sequence of CellExplanation
        From `explain_labels`.
    shape : tuple of int
        Height and width of the image.
    kind : str, optional
        The class whose maps to take; that of each cell's name by default.

    Returns
    -------
    ndarray
        (H, W) float32 in [0, 1], the largest of all cells' maps.
    """
    return joined(((cell.window, cell.activation[kind or cell.named]) for cell in cells), shape)


def _parts(field: LabelledField, wanted: Sequence[int]) -> list[tuple[Window, list[int]]]:
    """Return tiles where they are fewer pixels than the neighbourhoods of the cells well inside them; else these."""
    boxes = field.boxes_of(wanted)
    tiles: list[tuple[Window, list[int]]] = []
    left: list[int] = []
    for window, cells in parts_with_cells(field, wanted):
        inside = [cell for cell in cells if field.has_context(boxes[cell], window)]
        closely = sum(
            field.labels[part].size for part, _ in field.neighbourhoods(field.numbers[np.array(inside, int) - 1])
        )
        if field.labels[window].size < closely:
            tiles.append((window, inside))
            left += sorted(set(cells) - set(inside))
        else:
            left += cells
    return [*tiles, *field.neighbourhoods(field.numbers[np.array(left, int) - 1])]


def _explanation(
    number: int,
    row: int,
    judged: Judgement,
    classes: Sequence[str],
    place: tuple[slice, slice],
    shown: Mapping[str, NDArray[np.float32]],
    parts: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> CellExplanation:
    agreement = judged.agreement
    return CellExplanation(
        label=number,
        probabilities={classes[i]: float(judged.probabilities[row, i]) for i in judged.ranking(row)},
        window=place,
        activation=shown,
        inside=parts[0],
        nucleus=parts[1],
        energy=float(agreement.energy[row]),
        pointing=bool(agreement.pointing[row]),
        overlap=float(agreement.overlap[row]),
        rank=float(agreement.rank[row]),
        stability=float(judged.stability[row]),
        consistency=float(judged.consistency[row]),
        reason=judged.reasons[row],
    )


def _check(model: Model, classes: Sequence[str], level: int | None) -> None:
    unknown = [name for name in classes if name not in model.config.classes]
    if unknown:
        raise ConfigError(f"the model does not know {', '.join(unknown)}, only {', '.join(model.config.classes)}")
    if level is not None and level not in LEVEL_STRIDES:
        raise ConfigError(f"level must be one of {', '.join(map(str, LEVEL_STRIDES))}, got {level}")


def _index(level: int, count: int) -> int:
    index = LEVEL_STRIDES.index(level)
    if index >= count:
        raise ConfigError(f"this model has no level at stride {level}; its deepest is at {LEVEL_STRIDES[count - 1]}")
    return index
