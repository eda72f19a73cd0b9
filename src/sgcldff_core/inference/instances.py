"""From maps to single cells: touching cells apart, one lobed cell in one piece."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from sgcldff_core.errors import ConfigError

__all__ = ["SIGNS", "InstanceSettings", "rim", "separate_cells"]

SIGNS = ("sure", "nucleus", "deep")
"""Settings that training may lower to what a model's own cells have."""

_EIGHT = np.ones((3, 3))  # neighbours of a pixel


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
    (within,) = ndimage.find_objects(foreground.astype(np.int8))  # most of a field is empty
    height_map = ndimage.gaussian_filter(distance[within], settings.smoothing * diameter)
    labels[within] = _parted(height_map, _without_holes(foreground[within]), settings.saddle)
    real = _large_enough(labels, diameter, settings)
    real &= _looks_real(labels[within], cell[within], nucleus[within], distance[within], settings)
    labels[within] = _numbered_from_the_top(np.where(real[labels[within]], labels[within], 0))
    return labels


def rim(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the labels along the four sides of an image, each as often as it is there; corners count twice.

    Parameters
    ----------
    labels : ndarray
        (H, W) of any integer type.
    """
    return np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])


def _without_holes(foreground: NDArray[np.bool_]) -> NDArray[np.bool_]:
    outside, count = ndimage.label(~foreground)
    hole = np.ones(count + 1, bool)
    hole[rim(outside)] = False
    hole[0] = True  # the foreground itself
    return hole[outside]  # type: ignore[no-any-return]


def _parted(height_map: NDArray[np.float32], foreground: NDArray[np.bool_], saddle: float) -> NDArray[np.int32]:
    # Only a piece with several summits can be more than one cell, and such pieces are few: each is
    # flooded by itself, as if nothing but lowland lay around it.
    labels, count = ndimage.label(foreground)
    boxes = ndimage.find_objects(labels)
    for piece in _pieces_with_summits(height_map, labels, count, saddle):
        box = boxes[piece - 1]
        inside = labels[box] == piece
        cells = _flooded(np.where(inside, height_map[box], 0), inside, saddle)
        more = cells > 1
        labels[box][more] = cells[more] - 1 + count
        count += int(cells.max()) - 1
    return np.asarray(labels, np.int32)


def _pieces_with_summits(
    height_map: NDArray[np.float32], pieces: NDArray[np.int32], count: int, saddle: float
) -> NDArray[np.intp]:
    # Noise gives nearly every cell several peaks. One from which a higher one of its piece can be
    # walked to without going down by `saddle` is no summit. In each round the highest that is left
    # in each piece is tried at its own level, and whoever else gets through there is settled too.
    peaks, peak_count = ndimage.label(local_maxima(height_map) & (pieces > 0), _EIGHT)
    at = peaks > 0
    piece, height = np.zeros(peak_count, np.intp), np.zeros(peak_count, height_map.dtype)
    piece[peaks[at] - 1], height[peaks[at] - 1] = pieces[at], height_map[at]
    order = np.lexsort((-height, piece))
    highest = np.zeros(count + 1, np.intp)
    highest[piece[order[::-1]]] = order[::-1]  # of several the last one stays: each piece's highest peak
    left = order[(height[order] > saddle) & (order != highest[piece[order]])]
    summits = np.zeros(count + 1, bool)
    while len(left):
        tried = left[np.unique(piece[left], return_index=True)[1]]
        level = np.full(count + 1, np.inf, np.float32)
        level[piece[tried]] = height[tried] - saddle
        ridges, _ = ndimage.label(height_map > level[pieces], _EIGHT)
        ridge = np.zeros(peak_count, np.intp)
        ridge[peaks[at] - 1] = ridges[at]
        apart = ridge != ridge[highest[piece]]
        summits[piece[tried]] = apart[tried]
        left = left[apart[left] & ~summits[piece[left]]]
    return np.flatnonzero(summits)


def _flooded(height_map: NDArray[np.float32], piece: NDArray[np.bool_], saddle: float) -> NDArray[np.int32]:
    # A peak that rises less than `saddle` above its surroundings is drowned: it is no second cell.
    # Of two that are as good as level, the plateau that joins them is one.
    floor = reconstruction(height_map - saddle, height_map)
    markers, count = ndimage.label(local_maxima(floor) & piece, _EIGHT)
    if count < 2:
        return piece.astype(np.int32)
    return watershed(-height_map, markers, mask=piece)  # type: ignore[no-any-return]


def _large_enough(labels: NDArray[np.int32], diameter: float, settings: InstanceSettings) -> NDArray[np.bool_]:
    area = np.bincount(labels.ravel())
    at_border = np.zeros(len(area), bool)
    at_border[rim(labels)] = True
    least = np.where(at_border, settings.smallest_at_border, settings.smallest) * np.pi / 4 * diameter**2
    return area >= least


def _looks_real(
    labels: NDArray[np.int32],
    cell: NDArray[np.float32],
    nucleus: NDArray[np.float32],
    distance: NDArray[np.float32],
    settings: InstanceSettings,
) -> NDArray[np.bool_]:
    inside = labels > 0
    numbers, count = labels[inside], int(labels.max()) + 1
    area = np.maximum(np.bincount(numbers, minlength=count), 1)
    deepest = np.zeros(count, np.float32)
    np.maximum.at(deepest, numbers, distance[inside])
    signs = (
        np.bincount(numbers, cell[inside], count) / area >= settings.sure,
        np.bincount(numbers, nucleus[inside] > settings.threshold, count) / area >= settings.nucleus,
        deepest >= settings.deep,
    )
    return np.sum(signs, axis=0) >= 2  # type: ignore[no-any-return]


def _numbered_from_the_top(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    flat = labels.ravel()
    places = np.flatnonzero(flat)[::-1]
    first = np.full(int(flat.max(initial=0)) + 1, flat.size)
    first[flat[places]] = places  # of several places the last one stays: the first pixel
    present = np.flatnonzero(first < flat.size)
    numbers = np.zeros(len(first), np.int32)
    numbers[present[np.argsort(first[present])]] = np.arange(1, len(present) + 1)
    return numbers[labels]
