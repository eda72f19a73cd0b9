"""The minimum barrier distance against its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from sgcldff_core.saliency import compute_prior
from sgcldff_core.saliency.barrier import barrier_distance


def by_definition(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Find the narrowest band of values in which a pixel is connected to the border."""
    best = np.full(values.shape, np.inf)
    levels = np.unique(values)
    for low in levels:
        for high in levels[levels >= low]:
            regions, _ = ndimage.label((values >= low) & (values <= high))
            rim = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
            reached = np.isin(regions, rim[rim > 0])
            best[reached] = np.minimum(best[reached], high - low)
    return best


@pytest.mark.parametrize("seed", range(4))
def test_it_is_never_below_the_definition_and_seldom_above(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=(14, 17))
    values = np.round(ndimage.gaussian_filter(noise, 1.5) * 20).astype(np.float32)
    exact = by_definition(values)
    found = barrier_distance(values[..., np.newaxis])
    assert (found >= exact).all()
    assert (found == exact).mean() > 0.75
    assert (found - exact).mean() < 0.1 * exact.max()


def test_a_ring_shields_what_it_encloses() -> None:
    values = np.zeros((9, 9, 1), np.float32)
    values[2:7, 2:7] = 5
    values[3:6, 3:6] = 1
    expected = np.zeros((9, 9))
    expected[2:7, 2:7] = 5
    np.testing.assert_array_equal(barrier_distance(values), expected)


def test_a_gap_in_the_ring_lets_the_border_in() -> None:
    values = np.zeros((9, 9, 1), np.float32)
    values[2:7, 2:7] = 5
    values[3:6, 3:6] = 1
    values[2, 4] = 2
    distance = barrier_distance(values)
    assert (distance[3:6, 3:6] == 2).all()
    assert distance[2, 2] == 5


def test_channels_add_up() -> None:
    values = np.zeros((5, 5, 2), np.float32)
    values[2, 2] = 3, 4
    assert barrier_distance(values)[2, 2] == 7


def test_what_the_border_cuts_is_not_salient_but_an_island_is() -> None:
    image = np.full((60, 60, 3), 240, np.uint8)
    image[20:40, 0:20] = 120, 40, 140
    image[20:40, 35:50] = 120, 40, 140
    prior = compute_prior(image, "barrier")
    assert prior[30, 5] < 0.01
    assert prior[30, 42] > 0.5
    assert prior[5, 30] < 0.01
