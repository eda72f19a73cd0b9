"""A synthetic slide of any size, of which each tile is made when it is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import dask.array as da
import numpy as np
from dask.base import tokenize
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError
from sgcldff_core.smear.field import EXPOSURE, GRAIN
from sgcldff_core.smear.layout import LEUKOCYTE, PlacedLeukocyte, draw_kind
from sgcldff_core.smear.optics import Exposure, expose
from sgcldff_core.smear.outline import Disc
from sgcldff_core.smear.scene import paint, slide_stain
from sgcldff_core.smear.settings import SmearSettings
from sgcldff_core.smear.texture import stream
from sgcldff_core.smear.window import Window

__all__ = ["Slide", "leukocytes_on", "make_slide"]

_CELL = 11
# Of the lattice of leukocytes, in typical diameters: so wide that they hardly ever touch.
_PITCH = 1.7


@dataclass(frozen=True, slots=True, eq=False)
class Slide:
    """A synthetic slide and the truth about it, computed where it is looked at.

    Attributes
    ----------
    image : dask.array.Array
        (H, W, 3) uint8 RGB.
    labels : dask.array.Array
        (H, W) int32 instance labels of the leukocytes, unique in the whole slide, 0 background.
    settings : SmearSettings
        As asked for.
    seed : int
        As asked for.
    """

    image: da.Array
    labels: da.Array
    settings: SmearSettings
    seed: int

    def classes_in(self, y0: int, x0: int, height: int, width: int) -> dict[int, str]:
        """Return the classes of all leukocytes in or near a window.

        Parameters
        ----------
        y0, x0 : int
            Top-left pixel.
        height, width : int
            In pixels.

        Returns
        -------
        dict of int to str
            Class of each label; also of some cells that lie just outside the window.
        """
        window = Window(y0, x0, height, width)
        placed = leukocytes_on(self.seed, self.settings, window, self.labels.shape[1])
        return {cell.label: cell.kind for cell in placed}


def make_slide(seed: int, height: int, width: int, settings: SmearSettings | None = None, tile: int = 512) -> Slide:
    """Return a slide whose tiles are drawn when they are asked for.

    Cells that lie across tiles are the same on both sides, so the truth of any window is known
    without the rest.

    Parameters
    ----------
    seed : int
        0 or more.
    height, width : int
        Of the slide, in pixels.
    settings : SmearSettings, optional
        What it is to look like. ``height`` and ``width`` of the settings are the area in which
        there are ``leukocytes`` on the mean; ``touching``, ``cut``, ``centred`` and ``vignetting``
        have no meaning.
    tile : int, optional
        Edge of a tile in pixels.

    Returns
    -------
    Slide
        Image and labels as dask arrays.

    Raises
    ------
    ConfigError
        If the seed is negative, a size is below 1, or so many leukocytes find no room.
    """
    if seed < 0 or height < 1 or width < 1 or tile < 1:
        raise ConfigError(
            f"seed {seed}, height {height}, width {width}, tile {tile}: "
            "the seed must be 0 or more, the others at least 1"
        )
    chosen = SmearSettings() if settings is None else settings
    if _share(chosen) > 1:
        raise ConfigError(
            f"{chosen.leukocytes} leukocytes in {chosen.height} x {chosen.width} px leave no room at a diameter of "
            f"{chosen.diameter}; ask for {int(chosen.leukocytes / _share(chosen))} or fewer"
        )
    image, labels = _Image(seed, chosen, (height, width), tile), _Labels(seed, chosen, (height, width), tile)
    # The token names the content, so that dask need not look at the pixels to tell two slides apart.
    token = tokenize(seed, chosen, height, width, tile)
    return Slide(
        image=da.from_array(image, chunks=(tile, tile, 3), name=f"smear-image-{token}"),
        labels=da.from_array(labels, chunks=(tile, tile), name=f"smear-labels-{token}"),
        settings=chosen,
        seed=seed,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Plane:
    """What dask needs to know of an array that is drawn by tiles."""

    seed: int
    settings: SmearSettings
    size: tuple[int, int]
    tile: int

    dtype: ClassVar[np.dtype[Any]]
    depth: ClassVar[tuple[int, ...]] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.size, *self.depth)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def draw(self, window: Window) -> NDArray[Any]:
        raise NotImplementedError

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        """Return a window, put together from whole tiles, so that it is the same however it is asked for."""
        (y0, y1, _), (x0, x1, _) = (k.indices(length) for k, length in zip(key[:2], self.size, strict=True))
        out = np.zeros((y1 - y0, x1 - x0, *self.depth), self.dtype)
        for ty in range(y0 // self.tile * self.tile, y1, self.tile):
            for tx in range(x0 // self.tile * self.tile, x1, self.tile):
                height, width = min(self.tile, self.size[0] - ty), min(self.tile, self.size[1] - tx)
                drawn = self.draw(Window(ty, tx, height, width))
                top, left = max(y0, ty), max(x0, tx)
                part = drawn[top - ty : y1 - ty, left - tx : x1 - tx]
                out[top - y0 : top - y0 + part.shape[0], left - x0 : left - x0 + part.shape[1]] = part
        return out


class _Image(_Plane):
    __slots__ = ()
    dtype = np.dtype(np.uint8)
    depth = (3,)

    def draw(self, window: Window) -> NDArray[np.uint8]:
        seed, settings = self.seed, self.settings
        stain = slide_stain(seed, settings)
        exposure = Exposure.draw(stream(seed, EXPOSURE), stain.camera, settings)
        # A scanner flattens the light, and light spreads over a tile's border, so tiles are cut from larger ones.
        exposure = replace(exposure, vignetting=0.0, tilt=(0.0, 0.0), dust=0.0)
        margin = exposure.reach(settings.diameter)
        y0, x0, height, width = window.y0 - margin, window.x0 - margin, window.height, window.width
        wide = Window(y0, x0, height + 2 * margin, width + 2 * margin)
        painting = paint(seed, settings, leukocytes_on(seed, settings, wide, self.size[1]), wide)
        grain = stream(seed, GRAIN, window.y0, window.x0)
        image = expose(grain, painting.density, stain, exposure, settings.diameter, (y0, x0))
        return image[margin : margin + height, margin : margin + width]


class _Labels(_Plane):
    __slots__ = ()
    dtype = np.dtype(np.int32)

    def draw(self, window: Window) -> NDArray[np.int32]:
        # Only leukocytes have labels.
        bare = replace(self.settings, erythrocytes=0.0, platelets=0.0)
        return paint(self.seed, bare, leukocytes_on(self.seed, bare, window, self.size[1]), window).labels


def _share(settings: SmearSettings) -> float:
    """Return how many leukocytes there are in a cell of the lattice, on the mean."""
    return settings.leukocytes * (_PITCH * settings.diameter) ** 2 / (settings.height * settings.width)


def leukocytes_on(seed: int, settings: SmearSettings, window: Window, columns: int) -> list[PlacedLeukocyte]:
    """Place at most one leukocyte in each cell of a lattice; their labels count the lattice's cells.

    Parameters
    ----------
    seed : int
        Of the slide.
    settings : SmearSettings
        Of the slide.
    window : Window
        Those in or near it are returned.
    columns : int
        Width of the slide.
    """
    pitch = _PITCH * settings.diameter
    share = _share(settings)
    across = math.ceil(columns / pitch) + 3
    reach = 3 * settings.diameter
    first_row, first_column = (max(-1, math.floor((start - reach) / pitch)) for start in (window.y0, window.x0))
    last_row = math.ceil((window.y0 + window.height + reach) / pitch)
    last_column = min(across - 2, math.ceil((window.x0 + window.width + reach) / pitch))
    placed = []
    for row in range(first_row, last_row):
        for column in range(first_column, last_column):
            rng = stream(seed, _CELL, LEUKOCYTE, row, column)
            if rng.random() >= share:
                continue
            kind, radius = draw_kind(rng, settings)
            y, x = (np.array([row, column]) + rng.uniform(0.36, 0.64, 2)) * pitch
            label = 1 + (row + 1) * across + column + 1
            placed.append(PlacedLeukocyte(kind, Disc(float(y), float(x), radius), label))
    return placed
