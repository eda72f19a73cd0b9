"""Outlines as fields of distance: negative inside, in pixels, smooth enough to warp and to merge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Disc", "Grid", "blob", "capsule", "cover", "flatten_against", "merge"]

Field = NDArray[np.float32]

_DIRECTIONS = np.linspace(0, 2 * np.pi, 2048, endpoint=False)


@dataclass(frozen=True, slots=True)
class Disc:
    """Where a cell lies and how large it is, in pixels (row, column)."""

    y: float
    x: float
    radius: float


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """The pixels of the box in which one cell is drawn, as seen from the cell's centre.

    Attributes
    ----------
    y0, x0 : int
        Top-left pixel of the box in the field; may lie outside it.
    y, x : ndarray
        (h, 1) and (1, w) float32, distance of the pixel centres from the cell's centre.
    """

    y0: int
    x0: int
    y: Field
    x: Field

    @classmethod
    def around(cls, y: float, x: float, reach: float) -> Grid:
        """Return the box of pixels within `reach` of a point.

        Parameters
        ----------
        y, x : float
            The point, in pixels of the slide.
        reach : float
            In pixels, along each axis.
        """
        y0, x0 = math.floor(y - reach), math.floor(x - reach)
        height, width = math.ceil(y + reach) - y0, math.ceil(x + reach) - x0
        rows = (np.arange(y0, y0 + height) + (0.5 - y)).astype(np.float32)
        columns = (np.arange(x0, x0 + width) + (0.5 - x)).astype(np.float32)
        return cls(y0, x0, rows[:, None], columns[None, :])

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the box in pixels."""
        return self.y.shape[0], self.x.shape[1]


def blob(
    rng: np.random.Generator, y: Field, x: Field, radius: float, ragged: float = 0.03, stretch: float = 1.0
) -> Field:
    """Return a closed outline near a circle.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    y, x : ndarray
        Coordinates from the centre in pixels, of shapes that broadcast.
    radius : float
        Of the circle of the same area, in pixels.
    ragged : float, optional
        Size of the deviations from an ellipse, as a share of the radius.
    stretch : float, optional
        Ratio of the axes of the ellipse.

    Returns
    -------
    ndarray
        (H, W) float32, about the distance to the outline.
    """
    turn = rng.uniform(0, np.pi)
    along, across = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    root = np.float32(math.sqrt(stretch))
    u, v = (x * along + y * across) / root, (y * along - x * across) * root
    # The radius for each direction comes from a table, much cheaper than a sum of cosines a pixel.
    orders = np.arange(3, 8)
    sizes = ragged * rng.standard_normal(len(orders)) * (3 / orders) ** 1.3
    phases = rng.uniform(0, 2 * np.pi, len(orders))
    edge = 1 + sizes @ np.cos(np.outer(orders, _DIRECTIONS) + phases[:, None])
    edge *= radius / np.sqrt(np.mean(edge**2))
    steps = np.float32(len(_DIRECTIONS) / (2 * np.pi))
    direction = (np.arctan2(v, u) * steps).astype(np.int16) % len(_DIRECTIONS)
    return np.asarray(np.hypot(u, v) - edge.astype(np.float32)[direction], np.float32)


def capsule(y: Field, x: Field, start: Sequence[float], end: Sequence[float], radius: float) -> Field:
    """Return a rod with round ends.

    Parameters
    ----------
    y, x : ndarray
        Coordinates in pixels.
    start, end : sequence of float
        Both ends of its axis (row, column).
    radius : float
        In pixels.

    Returns
    -------
    ndarray
        (H, W) float32, the distance to its outline.
    """
    dy, dx = end[0] - start[0], end[1] - start[1]
    py, px = y - np.float32(start[0]), x - np.float32(start[1])
    share = np.clip((py * dy + px * dx) / max(dy * dy + dx * dx, 1e-6), 0, 1).astype(np.float32)
    return np.asarray(np.hypot(py - share * np.float32(dy), px - share * np.float32(dx)) - radius, np.float32)


def merge(first: Field, second: Field, blend: float) -> Field:
    """Return the union of two outlines with the corner between them filled.

    Parameters
    ----------
    first, second : ndarray
        Outlines of one shape.
    blend : float
        Width of the fillet in pixels. A negative one gives the intersection, rounded likewise.

    Returns
    -------
    ndarray
        (H, W) float32.
    """
    if blend < 0:
        return -merge(-first, -second, -blend)
    near = np.maximum(np.float32(blend) - np.abs(first - second), 0)
    return np.asarray(np.minimum(first, second) - near * near * np.float32(0.25 / max(blend, 1e-6)), np.float32)


def cover(outline: Field, softness: float = 1.0) -> Field:
    """Return how much of each pixel lies inside an outline.

    Parameters
    ----------
    outline : ndarray
        (H, W) distance in pixels.
    softness : float, optional
        Width of the edge in pixels; 1 is plain antialiasing.

    Returns
    -------
    ndarray
        (H, W) float32 in [0, 1].
    """
    share = np.clip(0.5 - outline / np.float32(max(softness, 1e-3)), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def flatten_against(
    outline: Field, grid: Grid, own: Disc, others: Sequence[Disc], blend: float, overlap: float = 0.0
) -> Field:
    """Flatten an outline where other cells press against it.

    The border between two cells is the line of equal distance from both circles, which each of
    them finds by itself, so neither has to be drawn first.

    Parameters
    ----------
    outline : ndarray
        (H, W) distance in pixels.
    grid : Grid
        Its pixels.
    own : Disc
        The cell's own circle.
    others : sequence of Disc
        Its neighbours.
    blend : float
        Rounding of the new corners in pixels.
    overlap : float, optional
        How far the cell may reach over the border, in pixels.

    Returns
    -------
    ndarray
        (H, W) float32.
    """
    mine = None
    for other in others:
        dy, dx = other.y - own.y, other.x - own.x
        if math.hypot(dy, dx) >= 1.3 * (own.radius + other.radius):
            continue
        if mine is None:
            mine = np.hypot(grid.y, grid.x) - np.float32(own.radius)
        theirs = np.hypot(grid.y - np.float32(dy), grid.x - np.float32(dx)) - np.float32(other.radius)
        outline = merge(outline, (mine - theirs) / 2 - np.float32(overlap), -blend)
    return outline
