"""How probable a class must be to stay in question, so that the true one is rarely left out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError

__all__ = ["COVERAGES", "conformal_threshold", "fit_conformal", "kept_threshold"]

COVERAGES = (0.9, 0.95, 0.99)
"""What share of cells shall have their true class in the set."""

_PREFIX = "conformal_"


def conformal_threshold(probabilities: NDArray[np.floating], classes: NDArray[np.int64], coverage: float) -> float:
    """Return the least probability with which a class belongs to a cell's set of classes.

    Split conformal prediction with the score ``1 - p`` of the true class: of N held-out cells the
    threshold is the p of the cell at place ``ceil((N + 1) coverage)`` when the most probable come
    first. If cells to come are exchangeable with these, which another stain or microscope is not,
    the set ``{c: p_c >= threshold}`` holds the true class of at least that share of them, on
    average over draws of the N cells; however good or bad the model.

    Parameters
    ----------
    probabilities : ndarray
        (N, classes) float, of cells that the model has not learned from.
    classes : ndarray
        (N,) int64, what they are.
    coverage : float
        Share wanted, between 0 and 1.

    Returns
    -------
    float
        In [0, 1]. 0, which every class reaches, where N cells are too few to promise so much.

    Raises
    ------
    ConfigError
        If the share is not between 0 and 1, or probabilities and classes do not fit each other.

    References
    ----------
    Sadinle, Lei and Wasserman, Least ambiguous set-valued classifiers with bounded error levels,
    Journal of the American Statistical Association 114 (2019). Angelopoulos and Bates, Conformal
    prediction: a gentle introduction, Foundations and Trends in Machine Learning 16 (2023).
    """
    if not 0 < coverage < 1:
        raise ConfigError(f"coverage is a share between 0 and 1, got {coverage}")
    if probabilities.ndim != 2 or classes.shape != probabilities.shape[:1]:
        raise ConfigError(f"probabilities of shape {probabilities.shape} do not fit {classes.shape} classes")
    of_true = np.sort(probabilities[np.arange(len(classes)), classes].astype(np.float64))[::-1]
    # Rounded, since (N + 1) * coverage may be a whole number and a little more.
    place = int(np.ceil(np.round((len(of_true) + 1) * coverage, 9)))
    return float(of_true[place - 1]) if place <= len(of_true) else 0.0


def fit_conformal(probabilities: NDArray[np.floating], classes: NDArray[np.int64]) -> dict[str, float]:
    """Return thresholds for all `COVERAGES`, named as a model's calibration holds them.

    Parameters
    ----------
    probabilities : ndarray
        (N, classes) float, calibrated as the model's are, of cells that it has not learned from.
    classes : ndarray
        (N,) int64, what they are.

    Returns
    -------
    dict of str to float
        ``conformal_0.9`` and so on; a coverage that so few cells cannot promise is missing.
    """
    thresholds = {f"{_PREFIX}{share}": conformal_threshold(probabilities, classes, share) for share in COVERAGES}
    return {name: threshold for name, threshold in thresholds.items() if threshold > 0}


def kept_threshold(calibration: Mapping[str, float], coverage: float) -> float:
    """Return the threshold for one of the shares that a model was fitted for.

    Parameters
    ----------
    calibration : mapping of str to float
        The model's.
    coverage : float
        Share of cells whose true class shall be in their set.

    Raises
    ------
    ConfigError
        If the model was not fitted for it; the message lists what it was fitted for.
    """
    known = {name.removeprefix(_PREFIX): value for name, value in calibration.items() if name.startswith(_PREFIX)}
    if f"{coverage:g}" not in known:
        raise ConfigError(f"the model has no sets of classes for {coverage:g}; it has {', '.join(known) or 'none'}")
    return float(known[f"{coverage:g}"])
