"""Does the network look where the cell is? Four measures of it, and how firm the outline is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.segmentation import expand_labels

__all__ = [
    "WEIGHTS",
    "Agreement",
    "cam_agreement",
    "outline_stability",
    "saliency_consistency",
    "threshold_stability",
]

WEIGHTS = {"energy": 0.35, "pointing": 0.15, "overlap": 0.15, "rank": 0.15, "stability": 0.2}
"""Share of each measure in `saliency_consistency`. Set by hand; to be fitted to errors on real images."""

_FULL_OVERLAP = 0.5  # a map peaked on the nucleus covers about half of a cell: more is no better


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """How the class activation of N cells agrees with their outlines and with the prior.

    Attributes
    ----------
    energy : ndarray
        (N,) float32 up to 1: share of the activation inside the outline, less the share that an
        even spread would have there, over the most that it could be. 0 is chance.
    pointing : ndarray
        (N,) bool, whether the strongest activation is inside.
    overlap : ndarray
        (N,) float32 in [0, 1], IoU of the outline with the activation above half its largest value.
    rank : ndarray
        (N,) float32 in [-1, 1], Spearman correlation with the saliency prior.
    """

    energy: NDArray[np.float32]
    pointing: NDArray[np.bool_]
    overlap: NDArray[np.float32]
    rank: NDArray[np.float32]


def cam_agreement(
    activation: NDArray[np.float32],
    inside: NDArray[np.float32],
    background: NDArray[np.float32],
    prior: NDArray[np.float32],
) -> Agreement:
    """Compare class activation with outlines.

    Parameters
    ----------
    activation : ndarray
        (N, k, k) float32, not negative.
    inside : ndarray
        (N, k, k) float32 in [0, 1], share of each pixel that belongs to the cell.
    background : ndarray
        (N, k, k) float32 in [0, 1], share that belongs to no cell. The rest, other cells and what
        is beyond the image, does not count: a neighbour of the same class lights up rightly.
    prior : ndarray
        (N, k, k) float32 in [0, 1].

    Returns
    -------
    Agreement
        All zero for a cell without activation.

    References
    ----------
    Wang et al., Score-CAM, CVPR workshops 2020 (energy inside). Zhang et al., Top-down neural
    attention by excitation backprop, ECCV 2016 (pointing game).
    """
    flat = [
        np.asarray(x, np.float64).reshape(len(x), x.shape[1] * x.shape[2])
        for x in (activation, inside, background, prior)
    ]
    cam, own, other, salient = flat
    counted = own + other
    total = (cam * counted).sum(1)
    seen = total > 0
    share = (cam * own).sum(1) / np.where(seen, total, 1)
    chance = own.sum(1) / np.maximum(counted.sum(1), 1e-9)
    # A cell without background around it leaves nothing to tell apart: all inside is all there is.
    energy = np.where(chance < 0.999, (share - chance) / np.maximum(1 - chance, 1e-9), share)
    visible = np.where(counted > 0.5, cam, -1)
    rows = np.arange(len(cam))
    pointing = own[rows, visible.argmax(1)] > 0.5
    hot = visible >= 0.5 * np.maximum(visible.max(1, keepdims=True), 1e-9)
    union = (hot | (own > 0.5)).sum(1)
    overlap = (hot & (own > 0.5)).sum(1) / np.maximum(union, 1)
    rank = np.array([_spearman(c[v > 0.5], s[v > 0.5]) for c, s, v in zip(cam, salient, counted, strict=True)])
    return Agreement(
        np.where(seen, energy, 0).astype(np.float32),
        pointing & seen,
        np.where(seen, overlap, 0).astype(np.float32),
        rank.astype(np.float32).reshape(len(cam)),
    )


def outline_stability(
    labels: NDArray[np.int32], one: NDArray[np.bool_], other: NDArray[np.bool_], reach: float
) -> NDArray[np.float32]:
    """Return how far two masks of the same field agree on each cell.

    With A and B the masks and Z the cell with what is within reach of it and of no other cell:
    ``|A and B and Z| / |(A or B) and Z|``.

    Parameters
    ----------
    labels : ndarray
        (H, W) int32, cells numbered 1..N.
    one, other : ndarray
        (H, W) bool, leukocytes as seen directly and in a mirror.
    reach : float
        Px around a cell within which pixels count as its own.

    Returns
    -------
    ndarray
        (N,) float32 in [0, 1], intersection over union.
    """
    zone = expand_labels(labels, reach).ravel()
    count = int(labels.max(initial=0)) + 1
    shared = np.bincount(zone[(one & other).ravel()], minlength=count)[1:]
    either = np.bincount(zone[(one | other).ravel()], minlength=count)[1:]
    return (shared / np.maximum(either, 1)).astype(np.float32)


def threshold_stability(
    labels: NDArray[np.int32], logits: NDArray[np.float32], reach: float, offset: float = 1.0
) -> NDArray[np.float32]:
    """Return how little each cell's outline moves when more or less is asked of a pixel.

    The cheap sister of `outline_stability`, from one look alone: the two masks are where the logit
    is above ``offset`` and above ``-offset``.

    Parameters
    ----------
    labels : ndarray
        (H, W) int32, cells numbered 1..N.
    logits : ndarray
        (H, W) float32, of leukocyte against background.
    reach : float
        Px around a cell within which pixels count as its own.
    offset : float
        Above 0; 1 is a probability of 0.27 and of 0.73.

    Returns
    -------
    ndarray
        (N,) float32 in [0, 1], intersection over union.

    References
    ----------
    Kirillov et al., Segment anything, ICCV 2023 (stability score).
    """
    return outline_stability(labels, logits > offset, logits > -offset, reach)


def saliency_consistency(agreement: Agreement, stability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put the measures together, by `WEIGHTS`.

    Parameters
    ----------
    agreement : Agreement
        Of N cells.
    stability : ndarray
        (N,) float32 in [0, 1], from `outline_stability`.

    Returns
    -------
    ndarray
        (N,) float32 in [0, 1]; 1 is a cell whose name rests on the cell itself, firmly outlined.
    """
    parts = {
        "energy": np.clip(agreement.energy, 0, 1),
        "pointing": agreement.pointing,
        "overlap": np.minimum(agreement.overlap / _FULL_OVERLAP, 1),
        "rank": np.clip(agreement.rank, 0, 1),
        "stability": stability,
    }
    total = sum(WEIGHTS[name] * np.asarray(part, np.float64) for name, part in parts.items())
    return np.clip(total, 0, 1).astype(np.float32)


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    # scipy's spearmanr warns of constant input and tests significance, neither of which is wanted
    # here; and pandas, which is loaded anyway, spares a third of a second at each start.
    x, y = pd.Series(a).rank().to_numpy(), pd.Series(b).rank().to_numpy()
    x, y = x - x.mean() if len(x) else x, y - y.mean() if len(y) else y
    spread = np.sqrt((x**2).sum() * (y**2).sum())
    return float((x * y).sum() / spread) if spread > 0 else 0.0
