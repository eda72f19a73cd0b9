"""Splits: groups stay whole, published splits are kept, the test split is never touched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgcldff_core.errors import ConfigError
from sgcldff_core.sample import Box, Raster, Sample
from sgcldff_core.training import split_samples, without_copies

PIXELS = Raster.of(np.zeros((4, 4, 3), np.uint8))


def _sample(name: str, **known) -> Sample:
    return Sample(**({"name": name, "image": PIXELS, "source": "a", "group": name} | known))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from("ab"), st.sampled_from(["x", "y", None])), min_size=2))
def test_no_group_is_on_both_sides_and_nothing_is_lost(drawn) -> None:
    samples = [
        _sample(str(i), group=f"{source}{group}", source=source, image_class=name)
        for i, (group, source, name) in enumerate(drawn)
    ]
    if len({s.group for s in samples}) < 2:
        with pytest.raises(ConfigError, match="fewer than two images"):
            split_samples(samples, 0.2, 0)
        return
    training, validation = split_samples(samples, 0.2, 0)
    assert training
    assert validation
    assert not {s.group for s in training} & {s.group for s in validation}
    assert sorted(s.name for s in [*training, *validation]) == sorted(s.name for s in samples)


@pytest.mark.parametrize("count", [2, 3, 5, 9, 20])
def test_a_handful_of_images_still_has_something_held_out(count: int) -> None:
    """A split of int(0.1 n) is empty under ten images: that is how peers lose their validation."""
    training, validation = split_samples([_sample(str(i)) for i in range(count)], 0.1, 0)
    assert validation
    assert len(training) >= len(validation)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.4, 0.7, 0.9])
def test_the_share_held_out_is_about_the_one_asked_for(share: float) -> None:
    _, validation = split_samples([_sample(str(i)) for i in range(100)], share, 0)
    assert len(validation) == pytest.approx(100 * share, abs=3)


def test_published_splits_are_kept() -> None:
    samples = [_sample(f"v{i}", split="val") for i in range(3)] + [_sample(f"t{i}", split="train") for i in range(9)]
    samples += [_sample("secret", split="test")]
    training, validation = split_samples(samples, 0.5, 0)
    assert {s.name for s in validation} == {"v0", "v1", "v2"}
    assert "secret" not in {s.name for s in training}


def test_every_class_that_can_be_is_on_both_sides() -> None:
    samples = [_sample(f"{c}{i}", image_class=c) for c in "xyz" for i in range(10)]
    training, validation = split_samples(samples, 0.2, 3)
    assert {s.image_class for s in training} == {s.image_class for s in validation} == set("xyz")


def test_crops_of_a_field_with_masks_are_copies() -> None:
    field = _sample("field", labels=PIXELS, group="f")
    crop = _sample("crop", group="f", image_class="x")
    lone = _sample("lone", group="g", image_class="x")
    boxed = _sample("boxed", group="f", boxes=(Box(0, 0, 1, 1),))
    assert without_copies([field, crop, lone, boxed]) == [field, lone, boxed]


def test_to_learn_from_everything_holds_out_nothing_but_published_tests() -> None:
    samples = [_sample("a", split="val"), _sample("b"), _sample("c", split="test")]
    assert split_samples(samples, 0, 0) == (samples[:2], [])
