"""The nuclei of the five leukocytes: their shape, and the texture of their chromatin."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.smear.outline import Grid, blob, capsule, merge
from sgcldff_core.smear.texture import smooth_noise

__all__ = ["chromatin_of", "kidney", "lobed", "round_nucleus", "with_area"]

Field = NDArray[np.float32]


def lobed(
    rng: np.random.Generator, grid: Grid, radius: float, lobes: int, share: float, plump: float, strand: float
) -> Field:
    """Return lobes in a chain, joined by strands.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    grid : Grid
        Pixels of the cell.
    radius : float
        Of the cell, in pixels.
    lobes : int
        How many.
    share : float
        Of the cell's area that they cover together.
    plump : float
        0 for long rods, 1 for balls.
    strand : float
        Half thickness of the strands between lobes, as a share of the cell's radius.

    Returns
    -------
    ndarray
        (H, W) float32, about the distance to the outline.
    """
    length = 1.3 * (1 - plump)  # half the axis of a lobe, in units of its thickness
    thickness = radius * math.sqrt(share * math.pi / (lobes * (math.pi + 3.6 * length))) * 0.98
    turning = rng.choice((-1.0, 1.0)) * rng.uniform(0.5, 1.6)
    heading = rng.uniform(0, 2 * np.pi)
    centres, headings, sizes = [np.zeros(2)], [heading], [thickness * rng.uniform(0.85, 1.15)]
    for _ in range(lobes - 1):
        heading += turning * rng.uniform(0.6, 1.4) if rng.random() < 0.85 else -turning
        size = thickness * rng.uniform(0.82, 1.15)
        step = (sizes[-1] + size) * (1 + 0.3 * length) * rng.uniform(0.9, 1.2)
        centres.append(centres[-1] + step * np.array([math.sin(heading), math.cos(heading)]))
        headings.append(heading + rng.normal(0, 0.9))
        sizes.append(size)
    places = np.array(centres) - np.mean(centres, axis=0)
    away, slip = rng.uniform(0, 2 * np.pi), rng.uniform(0.0, 0.35) * radius
    places += slip * np.array([math.sin(away), math.cos(away)])
    room = 0.96 * radius - thickness * (1 + 0.25 * length)
    places = _spread(places, np.array(sizes) * (rng.uniform(0.85, 1.25) + 0.25 * length), room)

    outline = np.full(grid.shape, 2 * radius, np.float32)
    for place, size, direction in zip(places, sizes, headings, strict=True):
        half = length * size * np.array([math.sin(direction), math.cos(direction)])
        lobe = capsule(grid.y, grid.x, place - half, place + half, size * rng.uniform(0.8, 0.97))
        for _ in range(rng.integers(1, 4)):  # knobs
            knob = place + half * rng.uniform(-1.2, 1.2) + rng.normal(0, 0.35 * size, 2)
            bump = np.hypot(grid.y - np.float32(knob[0]), grid.x - np.float32(knob[1]))
            lobe = merge(lobe, bump - np.float32(size * rng.uniform(0.55, 0.85)), 0.05 * radius)
        outline = merge(outline, lobe, 0.04 * radius)
    for start, end in itertools.pairwise(places):
        thread = capsule(grid.y, grid.x, start, end, radius * strand * rng.uniform(0.6, 1.5))
        outline = merge(outline, thread, 0.09 * radius)
    return outline + _ripple(rng, grid, radius, 0.035, 0.025)


def _spread(places: NDArray[np.float64], sizes: NDArray[np.float64], room: float) -> NDArray[np.float64]:
    """Push lobes off each other while the cell's border pushes back."""
    apart = sizes[:, None] + sizes[None, :]
    np.fill_diagonal(apart, 0)
    for _ in range(10):
        gap = places[:, None] - places[None, :]
        distance = np.maximum(np.hypot(gap[..., 0], gap[..., 1]), 1e-6)
        push = np.maximum(apart - distance, 0) / distance
        places = places + 0.3 * (gap * push[..., None]).sum(1)
        out = np.hypot(places[:, 0], places[:, 1])
        places = places * np.minimum(1, room / np.maximum(out, 1e-6))[:, None]
    return places


def round_nucleus(rng: np.random.Generator, grid: Grid, radius: float, share: float, notch: float) -> Field:
    """Return one round or oval nucleus, out of the middle, sometimes with a shallow notch.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    grid : Grid
        Pixels of the cell.
    radius : float
        Of the cell, in pixels.
    share : float
        Of the cell's area that it covers.
    notch : float
        Depth of the notch as a share of the nucleus' radius; 0 for none.

    Returns
    -------
    ndarray
        (H, W) float32, about the distance to the outline.
    """
    own = radius * math.sqrt(share)
    away, slip = rng.uniform(0, 2 * np.pi), (radius - own) * rng.uniform(0.2, 1.0)
    y, x = grid.y - np.float32(slip * math.sin(away)), grid.x - np.float32(slip * math.cos(away))
    outline = blob(rng, y, x, own, 0.025, 1 + abs(rng.normal(0, 0.09)))
    if notch > 0:
        side, bite = rng.uniform(0, 2 * np.pi), 0.45 * own
        reach = own + bite - notch * own
        hole = np.hypot(y - np.float32(reach * math.sin(side)), x - np.float32(reach * math.cos(side))) - bite
        outline = merge(outline, -hole, -0.25 * own)
    return outline + _ripple(rng, grid, radius, 0.018, 0.009)


