"""Saliency priors measured as detectors by themselves, against masks of leukocytes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.datasets.kinds import leukocyte_boxes
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

__all__ = [
    "PriorFigures",
    "PriorTally",
    "centred_gaussian",
    "judged_pixels",
    "off_centre_window",
    "summarise_tallies",
    "tally_prior",
]

_LEVELS = 4096
_THRESHOLDS = 256
_MARKED = 0.1  # share of a box that is mask: below it, the cell in the box was not outlined


@dataclass(frozen=True, slots=True, eq=False)
class PriorTally:
    """How often each level of a prior occurs in one image.

    Attributes
    ----------
    inside, outside : ndarray
        (4096,) int64 counts of pixels within and without the mask, by level from 0 to 1.
    """

    inside: NDArray[np.int64]
    outside: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PriorFigures:
    """What a prior is worth on a set of images.

    Attributes
    ----------
    images : int
        How many were measured.
    auc : float
        Area under the ROC curve over the pixels of an image, mean over images.
    worst_auc : float
        The same, 5th percentile over images.
    iou : float
        Intersection over union with the mask, mean over images, at `threshold`.
    threshold : float
        The single one for all images at which `iou` is highest.
    energy : float
        Share of the sum of the prior that is inside the mask, mean over images.
    foreground : float
        Share of pixels that is inside the mask, mean over images: `energy` of a constant.
    """

    images: int
    auc: float
    worst_auc: float
    iou: float
    threshold: float
    energy: float
    foreground: float


def tally_prior(
    prior: NDArray[np.float32], mask: NDArray[np.bool_], judged: NDArray[np.bool_] | None = None
) -> PriorTally:
    """Count the levels of a prior inside and outside a mask.

    Parameters
    ----------
    prior : ndarray
        (H, W) float32 in [0, 1].
    mask : ndarray
        (H, W) bool, True in leukocytes.
    judged : ndarray, optional
        (H, W) bool, False where the truth is not known; all are judged without it.

    Returns
    -------
    PriorTally
        Of the judged pixels.

    Raises
    ------
    ConfigError
        If shapes differ, or all judged pixels are inside the mask or all outside.
    """
    if prior.shape != mask.shape or (judged is not None and judged.shape != mask.shape):
        raise ConfigError(f"prior {prior.shape}, mask {mask.shape} and judged pixels differ in shape")
    level = np.minimum((prior * _LEVELS).astype(np.int64), _LEVELS - 1)
    if judged is not None:
        level, mask = level[judged], mask[judged]
    inside = np.bincount(level[mask], minlength=_LEVELS)
    outside = np.bincount(level[~mask], minlength=_LEVELS)
    if not inside.any() or not outside.any():
        raise ConfigError("a prior can be measured only where some pixels are leukocyte and some are not")
    return PriorTally(inside, outside)


def _auc(tally: PriorTally) -> float:
    below = np.cumsum(tally.outside) - tally.outside / 2  # equal levels count half
    return float((tally.inside * below).sum() / tally.inside.sum() / tally.outside.sum())


def _iou_by_threshold(tally: PriorTally) -> NDArray[np.float64]:
    step = _LEVELS // _THRESHOLDS
    hit = tally.inside[::-1].cumsum()[::-1][::step]
    false = tally.outside[::-1].cumsum()[::-1][::step]
    return np.asarray(hit / (tally.inside.sum() + false))


def _energy(tally: PriorTally) -> float:
    level = np.arange(_LEVELS) + 0.5
    inside, outside = (tally.inside * level).sum(), (tally.outside * level).sum()
    return float(inside / (inside + outside))


def summarise_tallies(tallies: Sequence[PriorTally]) -> PriorFigures:
    """Sum up what a prior is worth on a set of images.

    Parameters
    ----------
    tallies : sequence of PriorTally
        One an image, at least one.

    Returns
    -------
    PriorFigures
        Means over the images, and the threshold that is best for all of them together.

    Raises
    ------
    ConfigError
        If there is none.
    """
    if not tallies:
        raise ConfigError("no image to measure a prior on")
    auc = np.array([_auc(t) for t in tallies])
    iou = np.mean([_iou_by_threshold(t) for t in tallies], axis=0)
    best = int(iou.argmax())
    return PriorFigures(
        images=len(tallies),
        auc=float(auc.mean()),
        worst_auc=float(np.quantile(auc, 0.05)),
        iou=float(iou[best]),
        threshold=best / _THRESHOLDS,
        energy=float(np.mean([_energy(t) for t in tallies])),
        foreground=float(np.mean([t.inside.sum() / (t.inside.sum() + t.outside.sum()) for t in tallies])),
    )


def judged_pixels(sample: Sample, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where a mask can be believed.

    Parameters
    ----------
    sample : Sample
        The image's boxes show leukocytes that nobody outlined.
    mask : ndarray
        (H, W) bool, the outlined leukocytes.

    Returns
    -------
    ndarray
        (H, W) bool, False inside the box of a leukocyte of which less than a tenth is outlined.
    """
    judged = np.ones(mask.shape, bool)
    for box in leukocyte_boxes(sample.boxes):
        window = box.window(mask.shape)
        part = mask[window]
        if part.size and part.mean() < _MARKED:
            judged[window] = part
    return judged


def centred_gaussian(shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return the prior that looks at no pixel: a Gaussian in the middle of the image.

    Parameters
    ----------
    shape : tuple of int
        Height and width.

    Returns
    -------
    ndarray
        float32 in (0, 1]; its standard deviation is a quarter of each side. Above any threshold
        it is a disc (an ellipse where the image is no square), so its best IoU is that of the best disc.
    """
    y, x = ((np.arange(n) + 0.5) / n - 0.5 for n in shape)
    return np.exp(-8 * (y[:, np.newaxis] ** 2 + x**2)).astype(np.float32)


def off_centre_window(mask: NDArray[np.bool_], name: str) -> tuple[slice, slice]:
    """Choose a window of an image in which the leukocyte is far off the centre.

    Parameters
    ----------
    mask : ndarray
        (H, W) bool with at least one True.
    name : str
        Of the image; chooses the corner, always the same for the same name.

    Returns
    -------
    tuple of slice
        Rows and columns. The sides are 1.8 times the extent of the leukocytes, or 65 % of the
        image where that is less; their middle is at a quarter of the window, as far as the image reaches.
    """
    rows, columns = np.nonzero(mask)
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    corner = zlib.crc32(name.encode())
    window = []
    for size, middle, far in zip(mask.shape, (rows.mean(), columns.mean()), (corner & 1, corner & 2), strict=True):
        side = max(1, int(min(0.65 * size, 1.8 * extent)))
        start = int(np.clip(middle - side * (0.75 if far else 0.25), 0, size - side))
        window.append(slice(start, start + side))
    return window[0], window[1]
