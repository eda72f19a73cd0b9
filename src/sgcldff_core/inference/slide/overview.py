"""A slide from afar: the colour of its glass, and where its cells are likely to be measured well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sgcldff_core.saliency.optical_density import optical_density
from sgcldff_core.saliency.scale import blueness

if TYPE_CHECKING:
    from sgcldff_core.datasets.pyramids import Pyramid

__all__ = ["Overview", "glass_density", "is_thick", "read_shrunk", "take_overview"]

_LONGEST = 2048  # px of the longer side
_BAND = 32  # rows of the overview that are made at once
_GLASS = 0.9  # quantile of green: what is brighter is glass, unless there is none
_LIGHTEST, _LAYERS = 0.1, 0.6  # where even the lightest tenth has this density in green, cells lie in layers


@dataclass(frozen=True, slots=True, eq=False)
class Overview:
    """A slide at a size that is held in memory.

    Attributes
    ----------
    image : ndarray
        (h, w, 3) uint8 RGB, the longer side about 2048 px.
    factor : float
        Px of the slide for one of its px.
    glass : tuple of float
        Colour of the empty slide, R, G, B in [0, 1].
    """

    image: NDArray[np.uint8]
    factor: float
    glass: tuple[float, ...]

    def places(self, side: int, most: int) -> list[tuple[int, int]]:
        """Return corners of squares in which something is stained like a nucleus, the most so first.

        Parameters
        ----------
        side : int
            Of a square in px of the slide.
        most : int
            Number of squares.

        Returns
        -------
        list of (y, x)
            Top left corners in px of the slide. Squares do not overlap; those where cells lie in
            layers are left out, unless there is nothing else.
        """
        density = glass_density(self.image, self.glass)
        blue = ndimage.gaussian_filter(blueness(density), 0.7)
        step = max(1, round(side / self.factor))
        scored = []
        for y in range(0, max(1, blue.shape[0] - step // 2), step):
            for x in range(0, max(1, blue.shape[1] - step // 2), step):
                part = (slice(y, y + step), slice(x, x + step))
                contrast = float(blue[part].max() - np.median(blue[part]))
                scored.append((is_thick(density[part]), -contrast, round(y * self.factor), round(x * self.factor)))
        return [(y, x) for _, _, y, x in sorted(scored)[:most]]


def glass_density(image: NDArray[np.uint8], glass: tuple[float, ...]) -> NDArray[np.float32]:
    """Return the optical density (..., 3) float32 of a part of a slide against its glass.

    Parameters
    ----------
    image : ndarray
        (..., 3) uint8 RGB.
    glass : tuple of float
        Colour of the empty slide, R, G, B in [0, 1], above 0.
    """
    rgb: NDArray[np.float32] = image.astype(np.float32) / np.float32(255)
    return optical_density(rgb, np.array(glass, np.float32))


def is_thick(density: NDArray[np.float32]) -> bool:
    """Tell whether cells lie in layers: nowhere does light pass as it does beside or through one red cell.

    Parameters
    ----------
    density : ndarray
        (h, w, 3) optical density against the glass.
    """
    return bool(np.quantile(density[..., 1], _LIGHTEST) > _LAYERS)


def take_overview(pyramid: Pyramid) -> Overview:
    """Read a slide small; of one without coarse levels every pixel, a band at a time.

    Parameters
    ----------
    pyramid : Pyramid
        The slide.
    """
    wanted = max(1.0, max(pyramid.shape) / _LONGEST)
    index = pyramid.level_for(wanted)
    level = pyramid.levels[index]
    shrink = max(1, round(wanted / pyramid.factor(index)))
    height, width = level.shape
    rows = _BAND * shrink
    bands = [_block_mean(level.read((y, 0, min(y + rows, height), width)), shrink) for y in range(0, height, rows)]
    image = np.concatenate(bands)
    green = image[..., 1]
    glass = np.median(image[green >= np.quantile(green, _GLASS)], axis=0) / 255
    factor = pyramid.shape[0] / image.shape[0] if image.shape[0] > 1 else pyramid.factor(index) * shrink
    return Overview(image, float(factor), tuple(np.maximum(glass, 0.02).tolist()))


def read_shrunk(pyramid: Pyramid, box: tuple[int, int, int, int], shrink: float) -> NDArray[np.uint8]:
    """Read a part of a slide small.

    Parameters
    ----------
    pyramid : Pyramid
        The slide.
    box : tuple of int
        The part, in px of the finest level.
    shrink : float
        By what at the most.

    Returns
    -------
    ndarray
        (h, w, 3) uint8 RGB.
    """
    index = pyramid.level_for(shrink)
    level, factor = pyramid.levels[index], pyramid.factor(index)
    y0, x0, y1, x1 = (int(value / factor) for value in box)
    part = level.read((y0, x0, max(y1, y0 + 1), max(x1, x0 + 1)))
    return _block_mean(part, max(1, int(shrink / factor)))


def _block_mean(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    if factor == 1:
        return image
    factor = min(factor, *image.shape[:2])
    height, width = (length // factor for length in image.shape[:2])
    blocks = image[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    mean: NDArray[np.uint8] = np.rint(blocks.mean((1, 3), dtype=np.float32)).astype(np.uint8)
    return mean
