"""What drawn smears tell of themselves: they are known, and what is no smear is not."""

from __future__ import annotations

import numpy as np
import pytest

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.degrading import HARD, MILD, blurred
from sgcldff_core.sample import Sample
from sgcldff_core.smear import SmearSettings, make_smear
from sgcldff_core.training.known import Seen, field_parts, fit_known_smears, fit_known_stains, measure

SETTINGS = SmearSettings(height=160, width=200, diameter=50, leukocytes=2, stain="wright", cut=0, touching=0)


def drawn(count: int, first: int = 0) -> list[Sample]:
    return [make_smear(first + seed, SETTINGS).to_sample(f"s{seed}") for seed in range(count)]


@pytest.fixture(scope="module")
def seen() -> Seen:
    return measure(drawn(24))


def test_other_smears_of_the_kind_are_known_and_noise_is_not(seen: Seen) -> None:
    known, unseen = fit_known_smears(seen), measure(drawn(6, first=100))
    (looks,) = unseen.looks.values()
    assert np.median([known.distance_of_look(look) for look in looks]) < 0.8
    rng = np.random.default_rng(0)
    assert known.distance(rng.integers(0, 256, (160, 200, 3), np.uint8), 50) > 1.2
    assert known.distance(np.full((160, 200, 3), 235, np.uint8), 50) > 1.2
    assert known.distance(blurred(drawn(1, first=100)[0].read_image(), 12), 50) > 1


def test_other_colours_are_far(seen: Seen) -> None:
    known = fit_known_stains(seen)
    unseen = measure(drawn(6, first=100))
    (colours,) = unseen.colours.values()
    inside = known.distance(np.array(colours))
    assert np.median(inside) < 0.8
    green = np.array(colours)[:, [1, 0, 2, 4, 3, 5, 7, 6, 8]]  # as if red and green had been exchanged
    assert known.distance(green).min() > inside.max()


def test_a_part_without_leukocytes_is_a_smear_too() -> None:
    (sample,) = drawn(1)
    whole, *rest = field_parts(sample)
    assert whole[2]
    assert whole[0].shape == (160, 200, 3)
    labels = sample.read_labels()
    assert labels is not None
    for part, diameter, is_whole in rest:
        assert not is_whole
        assert part.shape == (80, 100, 3)
        assert diameter == whole[1]


def test_too_little_is_refused() -> None:
    with pytest.raises(ConfigError, match="no stain"):
        fit_known_stains(Seen())
    with pytest.raises(ConfigError, match="no look"):
        fit_known_smears(Seen())


def test_degraded_images_are_worse_and_the_same_each_time() -> None:
    image = drawn(1)[0].read_image()
    for worsen in (MILD, HARD):
        done = [worsen.apply(image, 50, f"key {k}") for k in range(6)]
        assert all(x.shape == image.shape and x.dtype == np.uint8 for x in done)
        assert all(np.array_equal(x, worsen.apply(image, 50, f"key {k}")) for k, x in enumerate(done))
        assert len({x.tobytes() for x in [image, *done]}) == 7
