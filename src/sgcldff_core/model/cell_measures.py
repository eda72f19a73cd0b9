"""What a haematologist would measure of a cell: colour and grain of cytoplasm and nucleus, and their shape."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.measure import regionprops

__all__ = ["MEASURES", "measure_cells"]

_PARTS = ("cytoplasm", "nucleus")
_QUANTILES = (5, 25, 50, 75, 95)  # per cent
_GRAINS = (0.01, 0.02, 0.04)  # of a diameter: finest granules, granules, clumps of chromatin
_REACH = 0.7  # of a diameter, around the centre: as much of the surroundings as tells the glass
_EDGE = 0.02  # of a diameter: outlines are not sure to a pixel, and what lies on them is neither part
_FEWEST = 30  # px that tell a colour; of a smaller part the whole cell stands for it
_GLASS = 75  # per cent: what is brighter around the cell is glass, or as near to it as there is

MEASURES = (
    *(f"{part} {channel} {q} %" for part, q, channel in product(_PARTS, _QUANTILES, "Lab")),
    *(f"{part} {channel} over glass" for part, channel in product(_PARTS, "Lab")),
    *(f"{part} {channel} spread" for part, channel in product(_PARTS, "Lab")),
    *(f"{part} {name}" for part, name in product(_PARTS, ("chroma", "chroma spread", "red hue", "yellow hue"))),
    *(f"{part} {channel} grain {k}" for k, part, channel in product(range(3), _PARTS, "Lab")),
    *(f"granules {k}: {name}" for k, name in product(range(3), ("dark", "red", "red and dark", "yellow and dark"))),
    *("diameter", "eccentricity", "solidity", "nucleus share", "lobes", "largest lobe", "nucleus solidity"),
    *("nucleus eccentricity", "nucleus depth", "nucleus depth in cell"),
)
"""What is measured: L*a*b* of each part, how it varies at three sizes of grain, and shapes."""


def measure_cells(
    image: NDArray[np.uint8], labels: NDArray[np.int32], nucleus: NDArray[np.bool_], diameter: float
) -> NDArray[np.float32]:
    """Measure the cells of a field.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    labels : ndarray
        (H, W) int32, cells numbered 1..N without gaps.
    nucleus : ndarray
        (H, W) bool.
    diameter : float
        Of a typical cell in px of `image`; measures are comparable between images of one scale only,
        since the eye's grain is the pixel's.

    Returns
    -------
    ndarray
        (N, `MEASURES`) float32.
    """
    half = max(2, round(_REACH * diameter))
    rows = []
    for cell in regionprops(labels):
        y, x = (round(c) for c in cell.centroid)
        window = np.s_[max(y - half, 0) : y + half, max(x - half, 0) : x + half]
        own = labels[window] == cell.label
        rows.append(_row(image[window], own, nucleus[window] & own, labels[window] > 0, diameter))
    return np.array(rows, np.float32).reshape(len(rows), len(MEASURES))


def _row(
    image: NDArray[np.uint8],
    cell: NDArray[np.bool_],
    core: NDArray[np.bool_],
    cells: NDArray[np.bool_],
    diameter: float,
) -> list[float]:
    lab = rgb2lab(image).astype(np.float32)
    edge = max(1, round(_EDGE * diameter))
    inner = ndimage.binary_erosion(cell, iterations=edge)
    parts = (
        _enough(inner & ~ndimage.binary_dilation(core, iterations=edge), cell & ~core, cell),
        _enough(ndimage.binary_erosion(core, iterations=edge), core, cell),
    )
    around = lab[~ndimage.binary_dilation(cells, iterations=2 * edge)]
    glass = np.percentile(around, _GLASS, axis=0) if len(around) else np.zeros(3)
    colours = [lab[part] for part in parts]
    row = [v for seen in colours for v in np.percentile(seen, _QUANTILES, axis=0).ravel()]
    row += [v for seen in colours for v in seen.mean(axis=0) - glass]
    row += [v for seen in colours for v in seen.std(axis=0)]
    row += [v for seen in colours for v in _hue(seen)]
    grains = list(_grains(lab, diameter))
    row += [v for grain in grains for part in parts for v in grain[part].std(axis=0)]
    row += [v for grain in grains for v in _granules(grain[parts[0]])]
    return [float(v) for v in (*row, *_shape(cell, core, diameter))]


def _enough(*parts: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return next((part for part in parts[:-1] if part.sum() >= _FEWEST), parts[-1])


def _hue(colours: NDArray[np.float32]) -> tuple[np.floating, ...]:
    chroma = np.hypot(colours[:, 1], colours[:, 2])
    red, yellow = (colours[:, 1:] / np.maximum(chroma, 1e-3)[:, None]).mean(axis=0)
    return chroma.mean(), chroma.std(), red, yellow


def _grains(lab: NDArray[np.float32], diameter: float) -> Iterator[NDArray[np.float32]]:
    """Yield what an image has of each size: differences of Gaussians."""
    finer = np.ascontiguousarray(lab.transpose(2, 0, 1))  # channel by channel, which is twice as fast
    planes = finer
    for size in _GRAINS:
        coarser = ndimage.gaussian_filter(planes, size * diameter, axes=(1, 2))
        yield (finer - coarser).transpose(1, 2, 0)
        finer = coarser


def _granules(grain: NDArray[np.float32]) -> tuple[float, ...]:
    """Return how dark and how red dots stand out, and whether the dark ones are red, and yellow."""
    varying = grain - grain.mean(axis=0)
    spread = varying.std(axis=0) + 1e-3
    light, red, blue = varying.T / spread[:, None]
    dark_dots, red_dots = -(light * light * light).mean(), (red * red * red).mean()
    return float(dark_dots), float(red_dots), float(-(light * red).mean()), float(-(light * blue).mean())


def _shape(cell: NDArray[np.bool_], core: NDArray[np.bool_], diameter: float) -> tuple[float, ...]:
    (whole,) = regionprops(cell.astype(np.uint8))
    own = (whole.equivalent_diameter_area / diameter, whole.eccentricity, whole.solidity, core.sum() / whole.area)
    if not core.any():
        return (*own, *[0.0] * 6)
    (dark,) = regionprops(core.astype(np.uint8))
    lobes, count = ndimage.label(core)
    largest = np.bincount(lobes.ravel())[1:].max() / dark.area
    depth = float(ndimage.distance_transform_edt(core).max())
    depths = depth / np.sqrt(dark.area), depth / np.sqrt(whole.area)
    return (*own, float(count), float(largest), dark.solidity, dark.eccentricity, *depths)
