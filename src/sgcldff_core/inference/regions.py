"""Planes of any size, region by region: memory is bounded by the region, and each cell is taken once.

Neighbouring regions share two cell diameters, so that every cell is whole in the region in whose core its centre
lies. Two regions may see that centre on different sides of their border; a cell is therefore taken in a strip
beyond the core as well, unless it lies on one that was taken already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError
from sgcldff_core.inference.prediction import Prediction, predict_image
from sgcldff_core.inference.stitching import MARGIN, Box, Outline, Stitcher
from sgcldff_core.inference.tiling import DEFAULT_TILE

if TYPE_CHECKING:
    from sgcldff_core.model import Model

__all__ = [
    "REGION",
    "Box",
    "Progress",
    "Read",
    "RegionPrediction",
    "outlines_of",
    "predict_regions",
    "regions_of",
]

Read = Callable[[Box], NDArray[np.uint8]]
"""Returns the (h, w, 3) uint8 RGB pixels of a box."""

Progress = Callable[[str, int, int], None]

REGION = 1152
"""Side of a region in px at the canonical scale: a look at it is short, its maps take some 150 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class RegionPrediction:
    """What was found in one region of a plane.

    Attributes
    ----------
    box : tuple of int
        The region with its margins, in px of the plane.
    core : tuple of int
        The part of it that belongs to no other region.
    prediction : Prediction
        Of `box`; only the cells that belong to this region, numbered on from those of the regions
        before it; places and boxes in its table are in px of the plane.
    """

    box: Box
    core: Box
    prediction: Prediction

    def put(self, values: NDArray[np.generic], into: NDArray[np.generic]) -> None:
        """Write the core's part of a map of this region into a map of the plane.

        Parameters
        ----------
        values : ndarray
            (h, w) of `box`.
        into : ndarray
            (H, W) of the plane, changed in place.
        """
        (top, left, _, _), (y0, x0, y1, x1) = self.box, self.core
        into[y0:y1, x0:x1] = values[y0 - top : y1 - top, x0 - left : x1 - left]

    def put_cells(self, into: NDArray[np.integer]) -> None:
        """Write the labels of this region into those of the plane, where no other cell is yet.

        Parameters
        ----------
        into : ndarray
            (H, W) int labels of the plane, 0 background, changed in place.
        """
        y0, x0, y1, x1 = self.box
        there, own = into[y0:y1, x0:x1], self.prediction.labels
        into[y0:y1, x0:x1] = np.where((there == 0) & (own > 0), own, there)


