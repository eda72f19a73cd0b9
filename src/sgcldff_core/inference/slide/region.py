"""One region of a slide: whether it is worth a look, and the cells that are found in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sgcldff_core.datasets.pyramids import Pyramid
from sgcldff_core.datasets.slides import open_slide
from sgcldff_core.inference.prediction import predict_image
from sgcldff_core.inference.regions import outlines_of
from sgcldff_core.inference.slide.overview import glass_density, is_thick, read_shrunk
from sgcldff_core.inference.stitching import Box, Outline, Stitcher
from sgcldff_core.saliency import compute_prior

if TYPE_CHECKING:
    import pandas as pd

    from sgcldff_core.inference.slide.plan import SlidePlan
    from sgcldff_core.model import Model

__all__ = ["OUTLINE", "LookedAt", "RegionTask", "look_into_region", "opened", "outlines_in", "worth_a_look"]

Worth = Literal["cells", "empty", "thick"]

OUTLINE = "outline"
"""Column of a region's table: the pixels of a cell within its box, row by row, eight to a byte."""

_COARSE = 12.0  # px of a typical cell at the first, cheap look
_SMOOTH = 1.0  # px: a cell is more than one bright pixel of the prior
# Of the prior, at its highest. In 33 fields of BCCD and 60 images of Zheng it was 0.84 or more over leukocytes of
# 12 px; beside them, below 0.25 in nine images of ten.
_NOTHING = 0.4


@dataclass(frozen=True, slots=True)
class RegionTask:
    """All that a worker has to know.

    Attributes
    ----------
    slide : Path or Pyramid
        Where the slide lies, or itself.
    plan : SlidePlan
        Of the slide.
    index : int
        Of the region.
    box, core : tuple of int
        The region with and without its margins, in px of the level that is read.
    name : str
        The slide's in the table of cells.
    ledger : Path
        Folder for what is found.
    """

    slide: Path | Pyramid
    plan: SlidePlan
    index: int
    box: Box
    core: Box
    name: str
    ledger: Path


@dataclass(frozen=True, slots=True, eq=False)
class LookedAt:
    """What a region holds.

    Attributes
    ----------
    worth : {"cells", "empty", "thick"}
        Whether the network looked at it, or why not.
    cells : DataFrame or None
        Of the cells whose centres lie in or near its core: the columns of the table of cells,
        places in px of the slide, and `OUTLINE`. None where the network did not look.
    """

    worth: Worth
    cells: pd.DataFrame | None


def opened(slide: Path | Pyramid) -> Pyramid:
    """Return a slide, opened once by each process.

    Parameters
    ----------
    slide : Path or Pyramid
        A file that has changed is opened anew; a pyramid is returned as it is.
    """
    if isinstance(slide, Pyramid):
        return slide
    return _opened_as_of(slide, slide.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _opened_as_of(path: Path, changed: int) -> Pyramid:
    return open_slide(path)


def worth_a_look(small: NDArray[np.uint8], glass: tuple[float, ...]) -> Worth:
    """Judge a region by a coarse look.

    Parameters
    ----------
    small : ndarray
        (h, w, 3) uint8 RGB in which a typical cell has some 12 px.
    glass : tuple of float
        Colour of the empty slide, R, G, B in [0, 1].

    Returns
    -------
    {"cells", "empty", "thick"}
        Empty is where the prior sees nothing that may be a leukocyte; thick, where red cells lie in
        layers, so that no leukocyte is spread out enough to be named.
    """
    if is_thick(glass_density(small, glass)):
        return "thick"
    prior = ndimage.gaussian_filter(compute_prior(small), _SMOOTH)
    return "cells" if prior.max() > _NOTHING else "empty"


def look_into_region(model: Model, task: RegionTask) -> LookedAt:
    """Find the cells of a region.

    Parameters
    ----------
    model : Model
        Of the plan.
    task : RegionTask
        Which region.

    Returns
    -------
    LookedAt
        The same whoever calls it, and whatever was done before.
    """
    pyramid, plan = opened(task.slide), task.plan
    box, core = plan.on_slide(task.box), plan.on_slide(task.core)
    if plan.skip:
        worth = worth_a_look(read_shrunk(pyramid, box, plan.diameter / _COARSE), plan.glass)
        if worth != "cells":
            return LookedAt(worth, None)
    size = (box[2] - box[0], box[3] - box[1])
    pixels = pyramid.levels[plan.level].read(task.box)
    found = predict_image(pixels, model, name=task.name, diameter=plan.diameter / plan.factor, size=size)
    cells = found.cells.copy()
    cells[OUTLINE] = [np.packbits(outline.mask).tobytes() for outline in outlines_of(found, (0, 0, 0, 0))]
    for axis, offset in (("y", box[0]), ("x", box[1])):
        for column in (f"centroid_{axis}", f"bbox_{axis}0", f"bbox_{axis}1"):
            cells[column] += offset
    y, x = cells["centroid_y"].to_numpy(float), cells["centroid_x"].to_numpy(float)
    near = Stitcher(plan.diameter).near(core, y, x)
    return LookedAt("cells", cells[near].reset_index(drop=True))


def outlines_in(cells: pd.DataFrame) -> list[Outline]:
    """Return the outlines of a region's table.

    Parameters
    ----------
    cells : DataFrame
        As in `LookedAt`; the outlines are in px of the slide, as its boxes are.
    """
    outlines = []
    columns = [cells[f"bbox_{name}"].to_numpy(int) for name in ("y0", "x0", "y1", "x1")]
    for (y0, x0, y1, x1), packed in zip(np.stack(columns, 1).tolist(), cells[OUTLINE], strict=True):
        count = (y1 - y0) * (x1 - x0)
        bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=count)
        outlines.append(Outline((y0, x0, y1, x1), bits.reshape(y1 - y0, x1 - x0).astype(bool)))
    return outlines
