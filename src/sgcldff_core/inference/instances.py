"""From maps to single cells: touching cells apart, one lobed cell in one piece."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import reconstruction
from skimage.segmentation import watershed

from sgcldff_core.errors import ConfigError

__all__ = ["InstanceSettings", "separate_cells"]


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
        Cells cut by the image's border of which less is visible are dropped.

    Raises
    ------
    ConfigError
        If one is out of range.
    """

    threshold: float = 0.5
    saddle: float = 0.15
    smoothing: float = 0.03
    smallest: float = 0.12
    smallest_at_border: float = 0.15

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ConfigError(f"threshold must be between 0 and 1, got {self.threshold}")
        if not self.saddle > 0:
            raise ConfigError(f"saddle must be above 0, got {self.saddle}")
        for name in ("smoothing", "smallest", "smallest_at_border"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must not be negative, got {getattr(self, name)}")


def separate_cells(
    cell: NDArray[np.float32],
    distance: NDArray[np.float32],
    diameter: float,
    settings: InstanceSettings = InstanceSettings(),
) -> NDArray[np.int32]:
    """Separate leukocytes by a watershed that floods from the peaks of the distance map.

    Parameters
    ----------
    cell : ndarray
        (H, W) float32, probability of a leukocyte.
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
    if not foreground.any():
        return np.zeros(cell.shape, np.int32)
    foreground = ndimage.binary_fill_holes(foreground)
    height_map = ndimage.gaussian_filter(distance, settings.smoothing * diameter)
    # A peak that rises less than `saddle` above its surroundings is drowned: it is no second cell.
    floor = reconstruction(height_map - settings.saddle, height_map)
    peaks = (height_map - floor >= settings.saddle * 0.999) & foreground
    markers, _ = ndimage.label(peaks, np.ones((3, 3)))
    pieces, count = ndimage.label(foreground)
    markers = _mark_pieces_without_peak(markers, pieces, count)
    labels = watershed(-height_map, markers, mask=foreground)
    return _without_debris(labels, diameter, settings)


def _mark_pieces_without_peak(markers: NDArray[np.int32], pieces: NDArray[np.int32], count: int) -> NDArray[np.int32]:
    marked = np.zeros(count + 1, bool)
    marked[np.unique(pieces[markers > 0])] = True
    marked[0] = True
    bare = ~marked[pieces]
    return np.where(bare, pieces + markers.max(), markers).astype(np.int32)


def _without_debris(labels: NDArray[np.int32], diameter: float, settings: InstanceSettings) -> NDArray[np.int32]:
    typical = np.pi / 4 * diameter**2
    area = np.bincount(labels.ravel())
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    keep = area >= settings.smallest * typical
    at_border = np.zeros(len(area), bool)
    at_border[rim] = True
    keep &= ~at_border | (area >= settings.smallest_at_border * typical)
    keep[0] = False
    renumbered = np.zeros(len(area), np.int32)
    present = np.unique(labels, return_index=True)
    ordered = present[0][np.argsort(present[1])]
    ordered = ordered[keep[ordered]]
    renumbered[ordered] = np.arange(1, len(ordered) + 1)
    return renumbered[labels]
