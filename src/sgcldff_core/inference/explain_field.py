"""Every cell of an image explained by any method, at any level, for its class or for its mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError
from sgcldff_core.explain import explain_subject, find_method
from sgcldff_core.inference.cell_subjects import IMAGE_LEVEL, TARGETS, cell_subjects
from sgcldff_core.inference.encoded_part import EncodedPart, parts_with_cells
from sgcldff_core.inference.forward import evaluating
from sgcldff_core.inference.map_placement import cell_boxes, joined, on_image, placed
from sgcldff_core.inference.neighbourhood import LabelledField

if TYPE_CHECKING:
    from sgcldff_core.inference.map_placement import Window
    from sgcldff_core.model import Model

__all__ = ["CellMap", "check_method", "check_target", "explain_field", "joined_maps"]


@dataclass(frozen=True, slots=True, eq=False)
class CellMap:
    """Where the evidence for one cell lies.

    Attributes
    ----------
    label : int
        Of the cell.
    kind : str
        The class that was explained; of a mask, the cell's class all the same.
    window : tuple of slice
        Rows and columns of the image: the cell and half its side around it.
    activation : ndarray
        (h, w) float32 in [0, 1], scaled to its own largest value, zero on other cells.
    """

    label: int
    kind: str
    window: Window
    activation: NDArray[np.float32]


def check_method(method: str, level: int | None) -> None:
    """Refuse an unknown method, and one that cannot look at the image itself.

    Parameters
    ----------
    method : str
        Name that may be one of `sgcldff_core.explain.METHODS`.
    level : int or None
        Stride, `IMAGE_LEVEL` for the image itself, None for the fused map; other strides are not checked.

    Raises
    ------
    ConfigError
        Naming what there is.
    """
    if level == IMAGE_LEVEL and not find_method(method).on_image:
        raise ConfigError(f"{method} looks at features, not at the image itself; choose another level or method")
    find_method(method)


def check_target(target: str) -> None:
    """Refuse a target that is none of `sgcldff_core.inference.cell_subjects.TARGETS`.

    Parameters
    ----------
    target : str
        What is to be explained.

    Raises
    ------
    ConfigError
        Naming what there is.
    """
    if target not in TARGETS:
        raise ConfigError(f"target must be one of {', '.join(TARGETS)}, got {target!r}")


def explain_field(
    image: NDArray[np.uint8],
    labels: NDArray[np.integer],
    model: Model,
    *,
    diameter: float,
    method: str = "gradcam",
    level: int | None = None,
    target: str = "class",
    kinds: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[CellMap]:
    """Explain every outlined cell of an image, many of them in one pass.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    labels : ndarray
        (H, W) instance labels, 0 background; numbers may have gaps.
    model : Model
        On any device; its network's mode is left as it was.
    diameter : float
        Of a typical leukocyte in px of `image`.
    method : str
        One of `sgcldff_core.explain.METHODS`.
    level : int, optional
        Stride of the level to look at, 1 for the image itself; the fused map by default.
    target : {"class", "mask"}
        What is explained.
    kinds : sequence of str, optional
        The class to explain of each cell, by ascending label; each cell's most probable one as this
        one look sees it by default.
    progress : callable, optional
        Called with cells done and cells in all; may raise to stop.

    Returns
    -------
    list of CellMap
        In ascending order of label.

    Raises
    ------
    ConfigError
        If shapes do not fit, or a method, level, target or class does not exist.
    """
    check_method(method, level)
    field = LabelledField.of(image, labels, model, diameter)
    numbers = field.numbers.tolist()
    known = model.config.classes
    if kinds is not None and (len(kinds) != len(numbers) or not set(kinds) <= set(known)):
        raise ConfigError(f"expected a class of {', '.join(known)} for each of {len(numbers)} cells, got {list(kinds)}")
    wanted = None if kinds is None else {i + 1: known.index(kind) for i, kind in enumerate(kinds)}
    boxes = cell_boxes(labels, field.numbers)
    found: list[CellMap] = []
    with evaluating(model.network):
        for window, cells in parts_with_cells(field, numbers):
            part = EncodedPart.of(model.network, field, window)
            for some in cell_subjects(part, cells, level=level, target=target, classes=wanted):
                maps = explain_subject(some.subject, method).float().cpu().numpy()
                for cell, kind, around, values in zip(
                    some.cells, some.classes.tolist(), some.windows, maps, strict=True
                ):
                    place, _, free = placed(labels, numbers[cell - 1], boxes[cell - 1])
                    activation = on_image(values, place, around, field.factor, some.stride, free)
                    found.append(CellMap(numbers[cell - 1], known[kind], place, activation))
                if progress is not None:
                    progress(len(found), len(numbers))
    return sorted(found, key=lambda cell: cell.label)


def joined_maps(cells: Sequence[CellMap], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Put the maps of cells together into one of the image.

    Parameters
    ----------
    cells : sequence of CellMap
        From `explain_field`.
    shape : tuple of int
        Height and width of the image.

    Returns
    -------
    ndarray
        (H, W) float32 in [0, 1], the largest of all cells' maps.
    """
    return joined(((cell.window, cell.activation) for cell in cells), shape)
