"""Bootstrap intervals: the same figures as `summarise`, honest widths, and pairs that stay pairs."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.assessment import MISSED, ImageAssessment, JudgedCell, summarise
from sgcldff_core.evaluation.intervals import bootstrap_interval, class_intervals, paired_difference

share = st.floats(0, 1)
named = st.sampled_from(("basophil", "eosinophil", "monocyte"))
cell = st.builds(
    lambda true, found, p: JudgedCell(true, found, 0.0 if found == MISSED else p, {}),
    named,
    st.sampled_from(("basophil", "eosinophil", "monocyte", "lymphocyte", MISSED)),
    share,
)
image = st.builds(
    ImageAssessment,
    name=st.just("image"),
    source=st.just("made"),
    iou=st.none() | share,
    cell_iou=st.none() | share,
    nucleus_iou=st.none() | share,
    disc_iou=st.none() | share,
    cells=st.none() | st.integers(0, 3),
    cells_found=st.integers(0, 3),
    # A picture in whose boxes there is nothing to find or miss has no F1.
    boxes=st.none() | st.tuples(st.integers(1, 3), st.integers(0, 3), st.integers(0, 3)),
    classes=st.lists(cell, max_size=3).map(tuple),
    diameter=st.just(40.0),
)
several = st.lists(image, min_size=1, max_size=8).map(
    lambda images: [replace(i, name=f"image{n}") for n, i in enumerate(images)]
)


def _many(count: int, iou: float, seed: int = 0) -> list[ImageAssessment]:
    rng = np.random.default_rng(seed)
    names = ("basophil", "eosinophil", "monocyte", "lymphocyte", "neutrophil")
    images = []
    for n in range(count):
        true, found = rng.choice(names), rng.choice(names)
        judged = JudgedCell(str(true), str(true if rng.random() < 0.8 else found), float(rng.random()), {})
        value = float(np.clip(rng.normal(iou, 0.1), 0, 1))
        images.append(ImageAssessment(f"image{n}", "made", value, value, None, 0.5, 1, 1, (1, 0, 0), (judged,), 40.0))
    return images


@given(images=several)
@settings(deadline=None, max_examples=25)
def test_values_are_those_of_summarise(images: list[ImageAssessment]) -> None:
    intervals = bootstrap_interval(images, draws=5)
    assert {name: i.value for name, i in intervals.items()} == pytest.approx(summarise(images).figures, abs=1e-12)


@given(images=several, seed=st.integers(0, 9))
@settings(deadline=None, max_examples=10)
def test_every_draw_is_that_of_summarise(images: list[ImageAssessment], seed: int) -> None:
    fast = bootstrap_interval(images, draws=7, seed=seed)
    slow = bootstrap_interval(images, lambda drawn: summarise(drawn).figures, draws=7, seed=seed)
    assert fast.keys() == slow.keys()
    for name, interval in fast.items():
        wanted = slow[name]
        got = (interval.value, interval.low, interval.high)
        assert got == pytest.approx((wanted.value, wanted.low, wanted.high), abs=1e-12, nan_ok=True)


@given(images=several)
@settings(deadline=None, max_examples=15)
def test_class_values_are_those_of_scikit_learn(images: list[ImageAssessment]) -> None:
    cells = [c for i in images for c in i.classes]
    intervals = class_intervals(images, draws=2)
    assert list(intervals) == sorted({c.true for c in cells})
    if cells:
        true, found = [c.true for c in cells], [c.found for c in cells]
        wanted = precision_recall_fscore_support(true, found, labels=list(intervals), zero_division=0)
        for column, name in enumerate(("precision", "recall", "f1")):
            assert [i[name].value for i in intervals.values()] == pytest.approx(list(wanted[column]))


def test_the_interval_is_that_of_the_normal_law_for_a_mean() -> None:
    images = _many(400, 0.5)
    interval = bootstrap_interval(images)["iou"]
    error = float(np.std([i.iou for i in images])) / 20
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert interval.low < interval.value < interval.high
    narrow = bootstrap_interval(images, level=0.5)["iou"]
    assert narrow.high - narrow.low == pytest.approx(2 * 0.674 * error, rel=0.1)


def test_a_thousand_draws_of_a_whole_data_set_take_no_time() -> None:
    images = _many(600, 0.9)
    start = time.perf_counter()
    bootstrap_interval(images, draws=1000)
    assert time.perf_counter() - start < 2


def test_a_small_gain_on_every_image_is_sure_though_images_differ() -> None:
    better = _many(60, 0.6)
    worse = [replace(i, iou=(i.iou or 0) - 0.01) for i in reversed(better)]
    gain = paired_difference(better, worse)["iou"]
    assert gain.value == pytest.approx(0.01)
    assert gain.low == pytest.approx(0.01)
    assert gain.p < 0.01
    loss = paired_difference(worse, better)["iou"]
    assert loss.value == pytest.approx(-0.01)
    assert loss.p == gain.p


def test_chance_is_not_significant_and_no_difference_has_p_one() -> None:
    images = _many(60, 0.6)
    rng = np.random.default_rng(4)
    noise = rng.normal(0, 0.02, 60)
    noise -= noise.mean()
    jittered = [replace(i, iou=(i.iou or 0) + e) for i, e in zip(images, noise, strict=True)]
    assert paired_difference(images, jittered)["iou"].p > 0.5
    assert paired_difference(images, images)["iou"].p == 1


def test_runs_are_averaged() -> None:
    one, two = _many(30, 0.4, seed=1), _many(30, 0.8, seed=2)
    mean = (summarise(one).figures["iou"] + summarise(two).figures["iou"]) / 2
    assert bootstrap_interval([one, two])["iou"].value == pytest.approx(mean)
    assert class_intervals([one, one]) == class_intervals(one)
    difference = paired_difference([one, two], two)["iou"]
    assert difference.value == pytest.approx(mean - summarise(two).figures["iou"])


def test_what_cannot_be_compared_is_refused() -> None:
    images = _many(4, 0.5)
    with pytest.raises(ConfigError, match="1 are not in all, such as image3"):
        paired_difference(images, images[:3])
    with pytest.raises(ConfigError, match="image0 twice"):
        bootstrap_interval([*images, images[0]])
    with pytest.raises(ConfigError, match="no image"):
        bootstrap_interval([])
    with pytest.raises(ConfigError, match=r"level is 95; it is between 0 and 1"):
        bootstrap_interval(images, level=95)
    with pytest.raises(ConfigError, match="at least 1"):
        bootstrap_interval(images, draws=0)
