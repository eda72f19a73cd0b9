"""Conformal thresholds: the quantile by hand, and coverage where cells are exchangeable."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sgcldff_core.cells import prediction_sets
from sgcldff_core.errors import ConfigError
from sgcldff_core.training.conformal import COVERAGES, conformal_threshold, fit_conformal, kept_threshold


def _cells(count: int, rng: np.random.Generator, conceit: float = 3.0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Draw cells of three classes, and probabilities that are far too sure of themselves."""
    classes = rng.integers(0, 3, count)
    scores = conceit * (np.eye(3)[classes] + rng.normal(size=(count, 3)))
    likely = np.exp(scores - scores.max(1, keepdims=True))
    return likely / likely.sum(1, keepdims=True), classes


@pytest.mark.parametrize(
    ("coverage", "threshold"),
    [(0.5, 0.5), (0.51, 0.4), (0.9, 0.1), (0.91, 0.0), (0.1, 0.9)],
)
def test_nine_cells_by_hand(coverage: float, threshold: float) -> None:
    """With true classes at 0.9, 0.8, ... 0.1 the place is ceil(10 * coverage), and there is no tenth."""
    of_true = np.arange(1, 10) / 10
    probabilities = np.stack([of_true, 1 - of_true], 1)
    assert conformal_threshold(probabilities, np.zeros(9, np.int64), coverage) == pytest.approx(threshold)


@pytest.mark.parametrize("coverage", COVERAGES)
@pytest.mark.parametrize("count", [120, 400])
def test_coverage_holds_on_average_even_for_a_conceited_model(coverage: float, count: int) -> None:
    """The mean over draws is at least nominal; without the +1 of finite samples it would be below it."""
    rng = np.random.default_rng(0)
    draws = 300
    covered = []
    for _ in range(draws):
        threshold = conformal_threshold(*_cells(count, rng), coverage)
        probabilities, classes = _cells(500, rng)
        covered.append((probabilities[np.arange(500), classes] >= threshold).mean())
    error = np.std(covered) / np.sqrt(draws)
    assert np.mean(covered) >= coverage - 2.5 * error
    assert np.mean(covered) <= coverage + 1 / (count + 1) + 2.5 * error


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.floats(0.01, 0.99))
def test_of_the_cells_themselves_at_least_the_share_is_covered(seed: int, count: int, coverage: float) -> None:
    probabilities, classes = _cells(count, np.random.default_rng(seed))
    threshold = conformal_threshold(probabilities, classes, coverage)
    assert 0 <= threshold <= 1
    inside = prediction_sets(probabilities, threshold)
    assert inside[np.arange(count), classes].sum() >= coverage * count
    assert inside.any(1).all()


def test_what_so_few_cells_cannot_promise_is_missing() -> None:
    probabilities, classes = _cells(50, np.random.default_rng(0))
    assert set(fit_conformal(probabilities, classes)) == {"conformal_0.9", "conformal_0.95"}
    assert fit_conformal(probabilities[:5], classes[:5]) == {}


def test_a_threshold_is_found_again_in_the_calibration() -> None:
    probabilities, classes = _cells(50, np.random.default_rng(0))
    calibration = {"temperature": 1.5} | fit_conformal(probabilities, classes)
    assert kept_threshold(calibration, 0.9) == conformal_threshold(probabilities, classes, 0.9)
    with pytest.raises(ConfigError, match=r"no sets of classes for 0.99; it has 0.9, 0.95"):
        kept_threshold(calibration, 0.99)
    with pytest.raises(ConfigError, match="it has none"):
        kept_threshold({"temperature": 1.5}, 0.9)


def test_nonsense_is_refused() -> None:
    probabilities, classes = _cells(5, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="coverage is a share between 0 and 1, got 95"):
        conformal_threshold(probabilities, classes, 95)
    with pytest.raises(ConfigError, match=r"shape \(5, 3\) do not fit \(4,\) classes"):
        conformal_threshold(probabilities, classes[:4], 0.9)
