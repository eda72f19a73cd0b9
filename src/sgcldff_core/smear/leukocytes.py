"""The five leukocytes of normal blood."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.smear.nuclei import chromatin_of, kidney, lobed, round_nucleus, with_area
from sgcldff_core.smear.outline import Disc, Grid, blob, cover, flatten_against, merge
from sgcldff_core.smear.texture import smooth_noise, splat

if TYPE_CHECKING:
    from sgcldff_core.smear.stain import Stain

__all__ = ["RELATIVE_DIAMETER", "DrawnLeukocyte", "draw_leukocyte"]

Field = NDArray[np.float32]

RELATIVE_DIAMETER: dict[str, tuple[float, float]] = {
    "neutrophil": (1.0, 0.06),
    "lymphocyte": (0.77, 0.09),
    "monocyte": (1.17, 0.08),
    "eosinophil": (1.04, 0.06),
    "basophil": (0.95, 0.06),
}
"""Mean and standard deviation of each type's diameter over the typical one."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnLeukocyte:
    """A leukocyte, ready to be added to a field.

    Attributes
    ----------
    grid : Grid
        Its pixels.
    density : ndarray
        (h, w, 3) float32 optical density.
    cover : ndarray
        (h, w) float32 in [0, 1], how much of each pixel it takes up.
    inside, nucleus : ndarray
        (h, w) bool.
    """

    grid: Grid
    density: Field
    cover: Field
    inside: NDArray[np.bool_]
    nucleus: NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class _Canvas:
    """A cell while it is drawn: its outline, and its optical density so far."""

    rng: np.random.Generator
    grid: Grid
    radius: float
    stain: Stain
    cell: Field
    density: Field

    def lay(self, amount: Field, colour: NDArray[np.float32], hides: float = 0.0) -> None:
        """Add stain; `hides` is the share of what lies below that gives way where `amount` is 1."""
        if hides:
            self.density *= (1 - np.float32(hides) * np.clip(amount, 0, 1))[..., None]
        self.density += amount[..., None] * colour

    def cytoplasm(self, colour: NDArray[np.float32], edge: float, grain: float, softness: float) -> None:
        """Fill the cell; `edge` is how much denser it is along its border."""
        edge += float(self.rng.uniform(*self.stain.edge))
        rng, radius, shape = self.rng, self.radius, self.grid.shape
        cloud = smooth_noise(rng, shape, 0.55 * radius) * np.float32(0.16)
        dust = smooth_noise(rng, shape, max(1.1, 0.045 * radius)) * np.float32(grain)
        rim = np.exp(-(((self.cell + np.float32(0.06 * radius)) / np.float32(0.09 * radius)) ** 2))
        turn, fade = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.3)
        slope = (self.grid.y * np.float32(np.sin(turn)) + self.grid.x * np.float32(np.cos(turn))) / np.float32(radius)
        amount = 1 + cloud + dust + np.float32(edge) * rim + np.float32(fade) * slope
        amount = cover(self.cell, max(1.0, softness * radius)) * np.maximum(amount, 0)
        own = colour * rng.normal(1, 0.08, 3).astype(np.float32)
        self.lay(amount * np.float32(max(0.5, rng.normal(1, 0.15))), own)

    def nucleus(self, outline: Field, chromatin: Field, strength: float) -> None:
        """Lay the nucleus over the cytoplasm."""
        inside = cover(outline, max(1.2, 0.045 * self.radius))
        self.density *= (1 - np.float32(0.85) * inside)[..., None]
        amount = inside * np.maximum(chromatin, 0.2) * np.float32(strength * max(0.7, self.rng.normal(1, 0.1)))
        # Bluer here, redder there, as the two dyes bind to chromatin of different packing.
        hue = np.clip(smooth_noise(self.rng, self.grid.shape, 0.5 * self.radius), -2, 2) * amount * np.float32(0.04)
        self.density += amount[..., None] * self.stain.chromatin + hue[..., None] * self.stain.hue

    def scatter(
        self, count: int, radius: tuple[float, float], strength: tuple[float, float], hollow: float = 0.0
    ) -> Field:
        """Throw granules anywhere over the cell's box; sizes in shares of the cell's radius."""
        rng, (height, width) = self.rng, self.grid.shape
        return splat(
            (height, width),
            rng.uniform(0, height, count),
            rng.uniform(0, width, count),
            self.radius * rng.uniform(*radius, count),
            rng.uniform(*strength, count),
            hollow,
        )

    def pack(self, radius: float, spread: float, hollow: float) -> Field:
        """Fill the cell's box with granules that lie side by side."""
        rng, (height, width) = self.rng, self.grid.shape
        pitch = max(1.5, rng.uniform(1.4, 1.9) * radius * self.radius)
        rows = np.arange(-1, height / (0.87 * pitch) + 1)
        columns = np.arange(-1, width / pitch + 1)
        y, x = np.meshgrid(rows * 0.87 * pitch, columns * pitch, indexing="ij")
        x = x + (rows[:, None] % 2) * pitch / 2
        y, x = (a.ravel() + rng.normal(0, 0.3 * pitch, a.size) for a in (y, x))
        kept = rng.random(y.size) < rng.uniform(0.7, 1.0)
        y, x = y[kept], x[kept]
        size = radius * self.radius * np.clip(rng.normal(1, spread, y.size), 0.5, 1.6)
        return splat((height, width), y, x, size, rng.uniform(0.55, 1.0, y.size), hollow)


