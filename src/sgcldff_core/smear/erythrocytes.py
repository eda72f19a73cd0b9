"""Red cells and platelets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.smear.outline import Disc, Grid, blob, capsule, cover, flatten_against
from sgcldff_core.smear.texture import smooth_noise, splat

if TYPE_CHECKING:
    from sgcldff_core.smear.stain import Stain

__all__ = ["DrawnBody", "RedCellHabit", "draw_erythrocyte", "draw_platelet"]


@dataclass(frozen=True, slots=True)
class RedCellHabit:
    """How the red cells of one slide look on the whole.

    Attributes
    ----------
    ragged : float
        Deviation of their outline from an ellipse, as a share of the radius.
    stretch : float
        Mean of the excess of their longer axis.
    pallor : float
        How far their centre is paler, 0 to 1.
    pallor_width : float
        Radius of the pale centre, as a share of the cell's.
    overlap : float
        How far neighbours reach over each other before they flatten, as a share of the radius.
    adding : float
        How much of the thinner cell's density shows where two lie over each other.
    tilt_y, tilt_x : float
        By how much all cells are denser on one side, as if lit from the other.
    """

    ragged: float
    stretch: float
    pallor: float
    pallor_width: float
    overlap: float
    adding: float
    tilt_y: float
    tilt_x: float

    @classmethod
    def draw(cls, rng: np.random.Generator, stain: Stain) -> RedCellHabit:
        """Draw the habit of one slide.

        Parameters
        ----------
        rng : Generator
            Where chance comes from.
        stain : Stain
            How pale centres are, and how cells stack.
        """
        return cls(
            ragged=float(rng.uniform(0.012, 0.042)),
            stretch=float(rng.uniform(0.05, 0.2)),
            pallor=stain.pallor,
            pallor_width=float(rng.uniform(0.34, 0.66)),
            overlap=float(rng.uniform(0.0, 0.3) if rng.random() < 1 - stain.stacking else rng.uniform(0.4, 1.0)),
            adding=float(rng.uniform(0.05, 0.6)),
            tilt_y=float(rng.normal(0, 0.06)),
            tilt_x=float(rng.normal(0, 0.06)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class DrawnBody:
    """A red cell or a platelet, ready to be added to a field.

    Attributes
    ----------
    grid : Grid
        Its pixels.
    amount, rim : ndarray
        (h, w) float32, thickness of the body, and the dark line at its edge, which turns negative
        where a light fringe lies outside.
    inside : ndarray
        (h, w) bool.
    """

    grid: Grid
    amount: NDArray[np.float32]
    rim: NDArray[np.float32]
    inside: NDArray[np.bool_]


def draw_erythrocyte(
    rng: np.random.Generator,
    disc: Disc,
    neighbours: Sequence[Disc],
    leukocytes: Sequence[Disc],
    stain: Stain,
    habit: RedCellHabit,
) -> DrawnBody:
    """Draw a red cell.

    Parameters
    ----------
    rng : numpy.random.Generator
        The cell's own stream.
    disc : Disc
        Where it lies and how large it is.
    neighbours, leukocytes : sequence of Disc
        Red cells that may lie over it, and leukocytes that press against it.
    stain : Stain
        Colours.
    habit : RedCellHabit
        What the slide's red cells look like.

    Returns
    -------
    DrawnBody
        How thick it is where.
    """
    radius = disc.radius
    stretch = 1 + min(abs(rng.normal(0, habit.stretch)), 0.6) + (rng.uniform(0.3, 0.8) if rng.random() < 0.06 else 0)
    grid = Grid.around(disc.y, disc.x, radius * (math.sqrt(stretch) + 0.14) + 3)
    outline = blob(rng, grid.y, grid.x, radius, habit.ragged * rng.uniform(0.4, 1.8), stretch)
    uneven = smooth_noise(rng, grid.shape, 0.8 * radius)
    if rng.random() < 0.04:  # a spiculed cell
        outline = outline + smooth_noise(rng, grid.shape, 0.22 * radius) * np.float32(0.035 * radius)
    outline = flatten_against(outline, grid, disc, neighbours, 0.2 * radius, habit.overlap * radius)
    outline = flatten_against(outline, grid, disc, leukocytes, 0.2 * radius)

    plate = cover(outline, max(1.2, rng.uniform(0.06, 0.14) * radius))
    # How far inside, 0 at the rim and 1 in the middle, along the cell's real shape.
    depth = np.clip(-outline / np.float32(radius), 0, 1)
    width = habit.pallor_width * rng.uniform(0.75, 1.2)
    pallor = np.clip(habit.pallor * rng.normal(1, 0.35), 0, 0.95) if rng.random() < 0.85 else 0.05
    off_y, off_x = rng.normal(0, 0.07 * radius, 2)
    rho = np.hypot(grid.y - np.float32(off_y), grid.x - np.float32(off_x)) / np.float32(radius)
    rho = np.maximum(rho + uneven * np.float32(0.05), 0)
    steep = rng.uniform(2.0, 6.0)
    pale = np.exp(-((rho / np.float32(width)) ** np.float32(steep))) * np.float32(pallor)
    tilt_y, tilt_x = rng.normal((habit.tilt_y, habit.tilt_x), 0.04).astype(np.float32) / np.float32(radius)
    slope = 1 + tilt_y * grid.y + tilt_x * grid.x
    bulge = 0.8 + 0.34 * np.sqrt(depth) - 0.2 * depth
    body = plate * bulge * (1 - pale) * slope * np.float32(max(0.5, rng.normal(1, 0.1)))
    if rng.random() < stain.artefacts:
        body = body + _refractile(rng, grid, radius)

    line = max(0.9, 0.035 * radius)
    rim = np.exp(-(((outline + np.float32(1.3 * line)) / np.float32(line)) ** 2)) * np.float32(rng.uniform(*stain.rim))
    fringe = np.exp(-(((outline - np.float32(1.6 * line)) / np.float32(1.8 * line)) ** 2)) * np.float32(stain.fringe)
    # Line and fringe are broken where the edge is out of focus.
    broken = np.clip(0.7 - 0.5 * uneven, 0, 1.3)
    rim, fringe = rim * broken, fringe * broken * np.float32(rng.uniform(0.2, 1.2))
    return DrawnBody(grid, body * (1 - rim), rim - fringe, outline < 0)


def _refractile(rng: np.random.Generator, grid: Grid, radius: float) -> NDArray[np.float32]:
    """Return the bright, dark-edged spots of a cell that dried with water in it."""
    spots = np.zeros(grid.shape, np.float32)
    for _ in range(rng.integers(1, 3)):
        y, x = rng.normal(0, 0.3 * radius, 2)
        turn, half = rng.uniform(0, np.pi), rng.uniform(0.02, 0.16) * radius
        dy, dx = half * np.sin(turn), half * np.cos(turn)
        rod = capsule(grid.y, grid.x, (y - dy, x - dx), (y + dy, x + dx), rng.uniform(0.03, 0.07) * radius)
        edge = max(1.0, 0.05 * radius)
        spots += np.exp(-(((rod - edge) / np.float32(edge)) ** 2)) * 0.6 - 1.2 * cover(rod, 1.5 * edge)
    return spots


def draw_platelet(rng: np.random.Generator, disc: Disc) -> DrawnBody:
    """Draw a platelet: a pale hyalomere around violet granules.

    Parameters
    ----------
    rng : numpy.random.Generator
        The platelet's own stream.
    disc : Disc
        Where it lies and how large it is.

    Returns
    -------
    DrawnBody
        How thick it is where.
    """
    radius = disc.radius
    grid = Grid.around(disc.y, disc.x, 2.2 * radius + 3)
    outline = blob(rng, grid.y, grid.x, radius, 0.1, 1 + abs(rng.normal(0, 0.3)))
    if radius > 4:
        outline = outline + smooth_noise(rng, grid.shape, 0.5 * radius) * np.float32(0.09 * radius)
    count = int(rng.integers(10, 30))
    y, x = rng.normal(0, 0.42 * radius, (2, count))
    granules = splat(
        grid.shape,
        y - grid.y[0, 0] + 0.5,
        x - grid.x[0, 0] + 0.5,
        radius * rng.uniform(0.08, 0.22, count),
        rng.uniform(0.3, 0.7, count),
    )
    middle = cover(outline + np.float32(0.45 * radius), 0.9 * radius)
    body = cover(outline, max(1.5, 0.35 * radius)) * (0.35 + 0.35 * middle + granules)
    body = body * np.float32(rng.uniform(0.5, 1.05))
    return DrawnBody(grid, body, np.zeros_like(body), outline < 0)
