"""Fitting a review rule: which evidence went with errors on cells that a network had not learned from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize
from sklearn.model_selection import GroupKFold

from sgcldff_core.errors import ConfigError
from sgcldff_core.model.review_rule import DOUBTS, ReviewRule, RiskScore, doubts_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BAD_IOU", "fit_risk", "fit_rule"]

BAD_IOU = 0.8
"""An outline whose IoU with the true one is below is bad."""

_SCORE = {"wrong": "wrong_class", "bad": "bad_mask"}
_TELLING = {"wrong": ("entropy",), "bad": tuple(DOUBTS)}  # by all together wrong classes were found worse
_STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3)  # of the penalty on weights
_FOLDS = 5
_ENOUGH = 10  # errors, and cells without, to fit anything to
_UNUSUAL = 0.95  # of the cells without fault have less doubt than what is named as a reason


def fit_rule(
    cells: pd.DataFrame,
    share: float = 0.2,
    fitted_on: Mapping[str, Any] | None = None,
    before: ReviewRule | None = None,
) -> ReviewRule:
    """Fit both scores, and the risk from which on a cell is to be looked at.

    A good network makes few bad outlines, even of degraded images. A score for which there are too few
    errors is that of the rule before, where there is one; the record then names it under ``kept``.

    Parameters
    ----------
    cells : DataFrame
        One row a cell that the network that found it had not learned from: the columns of
        `sgcldff_core.explain.EVIDENCE`; ``wrong`` and ``bad``, 1 where the class, or the outline,
        is wrong, 0 where it is right, NaN where that is not known; ``group``, of images of the same
        cells; ``own``, True for cells as they are, found by the network that is nearest to the
        model that is to hold the rule: on these the cut-off is set.
    share : float
        Of these to be looked at, between 0 and 1.
    fitted_on : mapping, optional
        For the record, beside what is noted anyway.
    before : ReviewRule, optional
        Fitted on other cells.

    Raises
    ------
    ConfigError
        If there are too few errors of both kinds, or of one without a rule before, or no cells of the
        network's own.
    """
    if not 0 < share < 1:
        raise ConfigError(f"the share of cells to be looked at is between 0 and 1, got {share}")
    own = cells[cells["own"].astype(bool)]
    if own.empty:
        raise ConfigError(
            "none of the cells were found by a network of the model's settings; name a sister that has them"
        )
    few = [target for target in _SCORE if not _enough_errors(cells, target)]
    before = before if len(few) < len(_SCORE) else None
    wrong, bad = (_honest(fit_risk(cells, target, before), own, target) for target in _SCORE)
    faultless = own[(own["wrong"] != 1) & (own["bad"] != 1)]
    usual = {name: float(np.nanquantile(_known(x), _UNUSUAL)) for name, x in doubts_of(faultless).items()}
    rule = ReviewRule(wrong, bad, 0.0, usual)
    risk = rule.risk(own)
    record = {
        "cells": len(cells),
        "wrong_classes": int((cells["wrong"] == 1).sum()),
        "bad_masks": int((cells["bad"] == 1).sum()),
        "share": share,
        **({"kept": [_SCORE[target] for target in few]} if few else {}),
        **(fitted_on or {}),
    }
    return ReviewRule(wrong, bad, float(np.quantile(risk, 1 - share)), usual, record)


def fit_risk(cells: pd.DataFrame, target: str, before: ReviewRule | None = None) -> RiskScore:
    """Fit the probability of one kind of error to the evidence.

    A penalised logistic regression whose weights may not be below zero, since no doubt makes a cell
    safer. How strong the penalty is, is chosen by cross-validation over groups of images. A wrong class is
    told from the entropy of its probabilities alone.

    Parameters
    ----------
    cells : DataFrame
        As for `fit_rule`.
    target : {"wrong", "bad"}
        Column that tells the errors.
    before : ReviewRule, optional
        Whose score is returned where there are too few errors to fit one.

    Raises
    ------
    ConfigError
        If there are fewer than ten errors, or cells without, and no rule before.
    """
    if before is not None and not _enough_errors(cells, target):
        score: RiskScore = getattr(before, _SCORE[target])
        return score
    known = cells[cells[target].notna()]
    y = known[target].to_numpy(float)
    if not _enough_errors(cells, target):
        raise ConfigError(
            f"{int(y.sum())} of {len(y)} cells are {target}; a risk takes {_ENOUGH} that are and as many that are not"
        )
    doubts = {name: _known(x) for name, x in doubts_of(known).items()}
    centre = {name: float(np.nanmean(x)) for name, x in doubts.items()}
    scale = {name: max(float(np.nanstd(x)), 1e-3) for name, x in doubts.items()}
    telling = _TELLING[target]
    x = np.stack([np.nan_to_num((doubts[name] - centre[name]) / scale[name]) for name in telling], 1)
    weights = _chosen(x, y, known["group"].to_numpy())
    weight = dict.fromkeys(DOUBTS, 0.0) | dict(zip(telling, weights[1:].tolist(), strict=True))
    return RiskScore(centre, scale, weight, float(weights[0]))


def _honest(score: RiskScore, own: pd.DataFrame, target: str) -> RiskScore:
    """Shift a score, so that it expects as many errors of cells as they are as there were; half a one more."""
    known = own[own[target].notna()]
    if known.empty:
        return score
    expected = (float((known[target] == 1).sum()) + 0.5) / (len(known) + 1)

    def surplus(bias: float) -> float:
        return float(replace(score, bias=bias).probability(known).mean()) - expected

    return replace(score, bias=float(brentq(surplus, -50.0, 50.0)))


def _enough_errors(cells: pd.DataFrame, target: str) -> bool:
    return bool(min((cells[target] == 1).sum(), (cells[target] == 0).sum()) >= _ENOUGH)


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # A model without a record of stains: nothing is known of any cell, and nothing is made of it.
    return values if np.isfinite(values).any() else np.zeros_like(values)


def _chosen(x: NDArray[np.float64], y: NDArray[np.float64], groups: NDArray[np.object_]) -> NDArray[np.float64]:
    count = min(_FOLDS, len(np.unique(groups)))
    losses = np.zeros(len(_STRENGTHS))
    if count > 1:
        for learned, judged in GroupKFold(count).split(x, y, groups):
            for k, strength in enumerate(_STRENGTHS):
                weights = _fitted(x[learned], y[learned], strength)
                losses[k] += _unlikelihood(weights, x[judged], y[judged])[0] * len(judged)
    return _fitted(x, y, _STRENGTHS[int(losses.argmin())])


def _fitted(x: NDArray[np.float64], y: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    def penalised(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, slope = _unlikelihood(weights, x, y)
        slope[1:] += strength * weights[1:]
        return value + strength / 2 * float(weights[1:] @ weights[1:]), slope

    start = np.zeros(x.shape[1] + 1)
    start[0] = np.log((y.mean() + 1e-3) / (1.001 - y.mean()))
    bounds = [(None, None), *[(0.0, None)] * x.shape[1]]
    return np.asarray(minimize(penalised, start, jac=True, method="L-BFGS-B", bounds=bounds).x)


def _unlikelihood(
    weights: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return the mean negative log-likelihood, and its slope."""
    logit = weights[0] + x @ weights[1:]
    value = float(np.mean(np.logaddexp(0, logit) - y * logit))
    off = (1 / (1 + np.exp(-np.clip(logit, -50, 50))) - y) / len(y)
    return value, np.concatenate([[off.sum()], off @ x])