def draw_leukocyte(
    rng: np.random.Generator, kind: str, disc: Disc, neighbours: Sequence[Disc], stain: Stain
) -> DrawnLeukocyte:
    """Draw one leukocyte.

    Parameters
    ----------
    rng : numpy.random.Generator
        The cell's own stream.
    kind : str
        Canonical name of its class.
    disc : Disc
        Where it lies and how large it is.
    neighbours : sequence of Disc
        Leukocytes that may touch it.
    stain : Stain
        Colours.

    Returns
    -------
    DrawnLeukocyte
        Its optical density and its exact parts.
    """
    radius = disc.radius
    grid = Grid.around(disc.y, disc.x, 1.45 * radius + 3)
    ragged, bays = _OUTLINES[kind]
    cell = blob(rng, grid.y, grid.x, radius, ragged, 1 + abs(rng.normal(0, 0.11)))
    for _ in range(rng.integers(0, bays + 1)):  # sides that lie flat against something
        turn, side = rng.uniform(0, 2 * np.pi), rng.uniform(0.78, 0.97) * radius
        plane = grid.y * np.float32(np.sin(turn)) + grid.x * np.float32(np.cos(turn)) - np.float32(side)
        cell = merge(cell, plane, -0.25 * radius)
    wavy = smooth_noise(rng, grid.shape, 0.2 * radius) * np.float32(0.006 * radius * (1 + 25 * ragged))
    if rng.random() < (0.25 if kind in ("monocyte", "lymphocyte") else 0.08):  # a frayed border
        hairs = np.maximum(smooth_noise(rng, grid.shape, 0.09 * radius), 0)
        wavy = wavy - hairs * np.float32(rng.uniform(0.02, 0.07) * radius)
    cell = flatten_against(cell + wavy, grid, disc, neighbours, 0.1 * radius)
    canvas = _Canvas(rng, grid, radius, stain, cell, np.zeros((*grid.shape, 3), np.float32))
    nucleus = _DRAW[kind](canvas)
    inside = cell < 0
    return DrawnLeukocyte(grid, canvas.density, cover(cell, max(1.0, 0.03 * radius)), inside, inside & (nucleus < 0))


def _neutrophil(c: _Canvas) -> Field:
    rng, stain = c.rng, c.stain
    c.cytoplasm(stain.pink, edge=rng.uniform(-0.1, 0.25), grain=0.12, softness=0.05)
    granules = c.scatter(int(rng.integers(300, 1300)), (0.011, 0.026), (0.1, rng.uniform(0.35, 0.9)))
    c.lay(granules * cover(c.cell + 0.03 * c.radius), stain.violet, hides=0.3)
    share = rng.uniform(0.28, 0.42)
    lobes = int(rng.choice((2, 3, 4, 5), p=(0.1, 0.4, 0.35, 0.15)))
    strand = rng.uniform(0.03, 0.08) if rng.random() < 0.8 else rng.uniform(0.12, 0.22)
    shape = lobed(rng, c.grid, c.radius, lobes, share, rng.uniform(0.45, 0.95), strand)
    shape = with_area(shape, c.cell + 0.05 * c.radius, share, 0.03 * c.radius)
    c.nucleus(shape, chromatin_of(rng, c.grid, c.radius, shape, 0.15, 0.2, 0.17), 1.0)
    return shape


def _lymphocyte(c: _Canvas) -> Field:
    rng, stain = c.rng, c.stain
    c.cytoplasm(stain.blue, edge=rng.uniform(0.1, 0.5), grain=0.05, softness=0.04)
    large = rng.random() < 0.25
    share = rng.uniform(0.45, 0.6) if large else rng.uniform(0.62, 0.84)
    if large and rng.random() < 0.5:  # a few azurophilic granules
        c.lay(c.scatter(int(rng.integers(20, 50)), (0.025, 0.045), (0.5, 0.9)) * cover(c.cell), stain.violet)
    notch = rng.uniform(0.08, 0.25) if rng.random() < 0.3 else 0.0
    shape = with_area(round_nucleus(rng, c.grid, c.radius, share, notch), c.cell, share, c.radius)
    c.nucleus(shape, chromatin_of(rng, c.grid, c.radius, shape, 0.26, 0.4, 0.11), rng.uniform(0.82, 1.0))
    return shape


