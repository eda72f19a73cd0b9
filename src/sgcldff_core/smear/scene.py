"""A smear as a plane of cells, of which any window can be painted by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.sample import Box
from sgcldff_core.smear.erythrocytes import DrawnBody, RedCellHabit, draw_erythrocyte, draw_platelet
from sgcldff_core.smear.layout import (
    LEUKOCYTE,
    PLATELET,
    RED_CELL,
    PlacedLeukocyte,
    platelets_in,
    red_cells_in,
)
from sgcldff_core.smear.leukocytes import draw_leukocyte
from sgcldff_core.smear.stain import Stain, draw_stain
from sgcldff_core.smear.texture import stream

if TYPE_CHECKING:
    from sgcldff_core.smear.outline import Grid
    from sgcldff_core.smear.settings import SmearSettings
    from sgcldff_core.smear.window import Window

__all__ = ["Painting", "paint", "slide_habit", "slide_stain"]

_STAIN, _HABIT = 5, 6


@dataclass(frozen=True, slots=True, eq=False)
class Painting:
    """One window of a smear, before any light falls through it.

    Attributes
    ----------
    density : ndarray
        (H, W, 3) float32 optical density.
    labels : ndarray
        (H, W) int32.
    nucleus : ndarray
        (H, W) bool.
    classes : dict of int to str
        Of the labels that are in the window.
    erythrocytes, platelets : tuple of Box
        In pixels of the window, clipped to it.
    """

    density: NDArray[np.float32]
    labels: NDArray[np.int32]
    nucleus: NDArray[np.bool_]
    classes: dict[int, str]
    erythrocytes: tuple[Box, ...]
    platelets: tuple[Box, ...]


def slide_stain(seed: int, settings: SmearSettings) -> Stain:
    """Return the stain of a smear.

    Parameters
    ----------
    seed : int
        The slide's.
    settings : SmearSettings
        Which stain, if it is not left to chance.
    """
    return draw_stain(stream(seed, _STAIN), settings.stain)


def slide_habit(seed: int, stain: Stain) -> RedCellHabit:
    """Return how the red cells of a smear look on the whole.

    Parameters
    ----------
    seed : int
        The slide's.
    stain : Stain
        What `slide_stain` returned for it.
    """
    return RedCellHabit.draw(stream(seed, _HABIT), stain)


def paint(seed: int, settings: SmearSettings, leukocytes: Sequence[PlacedLeukocyte], window: Window) -> Painting:
    """Paint one window.

    Parameters
    ----------
    seed : int
        Of the smear.
    settings : SmearSettings
        What it is to look like.
    leukocytes : sequence of PlacedLeukocyte
        All that lie in or near the window.
    window : Window
        Where.

    Returns
    -------
    Painting
        Density and truth.
    """
    stain = slide_stain(seed, settings)
    habit = slide_habit(seed, stain)
    shape = (window.height, window.width)
    density, labels = np.zeros((*shape, 3), np.float32), np.zeros(shape, np.int32)
    nucleus, free = np.zeros(shape, bool), np.ones(shape, np.float32)
    discs = [p.disc for p in leukocytes]
    classes = {}
    for cell in leukocytes:
        if not window.near(cell.disc, 0.45 * cell.disc.radius + 3):
            continue
        others = [d for d in discs if d is not cell.disc]
        drawn = draw_leukocyte(stream(seed, LEUKOCYTE, cell.label), cell.kind, cell.disc, others, stain)
        there, here = _overlap(drawn.grid, window)
        density[there] += drawn.density[here]
        free[there] *= 1 - np.float32(0.9) * drawn.cover[here]
        inside = drawn.inside[here] & (labels[there] == 0)
        if inside.any():
            labels[there][inside] = cell.label
            nucleus[there] |= inside & drawn.nucleus[here]
            classes[cell.label] = cell.kind
    placed = red_cells_in(seed, window, settings.diameter, settings.erythrocytes, discs, habit.overlap)
    layers = np.zeros((3, *shape), np.float32)
    amount, rim, clots = layers
    red_cells, platelets = [], []
    for body in placed:
        own = stream(seed, RED_CELL, *body.key)
        red_cell = draw_erythrocyte(own, body.disc, body.neighbours, discs, stain, habit)
        red_cells += _add(red_cell, amount, rim, free, window, "erythrocyte", habit.adding)
    others = [*discs, *(body.disc for body in placed)]
    for body in platelets_in(seed, window, settings.diameter, settings.platelets, others):
        platelet = draw_platelet(stream(seed, PLATELET, *body.key), body.disc)
        platelets += _add(platelet, clots, clots, free, window, "platelet", habit.adding)
    layers *= free
    colours = np.stack([stain.erythrocyte, stain.erythrocyte_rim, stain.platelet])
    density += np.tensordot(layers, colours, axes=(0, 0))
    return Painting(density, labels, nucleus, classes, tuple(red_cells), tuple(platelets))


def _overlap(grid: Grid, window: Window) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    there, here = [], []
    for start, length, low, size in (
        (grid.y0, grid.shape[0], window.y0, window.height),
        (grid.x0, grid.shape[1], window.x0, window.width),
    ):
        first, last = max(start, low), max(start, low, min(start + length, low + size))
        there.append(slice(first - low, last - low))
        here.append(slice(first - start, last - start))
    return (there[0], there[1]), (here[0], here[1])


def _add(
    body: DrawnBody,
    amount: NDArray[np.float32],
    rim: NDArray[np.float32],
    free: NDArray[np.float32],
    window: Window,
    kind: str,
    adding: float,
) -> list[Box]:
    there, here = _overlap(body.grid, window)
    # Cells that lie over each other are squeezed thinner, so they add up to less than the sum.
    below, above = amount[there], body.amount[here]
    amount[there] = np.maximum(below, above) + np.float32(adding) * np.minimum(below, above)
    rim[there] += body.rim[here]
    inside = body.inside[here] & (free[there] > 0.5)
    if not inside.any():
        return []
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    y0, x0 = there[0].start, there[1].start
    y1, x1 = y0 + int(rows[-1]) + 1, x0 + int(columns[-1]) + 1
    return [Box(float(y0 + rows[0]), float(x0 + columns[0]), float(y1), float(x1), kind)]
