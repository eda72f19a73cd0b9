"""Views and targets: pixels and annotation move together, and what is unknown stays so."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sgcldff_core.losses import UNKNOWN
from sgcldff_core.training import AugmentationConfig, PreparedSample
from sgcldff_core.training.pasting import paste_cell
from sgcldff_core.training.prepared import MARGIN
from sgcldff_core.training.staining import colour_statistics, jitter_colours, take_on_colours
from sgcldff_core.training.targets import make_targets
from sgcldff_core.training.views import FILL, Placement, draw_placement, render_view

STILL = {"zoom": 1.0, "angle": 0.0, "mirror": False}


def _sample(**changes) -> PreparedSample:
    """One cell, brighter red than its surroundings, as labels 3 of an image of 60 x 80 px."""
    labels = np.zeros((60, 80), np.int32)
    labels[20:40, 30:60] = 3
    image = np.full((60, 80, 3), 60, np.uint8)
    image[labels == 3] = (220, 30, 30)
    blank = PreparedSample(
        name="one",
        source="made",
        group="one",
        image=image,
        prior=np.where(labels > 0, 255, 0).astype(np.uint8),
        labels=labels,
        nucleus=labels > 0,
        class_of_label={3: 2},
        boxed=False,
        boxes=np.zeros((0, 4), np.float32),
        box_classes=np.zeros(0, np.int64),
        points=np.zeros((0, 2), np.float32),
        point_classes=np.zeros(0, np.int64),
        image_class=UNKNOWN,
    )
    return replace(blank, **changes)


def test_an_upright_view_is_a_crop() -> None:
    sample = _sample()
    view = render_view(sample, Placement((32, 40), **STILL), 32)
    assert np.array_equal(view.labels.numpy(), sample.labels[16:48, 24:56])
    assert np.allclose(view.image.permute(1, 2, 0).numpy() * 255, sample.image[16:48, 24:56], atol=0.01)


def test_outside_the_image_the_view_has_the_colour_that_normalises_to_zero() -> None:
    view = render_view(_sample(), Placement((0, 0), **STILL), 32)
    assert not view.inside[:16].any()
    assert view.inside[16:, 16:].all()
    assert torch.allclose(view.image[:, 0, 0], torch.tensor(FILL), atol=1e-3)
    assert (view.prior[0, :15] == 0).all()


@settings(deadline=None, max_examples=25)
@given(st.floats(0.6, 1.6), st.floats(-math.pi, math.pi), st.booleans(), st.integers(0, 60), st.integers(0, 80))
def test_labels_and_pixels_move_together(zoom: float, angle: float, mirror: bool, y: int, x: int) -> None:
    """Whatever the transform, the red pixels are the labelled ones, but for a rim of interpolation."""
    view = render_view(_sample(), Placement((y, x), zoom, angle, mirror), 64)
    red = (view.image[0] > 0.55) & view.inside
    cell = (view.labels == 3) & view.inside
    assert (red ^ cell).sum() <= 0.05 * cell.sum() + 60
    assert torch.equal(view.nucleus, view.labels == 3)


@settings(deadline=None, max_examples=25)
@given(st.floats(0.6, 1.6), st.floats(-math.pi, math.pi), st.booleans())
def test_points_move_with_the_pixels(zoom: float, angle: float, mirror: bool) -> None:
    sample = _sample(points=np.array([[30.0, 45.0]], np.float32), point_classes=np.array([1]))
    view = render_view(sample, Placement((32, 42), zoom, angle, mirror), 96)
    (y, x) = view.points[0]
    assert view.labels[int(y), int(x)] == 3


def test_boxes_stay_boxes_under_quarter_turns() -> None:
    sample = _sample(boxes=np.array([[20, 30, 40, 60]], np.float32), box_classes=np.array([2]))
    view = render_view(sample, Placement((30, 45), 1.0, math.pi / 2, False), 64)
    rows, columns = np.nonzero(view.labels.numpy())
    assert view.boxes[0] == pytest.approx([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1])


def test_a_cell_that_is_mostly_cut_off_has_no_class() -> None:
    sample = _sample()
    assert render_view(sample, Placement((30, 45), **STILL), 64).class_of_label == {3: 2}
    assert render_view(sample, Placement((30, 3), **STILL), 64).class_of_label == {}


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 1000))
def test_most_of_a_view_lies_in_a_large_image(seed: int) -> None:
    sample = _sample(
        image=np.zeros((300, 300, 3), np.uint8),
        prior=np.zeros((300, 300), np.uint8),
        labels=np.pad(_sample().labels, ((0, 240), (0, 220))),
        nucleus=None,
    )
    placement = draw_placement(sample, np.random.default_rng(seed), 64, AugmentationConfig())
    assert render_view(sample, placement, 64).inside.float().mean() > 0.4
    assert 0.7 <= placement.zoom * MARGIN <= 1.4


def _targets_of(view):
    return make_targets([view], [1.0] * 5, 24.0)


def test_targets_of_a_mask() -> None:
    targets = _targets_of(render_view(_sample(), Placement((30, 45), **STILL), 64))
    assert targets.class_of_cell.tolist() == [2]
    assert targets.masked.tolist() == [True]
    assert targets.cell.sum() == 600
    assert targets.pool_cell.sum() * 16 == pytest.approx(600)
    assert targets.distance.max() == 1
    assert (targets.distance > 0).float().equal(targets.cell)


def test_inside_a_box_without_a_mask_nothing_is_known_and_outside_it_is_background() -> None:
    sample = _sample(
        labels=None,
        nucleus=None,
        class_of_label={},
        boxed=True,
        boxes=np.array([[20, 30, 40, 60]], np.float32),
        box_classes=np.array([4]),
    )
    view = render_view(sample, Placement((30, 45), **STILL), 64)
    targets = _targets_of(view)
    inside = torch.zeros(64, 64, dtype=torch.bool)
    inside[22:42, 17:47] = True
    assert (targets.cell_weight[0, 0][inside] == 0).all()
    assert (targets.cell_weight[0, 0][~inside & view.inside] > 0).all()
    assert targets.cell.sum() == 0
    assert targets.class_of_cell.tolist() == [4]
    assert targets.nucleus_weight.sum() == 0


def test_a_point_marks_a_little_cell_and_leaves_its_surroundings_open() -> None:
    sample = _sample(
        labels=None,
        nucleus=None,
        class_of_label={},
        points=np.array([[30, 45]], np.float32),
        point_classes=np.array([0]),
    )
    targets = _targets_of(render_view(sample, Placement((30, 45), **STILL), 64))
    assert targets.cell[0, 0, 32, 32] == 1
    assert targets.cell_weight[0, 0, 32, 32] > 0
    assert targets.cell_weight[0, 0, 32, 32 + 12] == 0
    assert targets.cell_weight[0, 0, 60, 5] > 0
    assert targets.cell[0, 0, 60, 5] == 0


def test_an_image_class_alone_is_pooled_by_the_prior() -> None:
    sample = _sample(labels=None, nucleus=None, class_of_label={}, image_class=1)
    targets = _targets_of(render_view(sample, Placement((30, 45), **STILL), 64))
    assert targets.class_of_cell.tolist() == [1]
    assert targets.cell_weight.sum() == 0
    assert targets.pool_cell.sum() * 16 == pytest.approx(600, rel=0.02)


def test_small_cells_weigh_more() -> None:
    """A cell of a quarter of the area weighs twice as much a pixel, within limits."""
    labels = np.zeros((60, 80), np.int32)
    labels[10:30, 10:30], labels[40:50, 40:50] = 1, 2
    view = render_view(_sample(labels=labels, class_of_label={}), Placement((32, 32), **STILL), 64)
    weight = _targets_of(view).cell_weight[0, 0]
    assert weight[view.labels == 2].mean() == pytest.approx(2 * weight[view.labels == 1].mean().item(), rel=0.06)


def test_a_pasted_cell_brings_its_label_nucleus_and_class() -> None:
    host = render_view(_sample(class_of_label={3: 0}), Placement((32, 40), **STILL), 64)
    donor = replace(render_view(_sample(), Placement((60, 45), **STILL), 64), class_of_label={3: 2})
    pasted = paste_cell(host, donor, 3, np.random.default_rng(0))
    new = pasted.labels == 4
    assert new.sum() > 300
    assert pasted.class_of_label[4] == 2
    assert (pasted.image[0][new] > 0.5).float().mean() > 0.9
    assert pasted.nucleus[new].all()


def test_a_cell_whose_nucleus_nobody_drew_is_not_pasted_among_nuclei() -> None:
    host = render_view(_sample(), Placement((32, 40), **STILL), 64)
    donor = render_view(_sample(nucleus=None), Placement((60, 45), **STILL), 64)
    assert paste_cell(host, donor, 3, np.random.default_rng(0)) is host


def test_a_view_in_which_somebody_looked_and_found_nothing_is_background() -> None:
    empty = _sample(labels=None, nucleus=None, class_of_label={})
    for boxed in (True, False):
        view = render_view(replace(empty, boxed=boxed), Placement((30, 45), **STILL), 64)
        targets = _targets_of(view)
        assert bool(targets.cell_weight.sum() > 0) == boxed
        assert targets.cell.sum() == 0


def test_without_a_mask_the_network_should_look_where_the_prior_says() -> None:
    view = render_view(_sample(labels=None, nucleus=None, class_of_label={}), Placement((30, 45), **STILL), 64)
    targets = _targets_of(view)
    assert torch.equal(targets.attention[0], view.prior)
    assert not targets.outlined.any()


def test_a_cell_is_not_pasted_over_another() -> None:
    view = render_view(_sample(), Placement((30, 45), **STILL), 64)
    assert paste_cell(view, view, 3, np.random.default_rng(0)) is view


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10_000))
def test_colour_jitter_stays_an_image(seed: int) -> None:
    image = torch.rand(3, 16, 16)
    changed = jitter_colours(image, np.random.default_rng(seed), AugmentationConfig())
    assert changed.shape == image.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert not torch.equal(changed, image)


def test_taking_on_its_own_colours_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(20, 250, (16, 16, 3)).astype(np.uint8)
    tensor = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    assert torch.allclose(take_on_colours(tensor, colour_statistics(image)), tensor, atol=1e-4)
