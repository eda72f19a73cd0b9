"""Samples for pre-training: varied, repeatable, and each independent of how many are drawn."""

from __future__ import annotations

import numpy as np
import pytest

from sgcldff_core.errors import ConfigError
from sgcldff_core.smear import SmearSettings, make_samples
from sgcldff_core.smear.samples import varied_settings

SMALL = SmearSettings(height=60, width=60, diameter=30, leukocytes=1)


def test_a_sample_does_not_depend_on_the_count() -> None:
    few, more = list(make_samples(2, 5)), list(make_samples(3, 5))
    assert [s.name for s in more] == ["smear-5-0", "smear-5-1", "smear-5-2"]
    for one, two in zip(few, more, strict=False):
        np.testing.assert_array_equal(one.read_image(), two.read_image())
    assert not np.array_equal(more[0].read_image(), more[1].read_image())


def test_given_settings_hold_for_all() -> None:
    samples = list(make_samples(3, 0, SMALL))
    assert all(s.read_image().shape == (60, 60, 3) for s in samples)
    assert len({s.read_image().tobytes() for s in samples}) == 3
    assert all({"masks", "nuclei", "classes", "boxes"} <= set(s.kinds) for s in samples)


def test_settings_drawn_at_random_are_varied() -> None:
    rng = np.random.default_rng(0)
    drawn = [varied_settings(rng) for _ in range(200)]
    assert {s.centred for s in drawn} == {True, False}
    assert {0, 1, 2} <= {s.leukocytes for s in drawn}
    assert min(s.erythrocytes for s in drawn) == 0
    assert max(s.diameter for s in drawn) > 2.5 * min(s.diameter for s in drawn)
    assert 0.5 < np.mean([s.leukocytes == 1 for s in drawn]) < 0.8
    assert max(s.height * s.width for s in drawn) <= 640 * 480


@pytest.mark.parametrize(("count", "seed"), [(-1, 0), (1, -2)])
def test_negative_numbers_are_refused_at_once(count: int, seed: int) -> None:
    with pytest.raises(ConfigError, match=f"count is {count} and seed is {seed}; both must be 0 or more"):
        make_samples(count, seed)
