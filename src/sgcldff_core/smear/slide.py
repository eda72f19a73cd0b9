"""A synthetic slide of any size, of which each tile is made when it is asked for."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError
from sgcldff_core.smear.field import EXPOSURE, GRAIN
from sgcldff_core.smear.layout import LEUKOCYTE, PlacedLeukocyte, Window, draw_kind
from sgcldff_core.smear.optics import Exposure, expose
from sgcldff_core.smear.outline import Disc
from sgcldff_core.smear.scene import paint, slide_stain
from sgcldff_core.smear.settings import SmearSettings
from sgcldff_core.smear.texture import stream

__all__ = ["make_slide"]

_CELL = 11
_PITCH = 1.7


def make_slide(
    seed: int, height: int, width: int, settings: SmearSettings | None = None, tile: int = 512
) -> tuple[da.Array, da.Array]:
    """Return a slide and its labels, both computed tile by tile.

    Cells that lie across tiles are the same on both sides, and labels are unique in the whole
    slide, so the truth of any window is known without the rest.

    Parameters
    ----------
    seed : int
        0 or more.
    height, width : int
        Of the slide, in pixels.
    settings : SmearSettings, optional
        What it is to look like. ``height`` and ``width`` of the settings are the area in which
        there are ``leukocytes`` on the mean; ``touching``, ``cut``, ``centred`` and ``vignetting`` have no meaning.
    tile : int, optional
        Edge of a tile in pixels.

    Returns
    -------
    image : dask.array.Array
        (height, width, 3) uint8 RGB.
    labels : dask.array.Array
        (height, width) int32 instance labels, 0 background.

    Raises
    ------
    ConfigError
        If the seed is negative, or a size is below 1.
    """
    if seed < 0 or height < 1 or width < 1 or tile < 1:
        raise ConfigError(f"seed {seed}, height {height}, width {width}, tile {tile}: 0 or more, then each at least 1")
    chosen = SmearSettings() if settings is None else settings
    if _share(chosen) > 1:
        raise ConfigError(
            f"{chosen.leukocytes} leukocytes in {chosen.height} x {chosen.width} px leave no room at a diameter of "
            f"{chosen.diameter}; ask for {int(chosen.leukocytes / _share(chosen))} or fewer"
        )
    sizes = da.core.normalize_chunks((tile, tile), (height, width))
    plain = partial(_tile, seed=seed, settings=chosen, columns=width)
    labels = da.map_blocks(partial(plain, part="labels"), chunks=sizes, dtype=np.int32, meta=np.empty((0, 0), np.int32))
    image = da.map_blocks(
        partial(plain, part="image"), chunks=(*sizes, (3,)), dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8)
    )
    return image, labels


def _tile(
    seed: int, settings: SmearSettings, columns: int, part: str, block_info: dict[Any, dict[str, Any]]
) -> NDArray[Any]:
    (y0, y1), (x0, x1) = block_info[None]["array-location"][:2]
    stain = slide_stain(seed, settings)
    exposure = Exposure.draw(stream(seed, EXPOSURE), stain.camera, settings)
    # A scanner flattens the light, and light spreads over a tile's border, so tiles are cut from larger ones.
    exposure = replace(exposure, vignetting=0.0, tilt=(0.0, 0.0), dust=0.0)
    margin = exposure.reach(settings.diameter) if part == "image" else 0
    window = Window(y0 - margin, x0 - margin, y1 - y0 + 2 * margin, x1 - x0 + 2 * margin)
    painting = paint(seed, settings, _leukocytes_in(seed, settings, window, columns), window)
    if part == "labels":
        return painting.labels
    grain = stream(seed, GRAIN, y0, x0)
    image = expose(grain, painting.density, stain, exposure, settings.diameter, (window.y0, window.x0))
    return image[margin : margin + y1 - y0, margin : margin + x1 - x0]


def _share(settings: SmearSettings) -> float:
    """Return how many leukocytes there are in a cell of the lattice, on the mean."""
    return settings.leukocytes * (_PITCH * settings.diameter) ** 2 / (settings.height * settings.width)


def _leukocytes_in(seed: int, settings: SmearSettings, window: Window, columns: int) -> list[PlacedLeukocyte]:
    """Place leukocytes on a lattice so wide that they never lie over each other."""
    pitch = _PITCH * settings.diameter
    share = _share(settings)
    across = math.ceil(columns / pitch) + 3
    reach = 3 * settings.diameter
    placed = []
    rows = range(
        max(-1, math.floor((window.y0 - reach) / pitch)), math.ceil((window.y0 + window.height + reach) / pitch)
    )
    for row in rows:
        for column in range(
            max(-1, math.floor((window.x0 - reach) / pitch)),
            min(across - 2, math.ceil((window.x0 + window.width + reach) / pitch)),
        ):
            rng = stream(seed, _CELL, LEUKOCYTE, row, column)
            if rng.random() >= share:
                continue
            kind, radius = draw_kind(rng, settings)
            y, x = (np.array([row, column]) + rng.uniform(0.36, 0.64, 2)) * pitch
            label = 1 + (row + 1) * across + column + 1
            placed.append(PlacedLeukocyte(kind, Disc(float(y), float(x), radius), label))
    return placed
