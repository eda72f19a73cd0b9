"""Where a map of evidence lies, against an annotated cell and against the saliency prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Localisation", "localise"]

_HOT = 0.5  # of the largest value


@dataclass(frozen=True, slots=True)
class Localisation:
    """How one map agrees with one cell; a map that is zero everywhere gains nothing and points nowhere.

    Attributes
    ----------
    energy : float
        In [0, 1], share of the map's sum that is inside the cell.
    chance : float
        In (0, 1], the same for a map that is even: the cell's share of the pixels.
    gain : float
        Up to 1, ``(energy - chance) / (1 - chance)``: 0 for an even map, 1 for one that is all inside.
    pointing : float
        1 where the largest value is inside, 0 where it is not; of several equal ones the share that is.
    iou : float
        In [0, 1], IoU of the cell with the map above half its largest value.
    nucleus_iou : float or None
        The same with the nucleus; None where that is not annotated.
    cc : float
        In [-1, 1], Pearson correlation of map and prior.
    sim : float
        In [0, 1], sum of the smaller of both, each scaled to a sum of 1.
    nss : float
        Mean of the map, standardised, over pixels drawn by the prior.
    kl : float
        Not negative, in nats: Kullback-Leibler divergence of the map from the prior; 0 is equality.
    """

    energy: float
    chance: float
    gain: float
    pointing: float
    iou: float
    nucleus_iou: float | None
    cc: float
    sim: float
    nss: float
    kl: float


def localise(
    activation: NDArray[np.floating],
    cell: NDArray[np.bool_],
    nucleus: NDArray[np.bool_] | None,
    prior: NDArray[np.floating],
    counted: NDArray[np.bool_],
) -> Localisation:
    """Compare a map with a cell and with the prior.

    Parameters
    ----------
    activation : ndarray
        (H, W) float, not negative.
    cell : ndarray
        (H, W) bool, the annotated cell, at least one pixel.
    nucleus : ndarray or None
        (H, W) bool, its nucleus.
    prior : ndarray
        (H, W) float in [0, 1].
    counted : ndarray
        (H, W) bool, pixels that count; those of other cells and those nobody judged do not. The
        cell's own always do.

    Returns
    -------
    Localisation
        Of the counted pixels.

    References
    ----------
    Wang et al., Score-CAM, CVPR workshops 2020 (energy). Zhang et al., Top-down neural attention by
    excitation backprop, ECCV 2016 (pointing). Bylinskii et al., What do different evaluation metrics
    tell us about saliency models?, TPAMI 2019 (CC, SIM, NSS, KL).
    """
    counted = counted | cell
    shown, inside, salient = (np.asarray(x, np.float64)[counted] for x in (activation, cell, np.clip(prior, 0, None)))
    total, chance = shown.sum(), float(inside.mean())
    energy = float((shown * inside).sum() / total) if total > 0 else 0.0
    hot = shown >= _HOT * shown.max() if total > 0 else np.zeros(shown.shape, bool)
    return Localisation(
        energy=energy,
        chance=chance,
        gain=(energy - chance) / (1 - chance) if chance < 1 else energy,
        pointing=float(inside[shown == shown.max()].mean()) if total > 0 else 0.0,
        iou=_overlap(hot, inside > 0),
        nucleus_iou=None if nucleus is None else _overlap(hot, np.asarray(nucleus, bool)[counted]),
        **_likeness(shown, salient),
    )


def _overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    either = int((a | b).sum())
    return float((a & b).sum() / either) if either else 0.0


def _likeness(shown: NDArray[np.float64], salient: NDArray[np.float64]) -> dict[str, float]:
    """Compare two maps as distributions; an even map stands in for one that is zero everywhere."""
    p, q = (x / x.sum() if x.sum() > 0 else np.full(x.shape, 1 / x.size) for x in (salient, shown))
    deviation = shown.std()
    standard = (shown - shown.mean()) / deviation if deviation > 0 else np.zeros_like(shown)
    spread = deviation * salient.std()
    together = ((shown - shown.mean()) * (salient - salient.mean())).mean()
    tiny = 1e-12
    return {
        "cc": float(together / spread) if spread > 0 else 0.0,
        "sim": float(np.minimum(p, q).sum()),
        "nss": float((p * standard).sum()),
        "kl": max(0.0, float((p * np.log((p + tiny) / (q + tiny))).sum())),
    }
