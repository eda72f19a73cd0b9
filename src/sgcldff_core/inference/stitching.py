"""Cells that several regions of a plane see: each is taken once, by one of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MARGIN", "STRIP", "Box", "Outline", "Stitcher"]

Box = tuple[int, int, int, int]
"""First row, first column, last row + 1, last column + 1, in px of the plane."""

MARGIN = 1.0
"""Cell diameters around the core of a region in which it looks as well: every cell of the core is whole there."""

STRIP = 0.25
"""Cell diameters beyond a core in which the centre of a cell may lie that is taken there: another region may
place it on this side of their border."""

_SAME = 0.5  # of the smaller one's area: cells that share more are one
_BIN = 2.0  # cell diameters: side of the squares by which cells that were taken are looked up


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """The pixels of one cell of a plane.

    Attributes
    ----------
    box : tuple of int
        The smallest that holds them, in px of the plane.
    mask : ndarray
        (h, w) bool, the cell within its box.
    """

    box: Box
    mask: NDArray[np.bool_]


class Stitcher:
    """Decides, region by region in reading order, which cells belong to a region and were not taken yet.

    It remembers outlines near what is to come, no more.

    Parameters
    ----------
    diameter : float
        Of a typical cell in px of the plane.
    """

    def __init__(self, diameter: float) -> None:
        self._margin, self._strip, self._bin = MARGIN * diameter, STRIP * diameter, _BIN * diameter
        self._taken: dict[tuple[int, int], list[Outline]] = {}

    def near(self, core: Box, y: NDArray[np.floating], x: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Tell which centres lie in a core or the strip around it.

        Parameters
        ----------
        core : tuple of int
            The region without its margins, in px of the plane.
        y, x : ndarray
            (N,) float, centres of cells in px of the plane.
        """
        strip = self._strip
        return (y >= core[0] - strip) & (y < core[2] + strip) & (x >= core[1] - strip) & (x < core[3] + strip)

    def take(self, box: Box, core: Box, outlines: Sequence[Outline]) -> list[int]:
        """Take the cells of a region that no region before it has taken.

        Parameters
        ----------
        box, core : tuple of int
            The region with its margins, and without.
        outlines : sequence of Outline
            Cells whose centres are `near` the core.

        Returns
        -------
        list of int
            Which of them are taken, ascending.
        """
        # Only what reaches into this row of regions or a later one can meet another cell.
        gone = [place for place, cells in self._taken.items() if all(cell.box[2] <= box[0] for cell in cells)]
        for place in gone:
            del self._taken[place]
        own = [index for index, cell in enumerate(outlines) if not self._is_taken(cell)]
        for index in own:
            cell = outlines[index]
            if cell.box[2] > core[2] - self._margin or cell.box[3] > core[3] - self._margin:
                for place in self._places(cell.box):
                    self._taken.setdefault(place, []).append(cell)
        return own

    def _is_taken(self, cell: Outline) -> bool:
        return any(
            _shared(cell, other) > _SAME * min(cell.mask.sum(), other.mask.sum())
            for place in self._places(cell.box)
            for other in self._taken.get(place, ())
        )

    def _places(self, box: Box) -> Iterator[tuple[int, int]]:
        first_row, first_column = (math.floor(start / self._bin) for start in box[:2])
        last_row, last_column = (math.floor((stop - 1) / self._bin) for stop in box[2:])
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                yield row, column


def _shared(one: Outline, other: Outline) -> int:
    y0, x0 = max(one.box[0], other.box[0]), max(one.box[1], other.box[1])
    y1, x1 = min(one.box[2], other.box[2]), min(one.box[3], other.box[3])
    if y0 >= y1 or x0 >= x1:
        return 0
    parts = [c.mask[y0 - c.box[0] : y1 - c.box[0], x0 - c.box[1] : x1 - c.box[1]] for c in (one, other)]
    return int((parts[0] & parts[1]).sum())
