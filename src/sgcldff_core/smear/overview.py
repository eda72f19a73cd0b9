"""A synthetic slide from afar: every cell at its place, as the disc that is all one sees of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import dask.array as da
import numpy as np
from dask.base import tokenize
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sgcldff_core.errors import ConfigError
from sgcldff_core.smear.layout import red_cells_in
from sgcldff_core.smear.scene import slide_habit, slide_stain
from sgcldff_core.smear.slide import leukocytes_on
from sgcldff_core.smear.window import Window

if TYPE_CHECKING:
    from sgcldff_core.smear.outline import Disc
    from sgcldff_core.smear.settings import SmearSettings
    from sgcldff_core.smear.slide import Slide

__all__ = ["draw_overviews"]

_CHUNK = 256  # px of the overview
_SAMPLE = 512  # px of the slide from which its colours are taken
_FINE = 2  # px drawn for one px of the overview: Pillow's discs have no soft edge
_NUCLEUS = 0.62  # of a leukocyte's radius
_PALE = 0.45  # of a red cell's radius
_LEAST_RED = 15  # levels of green by which a red cell is darker than the slide

Colour = tuple[int, int, int]


def draw_overviews(slide: Slide, factors: Sequence[int]) -> list[tuple[da.Array, da.Array]]:
    """Draw a slide small, in seconds instead of the minutes that all its tiles take.

    Places, sizes and kinds of cells are those of the slide; their texture is not drawn.

    Parameters
    ----------
    slide : Slide
        The slide; one small part of it is drawn, for its colours.
    factors : sequence of int
        Px of the slide for one px of each overview, at least 2.

    Returns
    -------
    list of (image, labels)
        For each factor dask arrays (h, w, 3) uint8 RGB and (h, w) int32, with h and w those of the
        slide over the factor, rounded up; drawn where they are looked at.

    Raises
    ------
    ConfigError
        If a factor is below 2.
    """
    small = [factor for factor in factors if factor < 2]
    if small:
        raise ConfigError(f"an overview is smaller than its slide: the factor must be at least 2, got {small[0]}")
    height, width = slide.labels.shape
    colours = _colours(slide)
    views = []
    for factor in factors:
        image = _Image(slide.seed, slide.settings, (height, width), factor, colours)
        labels = _Labels(slide.seed, slide.settings, (height, width), factor)
        token = tokenize(slide.seed, slide.settings, height, width, factor)
        views.append(
            (
                da.from_array(image, chunks=(_CHUNK, _CHUNK, 3), name=f"smear-overview-{token}"),
                da.from_array(labels, chunks=(_CHUNK, _CHUNK), name=f"smear-overview-labels-{token}"),
            )
        )
    return views


@dataclass(frozen=True, slots=True)
class _Colours:
    background: Colour
    red_cell: Colour
    cytoplasm: Colour
    nucleus: Colour


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """What dask needs to know of an array that is drawn by parts."""

    seed: int
    settings: SmearSettings
    size: tuple[int, int]
    factor: int

    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.int32)
    depth: ClassVar[tuple[int, ...]] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return (-(-self.size[0] // self.factor), -(-self.size[1] // self.factor), *self.depth)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[Any]:
        (y0, y1, _), (x0, x1, _) = (k.indices(length) for k, length in zip(key[:2], self.shape, strict=False))
        window = Window(y0 * self.factor, x0 * self.factor, (y1 - y0) * self.factor, (x1 - x0) * self.factor)
        return self.draw(window, (y1 - y0, x1 - x0))

    def draw(self, window: Window, shape: tuple[int, int]) -> NDArray[Any]:
        picture = Image.new("I", shape[::-1])
        pen = ImageDraw.Draw(picture)
        for cell in leukocytes_on(self.seed, self.settings, window, self.size[1]):
            pen.ellipse(_box(cell.disc, 1, window, 1 / self.factor), fill=cell.label)
        return np.array(picture, np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class _Image(_Labels):
    colours: _Colours

    dtype = np.dtype(np.uint8)
    depth = (3,)

    def draw(self, window: Window, shape: tuple[int, int]) -> NDArray[Any]:
        seed, settings, colours = self.seed, self.settings, self.colours
        discs = [cell.disc for cell in leukocytes_on(seed, settings, window, self.size[1])]
        habit = slide_habit(seed, slide_stain(seed, settings))
        bodies = red_cells_in(seed, window, settings.diameter, settings.erythrocytes, discs, habit.overlap)
        picture = Image.new("RGB", (shape[1] * _FINE, shape[0] * _FINE), colours.background)
        pen = ImageDraw.Draw(picture)
        paler = _between(colours.red_cell, colours.background, 0.5 * habit.pallor)
        layers = [([body.disc for body in bodies], 1.0, colours.red_cell), ([b.disc for b in bodies], _PALE, paler)]
        layers += [(discs, 1.0, colours.cytoplasm), (discs, _NUCLEUS, colours.nucleus)]
        for placed, share, colour in layers:
            for disc in placed:
                pen.ellipse(_box(disc, share, window, _FINE / self.factor), fill=colour)
        return np.array(picture.resize(shape[::-1], Image.Resampling.BOX))


def _box(disc: Disc, share: float, window: Window, scale: float) -> tuple[float, float, float, float]:
    y, x, radius = (disc.y - window.y0) * scale, (disc.x - window.x0) * scale, share * disc.radius * scale
    return x - radius, y - radius, x + radius, y + radius


def _colours(slide: Slide) -> _Colours:
    """Take the colours of the slide from the first part of it in which there is a leukocyte."""
    height, width = slide.labels.shape
    corners = [(y, x) for y in range(0, height, _SAMPLE) for x in range(0, width, _SAMPLE)]
    labels = np.zeros((0, 0), np.int32)
    y = x = 0
    for y, x in corners[:64]:
        labels = np.asarray(slide.labels[y : y + _SAMPLE, x : x + _SAMPLE])
        if labels.any():
            break
    pixels = np.asarray(slide.image[y : y + _SAMPLE, x : x + _SAMPLE]).astype(float)
    free = pixels[labels == 0]
    background = np.median(free[free[:, 1] >= np.quantile(free[:, 1], 0.75)], axis=0)
    red = free[free[:, 1] < background[1] - _LEAST_RED]
    red_cell = red.mean(0) if len(red) else background
    cell = pixels[labels > 0] if labels.any() else red_cell[None]
    darker = cell[:, 1] <= np.median(cell[:, 1])
    paler = cell[~darker] if not darker.all() else cell
    return _Colours(
        _rounded(background), _rounded(red_cell), _rounded(paler.mean(axis=0)), _rounded(cell[darker].mean(axis=0))
    )


def _rounded(colour: NDArray[np.floating]) -> Colour:
    red, green, blue = (round(float(value)) for value in colour)
    return red, green, blue


def _between(one: Colour, other: Colour, share: float) -> Colour:
    return _rounded(np.array(one) * (1 - share) + np.array(other) * share)
