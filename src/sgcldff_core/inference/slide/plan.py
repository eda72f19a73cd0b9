"""What is to be done with a slide: the level that is read, the size of its cells, its regions."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sgcldff_core
from sgcldff_core.errors import ConfigError
from sgcldff_core.inference.regions import REGION, regions_of
from sgcldff_core.inference.scale import diameter_of_places, find_scale
from sgcldff_core.inference.stitching import MARGIN, Box
from sgcldff_core.inference.tiling import DEFAULT_TILE

if TYPE_CHECKING:
    from sgcldff_core.datasets.pyramids import Pyramid
    from sgcldff_core.inference.slide.overview import Overview
    from sgcldff_core.model import Model

__all__ = ["SlidePlan", "estimate_slide_diameter", "make_plan"]

_PLACES, _ENOUGH = 8, 4  # where cells are measured at the most; places with cells that are enough
_SHORTEST = 4.0  # margins: side of a region
_SLACK = 1.05  # a level that is coarser than wanted by no more will do


@dataclass(frozen=True, slots=True)
class SlidePlan:
    """How a slide is looked at; the same plan gives the same cells.

    Attributes
    ----------
    shape : tuple of int
        Height and width of the slide in px, as of all that is written.
    level : int
        Of the pyramid, the one that is read.
    level_shape : tuple of int
        Its height and width.
    diameter : float
        Of a typical cell in px of the slide.
    side, margin : int
        Longest side of a region, and its margin, in px of the level.
    glass : tuple of float
        Colour of the empty slide, R, G, B in [0, 1].
    skip : bool
        Whether empty and too thick regions are left out.
    model : str
        SHA-256 of the model's weights.
    version : str
        Of this package.
    """

    shape: tuple[int, int]
    level: int
    level_shape: tuple[int, int]
    diameter: float
    side: int
    margin: int
    glass: tuple[float, ...]
    skip: bool
    model: str
    version: str = sgcldff_core.__version__

    @property
    def factor(self) -> float:
        """Px of the slide for one px of the level that is read."""
        return math.sqrt(math.prod(self.shape) / math.prod(self.level_shape))

    def regions(self) -> list[tuple[Box, Box]]:
        """Return the regions and their cores in reading order, in px of the level."""
        return regions_of(self.level_shape, self.side, self.margin)

    def on_slide(self, box: Box) -> Box:
        """Return a box of the level in px of the slide.

        Parameters
        ----------
        box : tuple of int
            y0, x0, y1, x1 in px of the level, half open.
        """
        (height, width), (rows, columns) = self.shape, self.level_shape
        y0, x0, y1, x1 = box
        return (
            round(y0 * height / rows),
            round(x0 * width / columns),
            round(y1 * height / rows),
            round(x1 * width / columns),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def make_plan(
    pyramid: Pyramid, overview: Overview, model: Model, diameter: float, *, skip: bool = True, side: int | None = None
) -> SlidePlan:
    """Plan the work on a slide.

    Parameters
    ----------
    pyramid : Pyramid
        The slide.
    overview : Overview
        Of it.
    model : Model
        The one that will look.
    diameter : float
        Of a typical cell in px of the slide.
    skip : bool
        Whether to leave out empty and too thick regions.
    side : int, optional
        Of a region in px of the level that is read; by default one tile.

    Returns
    -------
    SlidePlan
        The level is the coarsest that still shows cells as large as the model wants them.

    Raises
    ------
    ConfigError
        If the diameter is out of range.
    """
    if not 1 <= diameter < math.inf:
        raise ConfigError(f"diameter must be at least 1 px, got {diameter}")
    level = pyramid.level_for(_SLACK * diameter / model.config.canonical_diameter)
    here = diameter / pyramid.factor(level)
    return SlidePlan(
        shape=pyramid.shape,
        level=level,
        level_shape=pyramid.levels[level].shape,
        diameter=float(diameter),
        side=side or _side(model, here),
        margin=math.ceil(MARGIN * here),
        glass=overview.glass,
        skip=skip,
        model=model.sha256,
    )


def _side(model: Model, diameter: float) -> int:
    # One tile: no pixel is looked at twice within a region, and on a sparse slide most regions are left out.
    tile = int(DEFAULT_TILE * diameter / model.config.canonical_diameter)
    return max(tile, math.ceil(_SHORTEST * MARGIN * diameter) + 1)


def estimate_slide_diameter(pyramid: Pyramid, overview: Overview, model: Model, *, tile: int = DEFAULT_TILE) -> float:
    """Estimate the diameter of a typical leukocyte where the slide is stained like nuclei.

    Parameters
    ----------
    pyramid, overview, model
        As for `make_plan`.
    tile : int
        Side of a tile in px at the canonical scale.

    Returns
    -------
    float
        In px of the slide: the median over places with cells; without any, what the stain of the
        last place suggests.
    """
    height, width = pyramid.shape
    boxes = ((y, x, min(y + REGION, height), min(x + REGION, width)) for y, x in overview.places(REGION, _PLACES))
    pixels = (model.in_own_stain(pyramid.levels[0].read(box)) for box in boxes)
    return diameter_of_places((find_scale(one, model, tile=tile) for one in pixels), _ENOUGH)
