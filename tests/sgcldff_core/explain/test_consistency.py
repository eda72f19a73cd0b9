"""How explanations are measured: values worked out by hand, limits, and what must not count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sgcldff_core.explain import Agreement, cam_agreement, outline_stability, saliency_consistency
from sgcldff_core.explain.consistency import WEIGHTS, threshold_stability

INSIDE = np.zeros((1, 10, 10), np.float32)
INSIDE[0, :5] = 1
PRIOR = INSIDE.copy()


def agreement(cam: NDArray[np.float32], inside: NDArray[np.float32] = INSIDE, **given: object) -> Agreement:
    parts = {"background": 1 - inside, "prior": PRIOR} | given
    return cam_agreement(np.asarray(cam, np.float32), inside, **parts)  # type: ignore[arg-type]


def test_all_on_the_cell_is_one() -> None:
    found = agreement(INSIDE)
    assert found.energy[0] == 1
    assert found.pointing[0]
    assert found.overlap[0] == 1
    assert found.rank[0] == pytest.approx(1)
    assert saliency_consistency(found, np.ones(1, np.float32))[0] == pytest.approx(1)


def test_an_even_spread_is_chance() -> None:
    assert agreement(np.ones((1, 10, 10))).energy[0] == pytest.approx(0)


def test_all_beside_the_cell_is_below_chance() -> None:
    found = agreement(1 - INSIDE)
    assert found.energy[0] == -1
    assert not found.pointing[0]
    assert found.overlap[0] == 0
    assert found.rank[0] == pytest.approx(-1)
    assert saliency_consistency(found, np.zeros(1, np.float32))[0] == 0


def test_three_quarters_of_the_energy_on_half_of_the_window_is_half_way() -> None:
    assert agreement(3 * INSIDE + (1 - INSIDE)).energy[0] == pytest.approx(0.5)


def test_a_neighbour_and_what_is_beyond_the_image_do_not_count() -> None:
    cam = INSIDE.copy()
    cam[0, 8:] = 5  # another cell of the same class lights up rightly, and more
    background = 1 - INSIDE
    background[0, 8:] = 0
    found = agreement(cam, background=background)
    assert found.energy[0] == 1
    assert found.pointing[0]
    assert found.overlap[0] == 1
    assert found.rank[0] == pytest.approx(1)


def test_no_activation_is_no_agreement() -> None:
    found = agreement(np.zeros((1, 10, 10)))
    assert (found.energy[0], found.pointing[0], found.overlap[0], found.rank[0]) == (0, False, 0, 0)


def test_a_cell_that_fills_its_window_has_nothing_beside_it() -> None:
    found = agreement(np.ones((1, 10, 10)), inside=np.ones((1, 10, 10), np.float32))
    assert found.energy[0] == 1


def test_no_cells() -> None:
    none = np.zeros((0, 4, 4), np.float32)
    found = cam_agreement(none, none, none, none)
    assert saliency_consistency(found, np.zeros(0, np.float32)).shape == (0,)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 9))
def test_consistency_is_between_0_and_1(seed: int, count: int, side: int) -> None:
    rng = np.random.default_rng(seed)
    cam, inside, prior = rng.random((3, count, side, side)).astype(np.float32)
    found = cam_agreement(cam, inside, (1 - inside) * rng.random(), prior)
    assert (found.energy <= 1 + 1e-6).all()
    assert ((found.overlap >= 0) & (found.overlap <= 1)).all()
    assert (np.abs(found.rank) <= 1 + 1e-6).all()
    total = saliency_consistency(found, rng.random(count).astype(np.float32))
    assert ((total >= 0) & (total <= 1)).all()


def test_weights_are_shares() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)


def test_stability_is_the_overlap_around_each_cell() -> None:
    labels = np.zeros((20, 40), np.int32)
    labels[5:15, 5:15], labels[5:15, 25:35] = 1, 2
    mirrored = labels > 0
    mirrored[5:15, 25:30] = False  # half of the second cell is not seen in the mirror
    mirrored[0, 0] = True  # too far from any cell
    found = outline_stability(labels, labels > 0, mirrored, 2)
    assert found.tolist() == [1.0, 0.5]
    assert outline_stability(labels * 0, labels > 0, mirrored, 2).shape == (0,)


def test_stability_under_the_threshold_by_hand() -> None:
    """A sharp outline does not move; in a ramp of 1 a pixel, 4 of 10 columns are above 1 and 6 above -1."""
    labels = np.zeros((20, 40), np.int32)
    labels[5:15, 5:10], labels[5:15, 25:35] = 1, 2
    logits = np.full((20, 40), -9.0, np.float32)
    logits[5:15, 5:15] = 4.5 - np.arange(10)  # above 0 in columns 5 to 9, which are the first cell
    logits[5:15, 25:35] = 9
    assert threshold_stability(labels, logits, 5).tolist() == pytest.approx([4 / 6, 1.0])
    assert threshold_stability(labels, logits, 5, offset=2).tolist() == pytest.approx([3 / 7, 1.0])
    assert threshold_stability(labels * 0, logits, 5).shape == (0,)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 5), st.floats(0, 10))
def test_stability_is_between_0_and_1_and_falls_with_the_offset(seed: int, offset: float, reach: float) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=3, size=(24, 24)).astype(np.float32)
    labels = np.zeros((24, 24), np.int32)
    labels[2:10, 2:10], labels[12:20, 8:22] = 1, 2
    near, far = (threshold_stability(labels, logits, reach, o) for o in (offset, offset + 0.5))
    assert ((near >= far) & (far >= 0) & (near <= 1)).all()
