"""How far a result agrees with an annotation: masks, boxes, counts, classes, confidence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

__all__ = [
    "BINS",
    "box_iou",
    "calibration_error",
    "centred_disc",
    "mask_iou",
    "match_boxes",
    "match_labels",
    "where_known",
]

BINS = 15
"""Bins of the calibration error."""


def mask_iou(found: NDArray[np.bool_], truth: NDArray[np.bool_], known: NDArray[np.bool_] | None = None) -> float:
    """Intersection over union of two masks; 1 where both are empty.

    Parameters
    ----------
    found, truth : ndarray
        (H, W) bool.
    known : ndarray, optional
        (H, W) bool, where the annotation can be trusted; pixels elsewhere are left out.
    """
    if known is not None:
        found, truth = found & known, truth & known
    union = np.count_nonzero(found | truth)
    return np.count_nonzero(found & truth) / union if union else 1.0


def match_labels(
    found: NDArray[np.int32], truth: NDArray[np.int32], least: float = 0.5
) -> list[tuple[int, int, float]]:
    """Pair instances of two label images so that the sum of their IoU is largest.

    Parameters
    ----------
    found, truth : ndarray
        (H, W) instance labels, 0 background.
    least : float
        Smallest IoU of a pair; at 0.5 and above no instance could be in two pairs anyway.

    Returns
    -------
    list of tuple
        (label found, label true, IoU), in order of the true label.
    """
    a, b = np.unique(found[found > 0]), np.unique(truth[truth > 0])
    if not len(a) or not len(b):
        return []
    both = (found > 0) & (truth > 0)
    overlap = np.zeros((len(a), len(b)))
    np.add.at(overlap, (np.searchsorted(a, found[both]), np.searchsorted(b, truth[both])), 1)
    area_a = np.bincount(np.searchsorted(a, found[found > 0]), minlength=len(a))
    area_b = np.bincount(np.searchsorted(b, truth[truth > 0]), minlength=len(b))
    iou = overlap / (area_a[:, None] + area_b[None] - overlap)
    return [(int(a[i]), int(b[j]), v) for i, j, v in _assign(iou, least)]


def box_iou(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Intersection over union of every box of one list with every box of another.

    Parameters
    ----------
    a, b : array_like
        (N, 4) and (M, 4) y0, x0, y1, x1, half open.

    Returns
    -------
    ndarray
        (N, M).
    """
    a, b = np.asarray(a, float).reshape(-1, 1, 4), np.asarray(b, float).reshape(1, -1, 4)
    sides = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    overlap = sides.prod(-1)
    area_a, area_b = ((x[..., 2:] - x[..., :2]).prod(-1) for x in (a, b))
    return np.asarray(overlap / np.maximum(area_a + area_b - overlap, 1e-9))


def match_boxes(found: ArrayLike, truth: ArrayLike, least: float = 0.5) -> tuple[int, int, int]:
    """Count boxes found, found in vain, and missed.

    Parameters
    ----------
    found, truth : array_like
        (N, 4) and (M, 4) boxes.
    least : float
        Smallest IoU of a pair.

    Returns
    -------
    hits, false_alarms, misses : int
        Each box is in at most one pair.
    """
    iou = box_iou(found, truth)
    hits = len(_assign(iou, least)) if iou.size else 0
    return hits, iou.shape[0] - hits, iou.shape[1] - hits


def calibration_error(confidence: Sequence[float], right: Sequence[bool], bins: int = BINS) -> float:
    """Return the expected calibration error over bins of equal width.

    Parameters
    ----------
    confidence : sequence of float
        In [0, 1], of the class that was chosen.
    right : sequence of bool
        Whether it was the true one.
    bins : int
        Number of bins.

    Returns
    -------
    float
        Mean distance of accuracy from confidence over bins, weighted by their cells; NaN without cells.

    References
    ----------
    Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    p, r = np.asarray(confidence, float), np.asarray(right, float)
    if not len(p):
        return float("nan")
    which = np.clip((p * bins).astype(int), 0, bins - 1)
    count, mean_p, mean_r = (np.bincount(which, w, bins) for w in (None, p, r))
    return float(np.abs(mean_p - mean_r).sum() / count.sum())


def where_known(truth: NDArray[np.int32], boxes: Sequence[tuple[float, ...]]) -> NDArray[np.bool_]:
    """Leave out boxes in which no cell is outlined: there the mask forgot a cell.

    Parameters
    ----------
    truth : ndarray
        (H, W) int32 instance labels, 0 background.
    boxes : sequence of tuple of float
        y0, x0, y1, x1 of leukocytes, half open.

    Returns
    -------
    ndarray
        (H, W) bool, where the annotation can be trusted.
    """
    known = np.ones(truth.shape, bool)
    for box in boxes:
        y0, x0, y1, x1 = (max(0, round(v)) for v in box)
        region = truth[y0:y1, x0:x1]
        if region.size and (region > 0).mean() < 0.3:
            known[y0:y1, x0:x1] = region > 0
    return known


def centred_disc(shape: tuple[int, ...], share: float = 0.31) -> NDArray[np.bool_]:
    """Return a disc of about the size that a cell has in public crops (METHOD: 0.313 and 0.228).

    Parameters
    ----------
    shape : tuple of int
        Height and width in px.
    share : float
        Of the image that the disc would cover, 0 to 1.
    """
    rows, columns = np.indices(shape)
    radius2 = share * shape[0] * shape[1] / np.pi
    offset = (rows - (shape[0] - 1) / 2) ** 2 + (columns - (shape[1] - 1) / 2) ** 2
    return np.asarray(offset <= radius2)


def _assign(iou: NDArray[np.float64], least: float) -> list[tuple[int, int, float]]:
    rows, columns = linear_sum_assignment(np.where(iou >= least, -iou, 0))
    pairs = [(int(i), int(j), float(iou[i, j])) for i, j in zip(rows, columns, strict=True) if iou[i, j] >= least]
    return sorted(pairs, key=lambda pair: pair[1])