def regions_of(shape: tuple[int, int], side: int, margin: int) -> list[tuple[Box, Box]]:
    """Divide a plane into regions that overlap.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the plane in px.
    side : int
        Longest side of a region, margins included, in px.
    margin : int
        Around the core, where the plane goes on, in px.

    Returns
    -------
    list of (box, core)
        In reading order. The cores are evenly sized, do not overlap and cover the plane.

    Raises
    ------
    ConfigError
        If the margins leave no core.
    """
    if margin < 0 or side <= 2 * margin:
        raise ConfigError(f"a region of {side} px has no core between margins of {margin} px")

    def parts(length: int) -> list[tuple[int, int]]:
        count = 1 if length <= side else -(-length // (side - 2 * margin))
        edges = np.rint(np.linspace(0, length, count + 1)).astype(int).tolist()
        return list(pairwise(edges))

    (height, width), cores = shape, [(y0, x0, y1, x1) for y0, y1 in parts(shape[0]) for x0, x1 in parts(shape[1])]
    return [
        ((max(0, y0 - margin), max(0, x0 - margin), min(height, y1 + margin), min(width, x1 + margin)), core)
        for core in cores
        for y0, x0, y1, x1 in [core]
    ]


def predict_regions(
    read: Read,
    shape: tuple[int, int],
    model: Model,
    diameter: float,
    *,
    name: str = "image",
    explain: bool = False,
    tile: int = DEFAULT_TILE,
    mirror: bool = True,
    side: int | None = None,
    progress: Progress | None = None,
) -> Iterator[RegionPrediction]:
    """Find the cells of a plane, region by region.

    Parameters
    ----------
    read : callable
        Gives the pixels of a `Box`.
    shape : tuple of int
        Height and width of the plane in px.
    model : Model
        On any device.
    diameter : float
        Of a typical leukocyte in px.
    name, explain, tile, mirror
        As for `sgcldff_core.inference.predict_image`.
    side : int, optional
        Of a region in px of the plane; by default a few tiles.
    progress : callable, optional
        Called with the stage, regions done and regions in all, several times a region; may raise
        to stop.

    Yields
    ------
    RegionPrediction
        In reading order; what was yielded is not kept, but for outlines near what is to come.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    """
    margin = int(np.ceil(MARGIN * diameter))
    regions = regions_of(shape, side or _side(model, diameter), margin)
    stitcher = Stitcher(diameter)
    count = 0
    for done, (box, core) in enumerate(regions):

        def step(title: str, _: int, __: int, done: int = done) -> None:
            if progress is not None:
                progress(title, done, len(regions))

        step("finding cells", 0, 0)
        prediction = predict_image(
            read(box), model, name=name, diameter=diameter, explain=explain, tile=tile, mirror=mirror, progress=step
        )
        outlines = outlines_of(prediction, box)
        y, x = prediction.cells["centroid_y"].to_numpy(float), prediction.cells["centroid_x"].to_numpy(float)
        near = np.flatnonzero(stitcher.near(core, y + box[0], x + box[1])).tolist()
        rows = [near[index] for index in stitcher.take(box, core, [outlines[row] for row in near])]
        yield RegionPrediction(box, core, _numbered_from(prediction, box, rows, count))
        count += len(rows)
    if progress is not None:
        progress("finding cells", len(regions), len(regions))


def _side(model: Model, diameter: float) -> int:
    return max(int(REGION * diameter / model.config.canonical_diameter), int(np.ceil(4 * MARGIN * diameter)) + 1)


def outlines_of(prediction: Prediction, box: Box) -> list[Outline]:
    """Return the outline of each row of a prediction's table, in px of the plane of which it is a box.

    Parameters
    ----------
    prediction : Prediction
        Of the box alone: places in its table are in px of the box.
    box : tuple of int
        Where that lies in the plane; only the top left corner counts.
    """
    outlines = []
    columns = [prediction.cells[name].to_numpy(int) for name in ("label", "bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1")]
    for label, y0, x0, y1, x1 in np.stack(columns, 1).tolist():
        mask = prediction.labels[y0:y1, x0:x1] == label
        outlines.append(Outline((box[0] + y0, box[1] + x0, box[0] + y1, box[1] + x1), mask))
    return outlines


def _numbered_from(prediction: Prediction, box: Box, rows: list[int], count: int) -> Prediction:
    """Keep some cells, number them on from `count`, and give their places in px of the plane."""
    cells = prediction.cells.iloc[rows].copy()
    numbers = np.zeros(int(prediction.labels.max(initial=0)) + 1, np.int32)
    numbers[cells["label"].to_numpy(int)] = np.arange(count + 1, count + len(rows) + 1)
    cells["label"] = np.arange(count + 1, count + len(rows) + 1, dtype=np.int64)
    for axis, offset in (("y", box[0]), ("x", box[1])):
        for column in (f"centroid_{axis}", f"bbox_{axis}0", f"bbox_{axis}1"):
            cells[column] += offset
    return replace(
        prediction,
        labels=numbers[prediction.labels],
        cells=cells.reset_index(drop=True),
        stability=prediction.stability[rows],
        evidence=None if prediction.evidence is None else prediction.evidence.iloc[rows].reset_index(drop=True),
    )
