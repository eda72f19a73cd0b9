"""Splitting loses no pixel, filling and smoothing take none from others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from napari_sgcldff.outline_edits import cell_under_line, filled, smoothed, split_along, split_by_shape
from sgcldff_core.errors import ConfigError

SHAPE = (80, 120)


def _disc(y: float, x: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 < radius**2)


@settings(max_examples=40, deadline=None)
@given(angle=st.floats(0, np.pi), shift=st.floats(-12, 12), length=st.floats(4, 60))
def test_a_line_splits_a_disc_in_two_pieces_whatever_its_direction(angle: float, shift: float, length: float) -> None:
    mask = _disc(40, 60, 25)
    along, across = np.array([np.sin(angle), np.cos(angle)]), np.array([np.cos(angle), -np.sin(angle)])
    middle = np.array([40, 60]) + shift * across
    part = split_along(mask, np.array([middle - length / 2 * along, middle, middle + length / 2 * along]))
    rest = mask & ~part
    assert not (part & ~mask).any()
    assert 0 < part.sum() <= rest.sum() + 60  # pixels of the line go to either side
    for piece in (part, rest):
        assert ndimage.label(piece)[1] == 1


def test_a_curved_line_is_followed() -> None:
    mask = _disc(40, 60, 25)
    t = np.linspace(0, np.pi, 30)
    part = split_along(mask, np.stack([10 + 40 * np.sin(t) ** 2, 20 + 80 * t / np.pi], 1))
    assert part.sum() > 50


def test_a_line_beside_the_cell_is_not_led_on_into_it() -> None:
    with pytest.raises(ConfigError, match="does not cross"):
        split_along(_disc(40, 60, 15), np.array([[40.0, 5], [40, 30]]))


@pytest.mark.parametrize("line", [[[1.0, 1], [5, 5]], [[40.0, 60], [40, 60]]])
def test_a_line_that_parts_nothing_is_refused(line: list[list[float]]) -> None:
    with pytest.raises(ConfigError, match=r"the line (does not cross|has no length)"):
        split_along(_disc(40, 60, 15), np.array(line))


@pytest.mark.parametrize(("gap", "radius"), [(30, 20), (34, 18), (24, 14)])
def test_touching_discs_are_split_where_they_touch(gap: int, radius: int) -> None:
    left, right = _disc(40, 40, 20), _disc(40, 40 + gap, radius)
    part = split_by_shape(left | right)
    smaller = right & ~left
    assert (part & smaller).sum() > 0.9 * smaller.sum()
    assert (part & left & ~right).sum() < 0.1 * left.sum()


@pytest.mark.parametrize("radius", [3, 10, 30])
def test_a_round_cell_has_no_waist(radius: int) -> None:
    with pytest.raises(ConfigError, match="no waist"):
        split_by_shape(_disc(40, 60, radius))


def test_the_cell_that_a_line_lies_in_most() -> None:
    labels = np.where(_disc(40, 30, 15), 4, np.where(_disc(40, 80, 20), 9, 0))
    assert cell_under_line(labels, np.array([[40.0, 20], [40, 100]])) == 9
    assert cell_under_line(labels, np.array([[40.0, 5], [40, 70]])) == 4
    assert cell_under_line(labels, np.array([[2.0, 2], [-9, 400]])) == 0


def test_holes_are_filled_but_for_what_others_have() -> None:
    ring = _disc(40, 60, 20) & ~_disc(40, 60, 10)
    other = _disc(40, 60, 4)
    assert filled(ring, ~ring).sum() == _disc(40, 60, 20).sum()
    assert not (filled(ring, ~ring & ~other) & other).any()


def test_smoothing_keeps_size_and_place_and_takes_off_spikes() -> None:
    rough = _disc(40, 60, 20)
    rough[40, 79:90] = True
    other = ~rough & _disc(40, 100, 25)
    smooth = smoothed(rough, ~rough & ~other)
    assert not smooth[40, 84:].any()
    assert not (smooth & other).any()
    assert abs(int(smooth.sum()) - int(_disc(40, 60, 20).sum())) < 0.03 * rough.sum()