def kidney(rng: np.random.Generator, grid: Grid, radius: float, share: float) -> Field:
    """Return the nucleus of a monocyte: kidney, horseshoe, or folded with broad lobes.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    grid : Grid
        Pixels of the cell.
    radius : float
        Of the cell, in pixels.
    share : float
        Of the cell's area that it covers.

    Returns
    -------
    ndarray
        (H, W) float32, about the distance to the outline.
    """
    own = radius * math.sqrt(share)
    away, slip = rng.uniform(0, 2 * np.pi), (radius - own) * rng.uniform(0.0, 0.5)
    y, x = grid.y - np.float32(slip * math.sin(away)), grid.x - np.float32(slip * math.cos(away))
    form = rng.random()
    if form < 0.45:  # kidney
        outline = round_nucleus(rng, grid, radius, min(0.95, 1.1 * share), rng.uniform(0.25, 0.75))
    elif form < 0.7:  # horseshoe: a thick arc
        span, start = rng.uniform(2.6, 4.0), rng.uniform(0, 2 * np.pi)
        bend, thick = 0.72 * own, 0.48 * own
        turns = start + np.linspace(0, span, 6)
        knots = np.stack([bend * np.sin(turns), bend * np.cos(turns)], axis=1)
        knots -= 0.5 * knots.mean(0)
        outline = capsule(y, x, knots[0], knots[1], thick * rng.uniform(0.9, 1.2))
        for first, second in itertools.pairwise(knots):
            outline = merge(outline, capsule(y, x, first, second, thick * rng.uniform(0.85, 1.2)), 0.15 * own)
    else:  # folded: broad lobes that run into each other
        outline = blob(rng, y, x, 0.72 * own, 0.08, rng.uniform(1.0, 1.5))
        for turn in rng.uniform(0, 2 * np.pi) + np.cumsum(rng.uniform(1.2, 2.4, rng.integers(2, 4))):
            reach = 0.55 * own * rng.uniform(0.8, 1.15)
            lobe = blob(
                rng,
                y - np.float32(reach * math.sin(turn)),
                x - np.float32(reach * math.cos(turn)),
                own * rng.uniform(0.4, 0.58),
                0.05,
                rng.uniform(1.0, 1.3),
            )
            outline = merge(outline, lobe, 0.12 * own)
    return outline + _ripple(rng, grid, radius, 0.04, 0.014)


def _ripple(rng: np.random.Generator, grid: Grid, radius: float, coarse: float, fine: float) -> Field:
    return smooth_noise(rng, grid.shape, 0.5 * radius) * np.float32(coarse * radius) + smooth_noise(
        rng, grid.shape, 0.16 * radius
    ) * np.float32(fine * radius)


def with_area(outline: Field, cell: Field, share: float, most: float) -> Field:
    """Grow or shrink a nucleus to its share of the cell, and keep it inside.

    Parameters
    ----------
    outline, cell : ndarray
        (H, W) distances of the nucleus and of the cell.
    share : float
        Of the cell's area that the nucleus is to cover.
    most : float
        The furthest that the outline may move, in pixels: strands must stay thin.

    Returns
    -------
    ndarray
        (H, W) float32.
    """
    inside = outline[cell < 0]
    if inside.size < 8:
        return np.maximum(outline, cell)
    rank = min(inside.size - 1, int(share * inside.size))
    level = float(np.partition(inside, rank)[rank])
    moved = outline - np.float32(min(max(level, -most), most))
    return np.asarray(np.maximum(moved, cell + np.float32(0.6)), np.float32)


def chromatin_of(
    rng: np.random.Generator, grid: Grid, radius: float, outline: Field, clump: float, lace: float, contrast: float
) -> Field:
    """Return the density of the chromatin, about 1 on the mean.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    grid : Grid
        Pixels of the cell.
    radius : float
        Of the cell, in pixels.
    outline : ndarray
        (H, W) distance of the nucleus.
    clump : float
        Size of the clumps as a share of the cell's radius.
    lace : float
        0 for clumps, 1 for a net of fine threads.
    contrast : float
        Standard deviation of the texture.

    Returns
    -------
    ndarray
        (H, W) float32, defined inside and outside of the nucleus.
    """
    clumps = np.tanh(1.2 * smooth_noise(rng, grid.shape, clump * radius))
    threads = 0.8 - 1.7 * np.abs(smooth_noise(rng, grid.shape, max(1.5, 0.45 * clump * radius)))
    fine = smooth_noise(rng, grid.shape, max(1.2, 0.04 * radius))
    broad = smooth_noise(rng, grid.shape, 0.7 * radius)
    # Light gaps wind between the clumps, here and there.
    winding = smooth_noise(rng, grid.shape, max(2.0, 0.11 * radius))
    where = np.clip(smooth_noise(rng, grid.shape, max(1.5, 0.07 * radius)), 0, 1.5)
    gaps = np.exp(-((winding / np.float32(0.45)) ** 2)) * where
    # The membrane is lined with dense chromatin, unevenly.
    line = np.float32(max(1.0, 0.045 * radius))
    rim = np.exp(-(((outline + line) / line) ** 2)) * (1 + 0.4 * clumps)
    texture = (1 - lace) * clumps + lace * threads + 0.5 * fine + 0.8 * broad - 2.0 * gaps + 0.8 * rim
    return np.asarray(1 + np.float32(contrast) * texture, np.float32)
