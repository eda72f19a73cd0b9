"""The colours of the cells that a model learned from, so that it can tell when it sees others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError
from sgcldff_core.model.kept_figures import figures, require_fields, rows
from sgcldff_core.model.stain import to_space

__all__ = ["COLOURS", "KnownStain", "KnownStains", "cell_colours"]

COLOURS = tuple(f"{part} {channel}" for part in ("nucleus", "cytoplasm", "glass") for channel in "RGB")
"""What is measured of each cell: mean optical densities of its parts, and of the image's brightest part."""

_GLASS = 0.75  # quantile of green: what is brighter is empty slide, or as near to it as there is
_MOST = 1e6


@dataclass(frozen=True, slots=True)
class KnownStain:
    """Cells of one laboratory, as a normal distribution of their colours.

    Attributes
    ----------
    name : str
        Of the source.
    mean : tuple of float
        (9,) of `COLOURS`.
    spread : tuple of tuple of float
        (9, 9) rows of a matrix W with ``W @ W.T`` the inverse of the covariance, so that the
        Mahalanobis distance of x is ``|(x - mean) @ W|``.
    """

    name: str
    mean: tuple[float, ...]
    spread: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        size = len(COLOURS)
        figures(self.mean, (size,), f"the mean of known stain {self.name!r}", _MOST)
        figures(self.spread, (size, size), f"the spread of known stain {self.name!r}", _MOST)


@dataclass(frozen=True, slots=True)
class KnownStains:
    """All laboratories that a model learned from.

    Attributes
    ----------
    stains : tuple of KnownStain
        At least one.
    unit : float
        Mahalanobis distance from the nearest of them below which 99 of 100 cells stay that had no
        part in these figures but come from the same laboratories.
    """

    stains: tuple[KnownStain, ...]
    unit: float

    def __post_init__(self) -> None:
        figures(self.unit, (), "the unit of known stains", _MOST)
        if not self.stains or self.unit <= 0:
            raise ConfigError(f"known stains need at least one stain and a unit above 0, got {self.unit}")

    def distance(self, colours: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return how far cells are from the nearest stain.

        Parameters
        ----------
        colours : ndarray
            (N, 9) float, from `cell_colours`.

        Returns
        -------
        ndarray
            (N,) float64, in units: above 1 is one cell in a hundred of the laboratories known.
        """
        x = np.asarray(colours, np.float64)
        each = [np.linalg.norm((x - np.array(s.mean)) @ np.array(s.spread), axis=1) for s in self.stains]
        return np.asarray(np.min(each, axis=0) / self.unit, np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        stains = [
            {"name": s.name, "mean": list(s.mean), "spread": [list(row) for row in s.spread]} for s in self.stains
        ]
        return {"unit": self.unit, "stains": stains}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> KnownStains:
        """Build from what `to_dict` returned.

        Parameters
        ----------
        values : mapping
            Plain JSON types, not trusted.

        Raises
        ------
        ConfigError
            If something is missing, too much or out of range.
        """
        require_fields(values, ("unit", "stains"), "a description of known stains")
        (each,) = rows([values["stains"]], "the known stains")
        return cls(tuple(_stain_of(one) for one in each), values["unit"])


def _stain_of(values: Any) -> KnownStain:
    require_fields(values, ("name", "mean", "spread"), "a known stain")
    (mean,) = rows([values["mean"]], "the mean of a known stain")
    return KnownStain(str(values["name"]), mean, rows(values["spread"], "the spread of a known stain"))


def cell_colours(
    image: NDArray[np.uint8],
    labels: NDArray[np.int32],
    nucleus: NDArray[np.bool_],
    whole: NDArray[np.uint8] | None = None,
) -> NDArray[np.float64]:
    """Measure the colours of cells.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    labels : ndarray
        (H, W) int32, cells numbered 1..N.
    nucleus : ndarray
        (H, W) bool.
    whole : ndarray, optional
        (h, w, 3) uint8 RGB, the image of which `image` is a part, for what its empty slide looks
        like.

    Returns
    -------
    ndarray
        (N, 9) float64 of `COLOURS`: optical densities, natural logarithm. A cell without nucleus, or
        that is all nucleus, has the mean of the whole cell there.
    """
    count = int(labels.max(initial=0))
    inside = labels > 0
    own, dark = labels[inside], nucleus[inside]
    density = to_space(image[inside], "density").astype(np.float64)
    rows = np.zeros((count, len(COLOURS)))
    if not count:
        return rows
    everything = _means(density, own, count, None)
    for start, chosen in ((0, dark), (3, ~dark)):
        part = _means(density[chosen], own[chosen], count, everything)
        rows[:, start : start + 3] = part
    source = image if whole is None else whole
    green = source[..., 1]
    glass = source[green >= np.quantile(green, _GLASS)]
    rows[:, 6:] = to_space(np.median(glass, axis=0).astype(np.uint8), "density")
    return rows


def _means(
    density: NDArray[np.float64], own: NDArray[np.int32], count: int, otherwise: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    pixels = np.bincount(own, minlength=count + 1)[1:]
    sums = np.stack([np.bincount(own, density[:, c], count + 1)[1:] for c in range(3)], 1)
    means = sums / np.maximum(pixels, 1)[:, None]
    return means if otherwise is None else np.where(pixels[:, None] > 0, means, otherwise)
