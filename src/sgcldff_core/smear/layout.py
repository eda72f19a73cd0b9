"""Where the cells of a smear lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from sgcldff_core.smear.leukocytes import RELATIVE_DIAMETER
from sgcldff_core.smear.outline import Disc
from sgcldff_core.smear.texture import Ripples, stream

if TYPE_CHECKING:
    from sgcldff_core.smear.settings import SmearSettings
    from sgcldff_core.smear.window import Window

__all__ = [
    "LEUKOCYTE",
    "PLATELET",
    "RED_CELL",
    "PlacedBody",
    "PlacedLeukocyte",
    "draw_kind",
    "leukocytes_of",
    "platelets_in",
    "red_cells_in",
]

# First keys of the random streams, one for each kind of structure.
LEUKOCYTE, RED_CELL, PLATELET, _PLACE = 1, 2, 3, 4

_RED_CELL_DIAMETER = 0.57
_ATTEMPTS = 60


@dataclass(frozen=True, slots=True)
class PlacedLeukocyte:
    """A leukocyte before it is drawn: class, place, and the key of its stream, which is its label too."""

    kind: str
    disc: Disc
    label: int


@dataclass(frozen=True, slots=True)
class PlacedBody:
    """A red cell or platelet before it is drawn, with the key of its stream and its neighbours."""

    disc: Disc
    key: tuple[int, ...]
    neighbours: tuple[Disc, ...] = ()


def leukocytes_of(seed: int, settings: SmearSettings) -> list[PlacedLeukocyte]:
    """Place the leukocytes of one field.

    Parameters
    ----------
    seed : int
        Of the smear.
    settings : SmearSettings
        What it is to look like.

    Returns
    -------
    list of PlacedLeukocyte
        In the order of their labels; those that found no room are left out.
    """
    placed: list[PlacedLeukocyte] = []
    for index in range(settings.leukocytes):
        rng = stream(seed, _PLACE, LEUKOCYTE, index)
        kind, radius = draw_kind(rng, settings)
        disc = _find_room(rng, radius, [p.disc for p in placed], settings, middle=settings.centred and index == 0)
        if disc is not None:
            placed.append(PlacedLeukocyte(kind, disc, index + 1))
    return placed


def draw_kind(rng: np.random.Generator, settings: SmearSettings) -> tuple[str, float]:
    """Draw a leukocyte's class and its radius in pixels.

    Parameters
    ----------
    rng : Generator
        Where chance comes from.
    settings : SmearSettings
        Classes, their weights, and the typical diameter in pixels.
    """
    weights = None if settings.weights is None else np.array(settings.weights) / sum(settings.weights)
    kind = str(rng.choice(settings.classes, p=weights))
    mean, deviation = RELATIVE_DIAMETER[kind]
    share = np.clip(rng.normal(mean, deviation), mean - 2.5 * deviation, mean + 2.5 * deviation)
    return kind, float(share * settings.diameter / 2)


def _find_room(
    rng: np.random.Generator, radius: float, others: Sequence[Disc], settings: SmearSettings, middle: bool
) -> Disc | None:
    height, width = settings.height, settings.width
    if middle:
        y, x = rng.normal(0, 0.08 * radius, 2)
        return Disc(height / 2 + float(y), width / 2 + float(x), radius)
    touch = bool(others) and rng.random() < settings.touching
    cut = rng.random() < settings.cut
    for attempt in range(_ATTEMPTS):
        if touch and attempt < _ATTEMPTS // 2:
            other = others[int(rng.integers(len(others)))]
            turn, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.86, 0.97) * (radius + other.radius)
            y, x = other.y + reach * math.sin(turn), other.x + reach * math.cos(turn)
            if not (0 <= y < height and 0 <= x < width):
                continue
            rivals = [o for o in others if o is not other]
        else:
            y, x = _somewhere(rng, radius, height, width, cut)
            rivals = list(others)
        if all(math.hypot(o.y - y, o.x - x) > 1.12 * (o.radius + radius) for o in rivals):
            return Disc(y, x, radius)
    return None if others else Disc(height / 2, width / 2, radius)


def _somewhere(rng: np.random.Generator, radius: float, height: int, width: int, cut: bool) -> tuple[float, float]:
    share_y, share_x, side, depth = rng.random(4)
    inner = 1.08 * radius
    y = inner + share_y * (height - 2 * inner) if height > 2 * inner else share_y * height
    x = inner + share_x * (width - 2 * inner) if width > 2 * inner else share_x * width
    if cut:
        across = (1.3 * depth - 0.4) * radius
        if side < 0.5:
            y = across if side < 0.25 else height - across
        else:
            x = across if side < 0.75 else width - across
    return float(y), float(x)


def red_cells_in(
    seed: int, window: Window, diameter: float, coverage: float, leukocytes: Sequence[Disc], overlap: float
) -> list[PlacedBody]:
    """Place the red cells of a window: a jittered lattice, drawn into clumps, then pushed apart.

    Parameters
    ----------
    seed : int
        Of the smear.
    window : Window
        Where.
    diameter : float
        Of a typical leukocyte, in pixels.
    coverage : float
        Share of the plane that they would cover if none overlapped.
    leukocytes : sequence of Disc
        From which they keep away.
    overlap : float
        How far they may lie over each other, as a share of their radius.

    Returns
    -------
    list of PlacedBody
        Those that reach into the window. A cell is the same in every window that shows it.
    """
    rng = stream(seed, _PLACE, RED_CELL)
    typical = _RED_CELL_DIAMETER * diameter / 2 * float(np.clip(rng.normal(1, 0.06), 0.85, 1.15))
    variation = float(rng.uniform(0.03, 0.09))
    clumping = float(rng.uniform(0.1, 1.3)) * (1 + overlap / 2)
    # A thin smear is a lattice with holes, since even there the cells lie in groups.
    dense = max(coverage, 0.45)
    pitch = typical * math.sqrt(2 * math.pi / (math.sqrt(3) * dense))
    drift = [Ripples(rng, 7 * pitch) for _ in range(2)]
    holes = Ripples(rng, 5 * pitch)
    if coverage <= 0:
        return []
    # Pushes travel two neighbours far at most, so this margin makes windows agree.
    margin = 10 * typical + 2.6 * pitch + 0.8 * diameter
    row_pitch = 0.866 * pitch
    rows = range(
        math.floor((window.y0 - margin) / row_pitch), math.ceil((window.y0 + window.height + margin) / row_pitch)
    )
    columns = range(math.floor((window.x0 - margin) / pitch), math.ceil((window.x0 + window.width + margin) / pitch))
    keys, draws = _lattice(seed, rows, columns)
    lattice = np.stack([keys[:, 0] * row_pitch, (keys[:, 1] + 0.5 * (keys[:, 0] % 2)) * pitch], axis=1)
    place = lattice + 0.28 * pitch * np.clip(draws[:, :2], -2, 2)
    place += np.stack([np.clip(d.at(*lattice.T), -2, 2) for d in drift], axis=1) * (0.45 * clumping * pitch)
    radii = typical * np.clip(1 + variation * draws[:, 2], 0.7, 1.3)
    kept = draws[:, 3] + clumping * holes.at(*lattice.T) < _quantile(coverage / dense) * math.hypot(1, clumping)
    place, radii, keys = place[kept], radii[kept], keys[kept]
    if not len(place):
        return []
    place = _pushed_apart(place, radii, leukocytes, 1 - overlap / 2)
    discs = [Disc(float(y), float(x), float(r)) for (y, x), r in zip(place, radii, strict=True)]
    tree = cKDTree(place)
    shown = []
    for index, (disc, key) in enumerate(zip(discs, keys.tolist(), strict=True)):
        if window.near(disc, 0.5 * disc.radius + 4):
            near = tree.query_ball_point(place[index], 2.4 * disc.radius)
            shown.append(PlacedBody(disc, tuple(key), tuple(discs[i] for i in sorted(near) if i != index)))
    return shown


def _lattice(seed: int, rows: range, columns: range) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the keys of the lattice's points, and four normal numbers for each that never change."""
    size = 8  # one stream serves a block of this many rows and columns
    block_rows = range(rows.start // size, rows.stop // size + 1)
    block_columns = range(columns.start // size, columns.stop // size + 1)
    inner = np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), axis=-1).reshape(-1, 2)
    keys, draws = [], []
    for row in block_rows:
        for column in block_columns:
            keys.append(inner + np.array([row * size, column * size]))
            draws.append(stream(seed, _PLACE, RED_CELL, row, column).standard_normal((size * size, 4)))
    return np.concatenate(keys), np.concatenate(draws)


