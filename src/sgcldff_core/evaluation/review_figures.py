"""Does the review find the errors? Ranking, what is left after the worst were looked at, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.model_selection import GroupKFold

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.intervals import Interval
from sgcldff_core.training.risk import fit_risk

if TYPE_CHECKING:
    from sgcldff_core.model.review_rule import ReviewRule

__all__ = ["auroc", "bootstrap_by_group", "caught", "cross_fitted", "risk_coverage"]

Statistic = Callable[[NDArray[np.float64], NDArray[np.float64]], float]


def cross_fitted(
    judged: pd.DataFrame, learned: pd.DataFrame, folds: int = 5, before: ReviewRule | None = None
) -> pd.DataFrame:
    """Judge every cell by scores to which neither it nor its image contributed.

    Parameters
    ----------
    judged : DataFrame
        Cells as `sgcldff_core.evaluation.review_cells.gather_cells` returns them.
    learned : DataFrame
        Cells to fit on; those of groups that are judged at the time stay out.
    folds : int
        Into which the groups of `judged` are shared.
    before : ReviewRule, optional
        Fitted on images none of which is judged: gives a score for which there are too few errors to fit one.

    Returns
    -------
    DataFrame
        `judged` with ``p_wrong``, ``p_bad`` and ``risk``, that either is so.
    """
    found = {target: np.full(len(judged), np.nan) for target in ("wrong", "bad")}
    for _, rows in GroupKFold(folds).split(judged, groups=judged["group"]):
        here = judged.iloc[rows]
        others = learned[~learned["group"].isin(set(here["group"]))]
        for target, values in found.items():
            values[rows] = fit_risk(others, target, before).probability(here)
    risk = 1 - (1 - found["wrong"]) * (1 - found["bad"])
    return judged.assign(p_wrong=found["wrong"], p_bad=found["bad"], risk=risk)


def auroc(errors: NDArray[np.floating], score: NDArray[np.floating]) -> float:
    """Return how probable it is that an error scores above what is right; NaN without either.

    Parameters
    ----------
    errors, score : ndarray
        (N,) as for `caught`; of equal scores half are taken to be above.
    """
    wrong = int(errors.sum())
    if not 0 < wrong < len(errors):
        return float("nan")
    # By ranks, which is ten times as fast as scikit-learn's: the bootstrap asks for it thousands of times.
    above = rankdata(score)[errors > 0].sum() - wrong * (wrong + 1) / 2
    return float(above / (wrong * (len(errors) - wrong)))


def caught(errors: NDArray[np.floating], score: NDArray[np.floating], share: float = 0.2) -> float:
    """Return the share of errors among the cells that score highest, NaN without errors.

    Parameters
    ----------
    errors : ndarray
        (N,) 1 where something is wrong, 0 elsewhere.
    score : ndarray
        (N,) float.
    share : float
        Of the cells that are looked at, rounded up to whole cells.
    """
    looked_at = np.argsort(-score, kind="stable")[: int(np.ceil(share * len(score)))]
    return float(errors[looked_at].sum() / errors.sum()) if errors.sum() else float("nan")


def risk_coverage(errors: NDArray[np.floating], score: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the share of errors among the cells that are kept, the surest first.

    Parameters
    ----------
    errors, score : ndarray
        (N,) as for `caught`.

    Returns
    -------
    ndarray
        (N,) float64: entry k is of the k + 1 cells with the lowest score.

    References
    ----------
    Geifman and El-Yaniv, Selective classification for deep neural networks, NeurIPS 2017.
    """
    ordered = np.asarray(errors, np.float64)[np.argsort(score, kind="stable")]
    return np.asarray(np.cumsum(ordered) / np.arange(1, len(ordered) + 1))


def bootstrap_by_group(
    errors: NDArray[np.floating],
    score: NDArray[np.floating],
    groups: NDArray[np.object_],
    statistic: Statistic,
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Interval:
    """Give a figure with its 95 % interval, from resampling groups of images.

    Parameters
    ----------
    errors, score : ndarray
        (N,) as for `caught`.
    groups : ndarray
        (N,) of images.
    statistic : callable
        Of errors and score.
    draws : int
        Number of resampled sets; one that has no figure, such as one without errors, does not count.
    seed : int
        Of the draws.

    Raises
    ------
    ConfigError
        If lengths differ, or there is nothing to draw from.
    """
    if not len(errors) == len(score) == len(groups) or not len(errors):
        raise ConfigError(f"{len(errors)} errors, {len(score)} scores and {len(groups)} groups; one each is needed")
    rows = [np.flatnonzero(groups == group) for group in pd.unique(groups)]
    rng, values = np.random.default_rng(seed), []
    for _ in range(draws):
        chosen = np.concatenate([rows[k] for k in rng.integers(len(rows), size=len(rows))])
        values.append(statistic(errors[chosen], score[chosen]))
    told = np.array(values)[~np.isnan(values)]
    low, high = np.percentile(told, [2.5, 97.5]) if len(told) else (float("nan"), float("nan"))
    return Interval(statistic(errors.astype(np.float64), score.astype(np.float64)), float(low), float(high))