def _monocyte(c: _Canvas) -> Field:
    rng, stain = c.rng, c.stain
    c.cytoplasm(stain.grey, edge=rng.uniform(0.0, 0.35), grain=0.14, softness=0.05)
    c.lay(c.scatter(int(rng.integers(100, 500)), (0.008, 0.016), (0.1, 0.35)) * cover(c.cell), stain.violet)
    share = rng.uniform(0.46, 0.6)
    shape = with_area(kidney(rng, c.grid, c.radius, share), c.cell + 0.04 * c.radius, share, 0.25 * c.radius)
    chromatin = chromatin_of(rng, c.grid, c.radius, shape, 0.16, 0.8, 0.14)
    fold = np.exp(-((smooth_noise(rng, c.grid.shape, 0.8 * c.radius) / np.float32(0.08)) ** 2))
    c.nucleus(shape, chromatin * (1 + np.float32(0.25) * fold), rng.uniform(0.62, 0.8))
    if rng.random() < 0.6:
        holes = c.scatter(int(rng.integers(3, 26)), (0.02, 0.06), (0.4, 0.9), hollow=0.05)
        c.density *= (1 - holes * cover(c.cell + 0.05 * c.radius) * (1 - 0.5 * cover(shape)))[..., None]
    return shape


def _eosinophil(c: _Canvas) -> Field:
    rng, stain = c.rng, c.stain
    c.cytoplasm(stain.salmon, edge=0.0, grain=0.05, softness=0.05)
    share = rng.uniform(0.3, 0.4)
    lobes = 2 if rng.random() < 0.8 else 3
    shape = lobed(rng, c.grid, c.radius, lobes, share, rng.uniform(0.6, 0.9), rng.uniform(0.05, 0.12))
    shape = with_area(shape, c.cell + 0.05 * c.radius, share, 0.05 * c.radius)
    size = rng.uniform(0.03, 0.054)
    granules = c.pack(size, 0.3, hollow=rng.uniform(0.2, 0.5)) * np.float32(rng.uniform(0.7, 1.0))
    fill = cover(c.cell + size * c.radius, 0.12 * c.radius)
    bare = cover(smooth_noise(rng, c.grid.shape, 0.5 * c.radius) - 1.7, 0.9)
    c.lay(granules * fill * bare, stain.orange, hides=0.3)
    c.nucleus(shape, chromatin_of(rng, c.grid, c.radius, shape, 0.2, 0.3, 0.13), rng.uniform(0.68, 0.88))
    few = c.scatter(int(rng.integers(20, 120)), (0.04, 0.055), (0.2, 0.6))
    c.lay(few * fill * cover(shape), stain.orange, hides=0.35)
    return shape


def _basophil(c: _Canvas) -> Field:
    rng, stain = c.rng, c.stain
    # From cells that lost most granules in the rinse to cells that are so full that the nucleus is
    # no more than a darker shade beneath them.
    full = rng.beta(0.6, 0.9)
    c.cytoplasm(0.5 * (stain.pink + stain.grey), edge=0.0, grain=0.06, softness=0.05)
    bled = rng.uniform(0.1, 0.45) * full  # granules that dissolve colour the cytoplasm
    c.lay(np.float32(bled) * (1 + 0.3 * smooth_noise(rng, c.grid.shape, 0.25 * c.radius)) * cover(c.cell), stain.indigo)
    share = rng.uniform(0.4, 0.52) + 0.15 * full * rng.random()
    shape = lobed(rng, c.grid, c.radius, int(rng.integers(2, 4)), share, rng.uniform(0.4, 0.8), rng.uniform(0.15, 0.3))
    shape = with_area(shape, c.cell + 0.06 * c.radius, share, (0.12 + 0.1 * full) * c.radius)
    chromatin = chromatin_of(rng, c.grid, c.radius, shape, 0.25, 0.1, 0.12)
    c.nucleus(shape, chromatin, rng.uniform(0.55, 0.9) - 0.05 * full)
    size = rng.uniform(0.035, 0.06)
    many = rng.uniform(0.5, 1.3) + 1.2 * full
    coarse = c.scatter(int(many / size**2), (0.6 * size, 1.25 * size), (0.35, 1.0), hollow=0.05)
    fine = c.scatter(int(rng.uniform(0.5, 1.5) / size**2), (0.3 * size, 0.6 * size), (0.3, 0.8))
    # Uneven outlines, since neighbours melt together, and gaps where granules were washed out.
    ragged = 1 + 0.35 * smooth_noise(rng, c.grid.shape, max(1.5, 0.6 * size * c.radius))
    patchy = cover(smooth_noise(rng, c.grid.shape, 0.4 * c.radius) - 0.9 - full, 1.6)
    amount = np.clip(np.maximum(coarse, fine) * ragged, 0, 1.1) * cover(c.cell + 0.4 * size * c.radius) * patchy
    c.lay(amount * np.float32(1 - 0.35 * full), stain.indigo, hides=0.5 - 0.3 * full)
    return shape


_DRAW: dict[str, Callable[[_Canvas], Field]] = {
    "neutrophil": _neutrophil,
    "lymphocyte": _lymphocyte,
    "monocyte": _monocyte,
    "eosinophil": _eosinophil,
    "basophil": _basophil,
}

# How ragged the border is, and how many flat sides it may have.
_OUTLINES: dict[str, tuple[float, int]] = {
    "neutrophil": (0.03, 1),
    "lymphocyte": (0.025, 1),
    "monocyte": (0.06, 3),
    "eosinophil": (0.03, 1),
    "basophil": (0.045, 2),
}
