"""Calibration: odds of training are taken back, and only as far as held-out cells ask for it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgcldff_core.model import ModelConfig, build_network
from sgcldff_core.training.calibration import fit_calibration, fit_signs, log_prior_shift, with_prior_shift


def test_the_shift_is_the_ratio_of_odds() -> None:
    shift = log_prior_shift([80, 20], [1, 1])
    assert shift[0] - shift[1] == pytest.approx(np.log(4))
    assert shift.mean() == pytest.approx(0)


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0.01, 10)), min_size=2, max_size=6))
@settings(deadline=None, max_examples=50)
def test_the_shift_is_bounded_and_no_class_that_never_occurred_gains(classes: list[tuple[int, float]]) -> None:
    natural, shown = [n for n, _ in classes], [s for _, s in classes]
    shift = log_prior_shift(natural, shown)
    assert np.isfinite(shift).all()
    assert np.abs(shift).max() <= 3
    assert all(shift[i] == shift.min() for i, n in enumerate(natural) if n == 0)


def test_as_common_as_shown_needs_no_shift() -> None:
    assert log_prior_shift([30, 10, 5], [6, 2, 1]) == pytest.approx(np.zeros(3))


def test_a_network_taught_with_even_odds_is_brought_back_to_those_of_the_cells() -> None:
    """Cells of one feature x ~ N(±1, 1); logits ±x are right for even odds, while nine in ten are of class 0."""
    rng = np.random.default_rng(0)
    classes = (rng.random(20_000) < 0.1).astype(np.int64)
    x = rng.normal(np.where(classes == 0, 1, -1), 1)
    logits = np.stack([x, -x], 1)
    shift = log_prior_shift([9, 1], [1, 1])
    temperature, share = fit_calibration(logits, classes, shift)
    assert temperature == pytest.approx(1, abs=0.05)
    assert share == pytest.approx(1, abs=0.05)
    better = (logits + share * shift).argmax(1) == classes
    assert better.mean() > (logits.argmax(1) == classes).mean() + 0.05


def test_natural_odds_ask_for_no_shift() -> None:
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 2, 20_000)
    x = rng.normal(np.where(classes == 0, 1, -1), 1)
    assert fit_calibration(np.stack([x, -x], 1), classes, np.array([1.0, -1.0]))[1] < 0.05


def test_the_shift_goes_into_a_copy() -> None:
    network = build_network(ModelConfig(classes=("a", "b"), swin=False))
    before = network.classification.linear.bias.detach().clone()
    shifted = with_prior_shift(network, np.array([0.5, -0.5]))
    assert (shifted.classification.linear.bias - before).tolist() == pytest.approx([0.5, -0.5])
    assert (network.classification.linear.bias == before).all()


def test_too_few_cells_leave_what_cross_validation_found() -> None:
    logits, classes = np.zeros((9, 2)), np.zeros(9, np.int64)
    assert fit_calibration(logits, classes, np.zeros(2), (1.3, 0.6)) == (1.3, 0.6)


def test_a_model_that_is_sure_of_little_is_not_held_to_what_others_are_sure_of() -> None:
    rng = np.random.default_rng(0)
    signs = np.stack([rng.uniform(0.7, 0.8, 200), rng.uniform(0.2, 0.4, 200), rng.uniform(0.4, 0.5, 200)], 1)
    found = fit_signs(signs)
    assert found["sure"] == pytest.approx(0.95 * 0.705, abs=0.01)
    assert found["deep"] == pytest.approx(0.95 * 0.405, abs=0.01)
    assert found["nucleus"] == 0.15  # the default: these have more
    assert fit_signs(signs[:9]) == {}