def _quantile(share: float) -> float:
    # Of the normal distribution, by its logistic approximation; all of it at 1.
    return math.inf if share >= 1 else math.log(share / (1 - share)) / 1.702


def _pushed_apart(
    place: NDArray[np.float64], radii: NDArray[np.float64], leukocytes: Sequence[Disc], reach: float
) -> NDArray[np.float64]:
    place = place.copy()
    for _ in range(2):
        pairs = cKDTree(place).query_pairs(2 * radii.max(), output_type="ndarray")
        first, second = pairs[np.lexsort(pairs.T[::-1])].T
        gap = place[second] - place[first]
        distance = np.maximum(np.hypot(*gap.T), 1e-6)
        excess = np.maximum(reach * (radii[first] + radii[second]) - distance, 0)
        push = gap * (0.3 * excess / distance)[:, None]
        np.add.at(place, first, -push)
        np.add.at(place, second, push)
        for cell in leukocytes:
            gap = place - (cell.y, cell.x)
            distance = np.maximum(np.hypot(*gap.T), 1e-6)
            excess = np.maximum(cell.radius + 0.86 * radii - distance, 0)
            place += gap * (excess / distance)[:, None]
    return place


def platelets_in(
    seed: int, window: Window, diameter: float, density: float, others: Sequence[Disc]
) -> list[PlacedBody]:
    """Place the platelets of a window, most of them between the other cells.

    Parameters
    ----------
    seed : int
        Of the smear.
    window : Window
        Where.
    diameter : float
        Of a typical leukocyte, in pixels.
    density : float
        Mean number in an area of one squared diameter.
    others : sequence of Disc
        Cells between which they lie.

    Returns
    -------
    list of PlacedBody
        Those that reach into the window.
    """
    shown = []
    tree = cKDTree([(o.y, o.x) for o in others]) if others else None
    for row in range(math.floor(window.y0 / diameter) - 1, math.ceil((window.y0 + window.height) / diameter) + 1):
        for column in range(math.floor(window.x0 / diameter) - 1, math.ceil((window.x0 + window.width) / diameter) + 1):
            rng = stream(seed, _PLACE, PLATELET, row, column)
            for index in range(rng.poisson(density)):
                y, x = (np.array([row, column]) + rng.random(2)) * diameter
                radius = diameter * float(np.clip(rng.lognormal(-2.75, 0.3), 0.03, 0.15))
                alone = rng.random() < 0.75
                disc = Disc(float(y), float(x), radius)
                if tree is not None and alone:
                    near = others[int(tree.query((y, x))[1])]
                    if math.hypot(near.y - y, near.x - x) < near.radius:
                        continue
                if window.near(disc, 1.2 * radius + 3):
                    shown.append(PlacedBody(disc, (row, column, index)))
    return shown
