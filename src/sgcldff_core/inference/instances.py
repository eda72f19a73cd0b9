"""From maps to single cells: touching cells apart, one lobed cell in one piece."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

from sgcldff_core.errors import ConfigError

__all__ = ["SIGNS", "InstanceSettings", "separate_cells"]

SIGNS = ("sure", "nucleus", "deep")
"""Settings that training may lower to what a model's own cells have."""


@dataclass(frozen=True, slots=True)
class InstanceSettings:
    """How masks become cells; areas are shares of a typical cell's area.

    Attributes
    ----------
    threshold : float
        Probability above which a pixel belongs to a leukocyte.
    saddle : float
        How deep the distance map must dip between two peaks to part them, in [0, 1].
    smoothing : float
        Standard deviation of the smoothing of the distance map, as a share of the diameter.
    smallest : float
        Smaller cells are debris.
    smallest_at_border : float
        The same for cells that the image's border cuts, by what is visible of them.
    sure, nucleus, deep : float
        Three signs of a leukocyte: mean probability of its pixels, share of its area that is
        nucleus, largest value of the distance map. What misses two of them is a platelet on a red
        cell, or dirt. On held-out fields of Zheng and BCCD real cells have 0.96, 0.27 and 0.76 or
        more with a model that learned for long; one that learned for minutes is less sure of
        everything, so training notes what its own held-out cells have, see `of_model`. One sign
        may be absent, as in a model that was never shown nuclei.

    Raises
    ------
    ConfigError
        If one is out of range.
    """

    threshold: float = 0.5
    saddle: float = 0.15
    smoothing: float = 0.03
    smallest: float = 0.18
    smallest_at_border: float = 0.15
    sure: float = 0.94
    nucleus: float = 0.15
    deep: float = 0.6

    @classmethod
    def of_model(cls, calibration: Mapping[str, float]) -> InstanceSettings:
        """Return the settings that fit a model, by the signs that its calibration holds.

        Parameters
        ----------
        calibration : mapping of str to float
            The model's; ``sure``, ``nucleus`` and ``deep`` are looked at, and may be missing.
        """
        return cls(**{name: float(calibration[name]) for name in SIGNS if name in calibration})

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ConfigError(f"threshold must be between 0 and 1, got {self.threshold}")
        if not self.saddle > 0:
            raise ConfigError(f"saddle must be above 0, got {self.saddle}")
        for name in ("smoothing", "smallest", "smallest_at_border", "sure", "nucleus", "deep"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must not be negative, got {getattr(self, name)}")


def separate_cells(
    cell: NDArray[np.float32],
    nucleus: NDArray[np.float32],
    distance: NDArray[np.float32],
    diameter: float,
    settings: InstanceSettings = InstanceSettings(),
) -> NDArray[np.int32]:
    """Separate leukocytes by a watershed that floods from the peaks of the distance map.

    Parameters
    ----------
    cell, nucleus : ndarray
        (H, W) float32, probability of a leukocyte and of its nucleus.
    distance : ndarray
        (H, W) float32 in [0, 1], distance to the outline over its largest value in the cell.
    diameter : float
        Of a typical cell in px of these maps.
    settings : InstanceSettings
        Thresholds.

    Returns
    -------
    ndarray
        (H, W) int32 labels 1..N in the order of their first pixel, 0 background.

    References
    ----------
    Vincent and Soille, Watersheds in digital spaces, IEEE PAMI 13 (1991) 583-598.
    """
    foreground = cell > settings.threshold
    labels = np.zeros(cell.shape, np.int32)
    if not foreground.any():
        return labels
    foreground = ndimage.binary_fill_holes(foreground)
    (within,) = ndimage.find_objects(foreground.astype(np.int8))  # most of a field is empty
    height_map = ndimage.gaussian_filter(distance[within], settings.smoothing * diameter)
    labels[within] = _flooded(height_map, foreground[within], settings.saddle)
    real = _large_enough(labels, diameter, settings) & _looks_real(labels, cell, nucleus, distance, settings)
    return _numbered_from_the_top(np.where(real[labels], labels, 0))


def _flooded(height_map: NDArray[np.float32], foreground: NDArray[np.bool_], saddle: float) -> NDArray[np.int32]:
    # A peak that rises less than `saddle` above its surroundings is drowned: it is no second cell.
    floor = reconstruction(height_map - saddle, height_map)
    peaks = (height_map - floor >= saddle * 0.999) & foreground
    markers, _ = ndimage.label(peaks, np.ones((3, 3)))
    pieces, count = ndimage.label(foreground)
    return watershed(-height_map, _mark_pieces_without_peak(markers, pieces, count), mask=foreground)  # type: ignore[no-any-return]


def _mark_pieces_without_peak(markers: NDArray[np.int32], pieces: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    marked = np.zeros(count + 1, bool)
    marked[np.unique(pieces[markers > 0])] = True
    marked[0] = True
    bare = ~marked[pieces]
    return np.where(bare, pieces + markers.max(), markers).astype(np.int32)


def _large_enough(labels: NDArray[np.int32], diameter: float, settings: InstanceSettings) -> NDArray[np.bool_]:
    area = np.bincount(labels.ravel())
    at_border = np.zeros(len(area), bool)
    at_border[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = True
    least = np.where(at_border, settings.smallest_at_border, settings.smallest) * np.pi / 4 * diameter**2
    return area >= least


def _looks_real(
    labels: NDArray[np.int32],
    cell: NDArray[np.float32],
    nucleus: NDArray[np.float32],
    distance: NDArray[np.float32],
    settings: InstanceSettings,
) -> NDArray[np.bool_]:
    flat, count = labels.ravel(), int(labels.max()) + 1
    area = np.maximum(np.bincount(flat, minlength=count), 1)
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, flat, distance.ravel())
    signs = (
        np.bincount(flat, cell.ravel(), count) / area >= settings.sure,
        np.bincount(flat, nucleus.ravel() > settings.threshold, count) / area >= settings.nucleus,
        deepest >= settings.deep,
    )
    return np.sum(signs, axis=0) >= 2  # type: ignore[no-any-return]


def _numbered_from_the_top(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    present, first = np.unique(labels, return_index=True)
    ordered = present[np.argsort(first)]
    numbers = np.zeros(int(present[-1]) + 1, np.int32)
    numbers[ordered[ordered > 0]] = np.arange(1, (ordered > 0).sum() + 1)
    return numbers[labels]
