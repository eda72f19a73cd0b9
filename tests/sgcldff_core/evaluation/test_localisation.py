"""Where maps lie, on maps of a few pixels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sgcldff_core.evaluation.localisation import localise

CELL = np.array([[True, True, False, False], [False, False, False, False]])
EVERYWHERE = np.ones((2, 4), bool)
PRIOR = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])


def test_energy_and_chance_by_hand() -> None:
    shown = np.array([[4.0, 2.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    found = localise(shown, CELL, np.array([[True, False, False, False], [False] * 4]), PRIOR, EVERYWHERE)
    assert found.energy == pytest.approx(6 / 8)
    assert found.chance == pytest.approx(2 / 8)
    assert found.gain == pytest.approx((6 / 8 - 2 / 8) / (1 - 2 / 8))
    assert found.pointing == 1
    assert found.iou == 1  # 4 and 2 are at least half of 4
    assert found.nucleus_iou == pytest.approx(1 / 2)
    assert found.sim == pytest.approx(0.5 + 0.25)  # of (1/2, 1/2) and (1/2, 1/4, ...)
    assert found.kl == pytest.approx(0.5 * math.log(0.5 / 0.25))
    assert found.cc == pytest.approx(np.corrcoef(shown.ravel(), PRIOR.ravel())[0, 1])
    standard = (shown - shown.mean()) / shown.std()
    assert found.nss == pytest.approx((standard[0, 0] + standard[0, 1]) / 2)


def test_an_even_map_is_at_chance() -> None:
    found = localise(np.ones((2, 4)), CELL, None, PRIOR, EVERYWHERE)
    assert (found.energy, found.gain, found.pointing, found.nucleus_iou) == (0.25, 0, 0.25, None)
    assert (found.cc, found.nss) == (0, 0)


def test_a_map_of_nothing_gains_nothing() -> None:
    found = localise(np.zeros((2, 4)), CELL, None, PRIOR, EVERYWHERE)
    assert (found.energy, found.pointing, found.iou, found.cc) == (0, 0, 0, 0)
    assert found.gain == pytest.approx(-1 / 3)


def test_other_cells_do_not_count() -> None:
    shown = np.array([[1.0, 1.0, 0.0, 9.0], [0.0, 0.0, 0.0, 0.0]])
    counted = EVERYWHERE.copy()
    counted[0, 3] = False
    assert localise(shown, CELL, None, PRIOR, EVERYWHERE).pointing == 0
    found = localise(shown, CELL, None, PRIOR, counted)
    assert (found.energy, found.pointing, found.chance) == (1, 1, 2 / 7)


@given(arrays.arrays(np.float64, (4, 5), elements=st.floats(0, 1)), st.integers(1, 19), st.floats(0.1, 10))
def test_figures_stay_in_range_and_do_not_depend_on_the_scale(shown: np.ndarray, pixels: int, factor: float) -> None:
    cell = (np.arange(20) < pixels).reshape(4, 5)
    prior = np.linspace(0, 1, 20).reshape(4, 5)
    found = localise(shown, cell, cell, prior, np.ones((4, 5), bool))
    assert 0 <= found.energy <= 1 + 1e-9
    assert found.gain <= 1 + 1e-9
    assert 0 <= found.pointing <= 1
    assert 0 <= found.iou <= 1
    assert -1 - 1e-6 <= found.cc <= 1 + 1e-6
    assert 0 <= found.sim <= 1 + 1e-9
    assert found.kl >= 0
    if shown.sum() > 1e-3:  # below, a sum is mostly rounding
        again = localise(factor * shown, cell, cell, prior, np.ones((4, 5), bool))
        assert again.energy == pytest.approx(found.energy, abs=1e-6)
        assert again.sim == pytest.approx(found.sim, abs=1e-6)
