"""Making class probabilities honest: how sure the network may be, and how often classes occur."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from sgcldff_core.inference.instances import SIGNS, InstanceSettings

if TYPE_CHECKING:
    from sgcldff_core.model import SgcldffNetwork

__all__ = ["fit_calibration", "fit_signs", "log_prior_shift", "with_prior_shift"]

_ENOUGH = 10  # held-out cells, to fit anything to
_TEMPERATURES = (0.25, 8.0)


def log_prior_shift(natural: Sequence[float], shown: Sequence[float]) -> NDArray[np.float64]:
    """Return by how much logits would have to shift for classes to count as often as they occur.

    Rare classes are shown more often in training and weigh more in the loss, so that they are
    learned at all; the network then expects them as often as it was shown them. Bayes' rule takes
    that back: ``log natural - log shown``, each as a share.

    Parameters
    ----------
    natural : sequence of float
        How often each class occurs in the images.
    shown : sequence of float
        How much each class weighed in training.

    Returns
    -------
    ndarray
        (classes,) float64 of mean zero over the classes that occur, within -3 and 3; a class that
        does not occur gets the least of them.

    References
    ----------
    Saerens et al., Adjusting the outputs of a classifier to new a priori probabilities, Neural
    Computation 14 (2002).
    """
    natural_counts, weight = np.asarray(natural, float), np.asarray(shown, float)
    occurs = (natural_counts > 0) & (weight > 0)
    shift = np.zeros(len(natural_counts))
    if occurs.any():
        shift[occurs] = np.log(natural_counts[occurs]) - np.log(weight[occurs])
        shift[occurs] = np.clip(shift[occurs] - shift[occurs].mean(), -3, 3)
        shift[~occurs] = shift[occurs].min()
    return shift


def fit_calibration(
    logits: NDArray[np.floating],
    classes: NDArray[np.int64],
    shift: NDArray[np.float64],
    default: tuple[float, float] = (1.0, 0.0),
) -> tuple[float, float]:
    """Return temperature and share of the prior shift that make held-out cells most likely.

    Probabilities are ``softmax((logits + share * shift) / temperature)``.

    Parameters
    ----------
    logits : ndarray
        (N, classes) of held-out cells.
    classes : ndarray
        (N,) what they are.
    shift : ndarray
        (classes,) from `log_prior_shift`.
    default : tuple of float
        Returned where there are fewer than ten cells, too few to fit anything.

    Returns
    -------
    temperature : float
        Between 0.25 and 8.
    share : float
        Between 0 and 1.

    References
    ----------
    Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    if len(classes) < _ENOUGH:
        return default
    rows = np.arange(len(classes))

    def unlikelihood(parameters: NDArray[np.float64]) -> float:
        log_temperature, share = parameters
        scores = log_softmax((logits + share * shift) / np.exp(log_temperature), axis=1)
        return -float(scores[rows, classes].mean())

    bounds = [tuple(np.log(_TEMPERATURES)), (0.0, 1.0)]
    best = minimize(unlikelihood, [0.0, 0.5], method="L-BFGS-B", bounds=bounds)
    return float(np.exp(best.x[0])), float(best.x[1])


def fit_signs(signs: NDArray[np.floating]) -> dict[str, float]:
    """Return how sure a model is of real cells, for telling them from debris.

    A network that learned for minutes outlines cells well long before it is as sure of them as one
    that learned for hours. Held to what the latter is sure of, it would find nothing.

    Parameters
    ----------
    signs : ndarray
        (N, 3) of held-out cells, see `ValidationFigures`.

    Returns
    -------
    dict of str to float
        ``sure``, ``nucleus`` and ``deep`` of `sgcldff_core.inference.instances.InstanceSettings`:
        95 % of what all but one cell in twenty have, and no more than the defaults. Empty where
        there are fewer than ten cells.
    """
    if len(signs) < _ENOUGH:
        return {}
    usual = InstanceSettings()
    low = 0.95 * np.quantile(signs, 0.05, axis=0)
    return {name: float(min(value, getattr(usual, name))) for name, value in zip(SIGNS, low, strict=True)}


def with_prior_shift(network: SgcldffNetwork, shift: NDArray[np.float64]) -> SgcldffNetwork:
    """Return a copy of a network whose class logits are shifted; the one given stays as it is.

    Parameters
    ----------
    network : SgcldffNetwork
        On any device.
    shift : ndarray
        (classes,) to be added to the logits.
    """
    shifted = copy.deepcopy(network)
    with torch.no_grad():
        bias = shifted.classification.linear.bias
        bias.add_(torch.as_tensor(shift, dtype=bias.dtype, device=bias.device))
    return shifted
