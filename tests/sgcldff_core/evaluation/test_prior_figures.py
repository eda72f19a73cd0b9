"""Figures of priors against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.prior_figures import (
    centred_gaussian,
    judged_pixels,
    off_centre_window,
    summarise_tallies,
    tally_prior,
)
from sgcldff_core.sample import Box, Raster, Sample

MASK = np.array([[True, True, False, False]])


def test_a_perfect_prior() -> None:
    figures = summarise_tallies([tally_prior(MASK.astype(np.float32), MASK)])
    assert figures.auc == 1
    assert figures.iou == 1
    assert figures.energy == pytest.approx(1, abs=1e-3)
    assert figures.foreground == 0.5


def test_a_constant_prior_knows_nothing() -> None:
    figures = summarise_tallies([tally_prior(np.full((1, 4), 0.7, np.float32), MASK)])
    assert figures.auc == 0.5
    assert figures.iou == 0.5
    assert figures.energy == pytest.approx(0.5)


def test_auc_iou_and_energy_by_hand() -> None:
    # Pairs inside > outside: 0.9 beats 0.6 and 0.1; 0.5 loses to 0.6 and beats 0.1: 3 of 4.
    prior = np.array([[0.9, 0.5, 0.6, 0.1]], np.float32)
    figures = summarise_tallies([tally_prior(prior, MASK)])
    assert figures.auc == pytest.approx(0.75)
    assert figures.iou == pytest.approx(2 / 3)  # above 0.1: three taken, two of them right
    assert 0.1 < figures.threshold <= 0.5
    assert figures.energy == pytest.approx(1.4 / 2.1, abs=1e-3)


def test_one_threshold_serves_all_images() -> None:
    bright, dim = (np.where(MASK, high, low).astype(np.float32) for high, low in ((0.9, 0.6), (0.4, 0.1)))
    alone = summarise_tallies([tally_prior(bright, MASK)])
    both = summarise_tallies([tally_prior(bright, MASK), tally_prior(dim, MASK)])
    assert alone.iou == 1
    assert both.auc == 1
    assert both.iou == pytest.approx((1 + 0.5) / 2)
    assert both.images == 2


def test_auc_agrees_with_sklearn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    prior = rng.integers(0, 40, (30, 30)).astype(np.float32) / 64
    mask = rng.random((30, 30)) < prior
    expected = metrics.roc_auc_score(mask.ravel(), prior.ravel())
    assert summarise_tallies([tally_prior(prior, mask)]).auc == pytest.approx(expected)


def test_pixels_that_are_not_judged_do_not_count() -> None:
    prior = np.array([[0.9, 0.5, 0.6, 0.1]], np.float32)
    judged = np.array([[True, True, False, True]])
    assert summarise_tallies([tally_prior(prior, MASK, judged)]).auc == 1


@pytest.mark.parametrize("mask", [np.ones((1, 4), bool), np.zeros((1, 4), bool)])
def test_one_sided_truth_is_refused(mask: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="some pixels are leukocyte and some are not"):
        tally_prior(np.zeros((1, 4), np.float32), mask)


def test_shapes_must_agree_and_images_be_there() -> None:
    with pytest.raises(ConfigError, match=r"prior \(2, 2\), mask \(1, 4\)"):
        tally_prior(np.zeros((2, 2), np.float32), MASK)
    with pytest.raises(ConfigError, match="no image"):
        summarise_tallies([])


def test_a_boxed_cell_without_an_outline_is_not_judged() -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:8, 2:8] = True
    sample = Sample(
        name="field",
        image=Raster.of(np.zeros((20, 20, 3), np.uint8)),
        source="bccd",
        group="field",
        boxes=(Box(1, 1, 9, 9), Box(12, 12, 25, 18, "lymphocyte"), Box(12, 0, 18, 6, "erythrocyte")),
    )
    expected = np.ones((20, 20), bool)
    expected[12:, 12:18] = False
    np.testing.assert_array_equal(judged_pixels(sample, mask), expected)


def test_the_baseline_is_highest_in_the_middle_and_symmetric() -> None:
    prior = centred_gaussian((21, 31))
    assert prior.argmax() == 10 * 31 + 15
    np.testing.assert_allclose(prior, prior[::-1, ::-1], rtol=1e-6)


@pytest.mark.parametrize("name", ["a", "b", "c", "d", "e"])
def test_the_window_keeps_the_cell_far_from_its_middle(name: str) -> None:
    mask = np.zeros((120, 120), bool)
    mask[40:80, 45:85] = True
    window = off_centre_window(mask, name)
    assert window == off_centre_window(mask, name)
    cut = mask[window]
    rows, columns = np.nonzero(cut)
    assert len(rows) > 400
    for size, middle in zip(cut.shape, (rows.mean(), columns.mean()), strict=True):
        assert abs(middle / size - 0.5) > 0.15
