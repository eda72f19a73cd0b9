"""Intervals of a count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from sgcldff_core.errors import ConfigError
from sgcldff_core.export.count_intervals import counted, wilson_interval


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_it_is_the_interval_of_wilson(drawn: tuple[int, int]) -> None:
    count, total = drawn
    known = binomtest(count, total).proportion_ci(0.95, method="wilson")
    low, high = wilson_interval(count, total)
    assert low == pytest.approx(known.low, abs=1e-12)
    assert high == pytest.approx(known.high, abs=1e-12)
    assert 0 <= low <= count / total <= high <= 1


def test_nothing_counted_says_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)
    (row,) = counted({}, ["monocyte"])
    assert row.percent is None
    assert (row.low, row.high) == (0, 100)


def test_classes_keep_their_order_and_add_up() -> None:
    rows = counted({"b": 3, "a": 1}, ["a", "c", "b"])
    assert [(row.name, row.count, row.percent) for row in rows] == [("a", 1, 25), ("c", 0, 0), ("b", 3, 75)]


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ConfigError, match="got 4 of 3"):
        wilson_interval(4, 3)
    with pytest.raises(ConfigError, match="cells of class blast, which is not among monocyte"):
        counted({"blast": 1}, ["monocyte"])
