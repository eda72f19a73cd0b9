"""Reliability bins: they hold every cell once, and their error is that of the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sgcldff_core.evaluation.agreement import calibration_error
from sgcldff_core.evaluation.assessment import MISSED, JudgedCell
from sgcldff_core.evaluation.reliability import plot_reliability, reliability


def _cells(confidence: list[float], right: list[bool]) -> list[JudgedCell]:
    return [
        JudgedCell("monocyte", "monocyte" if r else "basophil", p, {}) for p, r in zip(confidence, right, strict=True)
    ]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60))
@settings(deadline=None, max_examples=40)
def test_every_cell_is_in_one_bin_and_the_error_is_the_known_one(pairs: list[tuple[float, bool]]) -> None:
    confidence, right = map(list, zip(*pairs, strict=True))
    bins = reliability(_cells(confidence, right))
    assert bins.counts.sum() == len(pairs)
    assert bins.error == pytest.approx(calibration_error(confidence, right), abs=1e-12)
    edges = np.arange(16) / 15
    full = bins.counts > 0
    assert (bins.confidence[full] >= edges[:-1][full] - 1e-9).all()
    assert (bins.confidence[full] <= edges[1:][full] + 1e-9).all()


def test_missed_cells_say_nothing_of_confidence() -> None:
    missed = [JudgedCell("monocyte", MISSED, 0.0, {})]
    assert reliability(missed).counts.sum() == 0
    assert np.isnan(reliability(missed).error)
    assert reliability(missed + _cells([0.9], [True])).error == pytest.approx(0.1)


def test_the_diagram_shows_bars_for_full_bins_even_where_a_panel_has_none(tmp_path: Path) -> None:
    target = tmp_path / "reliability.png"
    plot_reliability({"all": reliability(_cells([0.55] * 5 + [0.95] * 5, [False, True, True, True, True] * 2))}, target)
    drawn = np.asarray(Image.open(target).convert("RGB")).reshape(-1, 3)
    plot_reliability({"all": reliability([])}, target)
    empty = np.asarray(Image.open(target).convert("RGB")).reshape(-1, 3)
    blue = np.array([0x00, 0x72, 0xB2])
    assert (drawn == blue).all(1).sum() > 500
    # The legend alone has that colour where there is no cell.
    assert (empty == blue).all(1).sum() < (drawn == blue).all(1).sum() / 2
