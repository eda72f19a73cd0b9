"""Separation: touching cells apart, one lobed cell in one piece, fragments gone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction

from sgcldff_core.errors import ConfigError
from sgcldff_core.inference.instances import InstanceSettings, separate_cells

SHAPE = (160, 200)
DIAMETER = 40.0


def disc(y: float, x: float, radius: float, shape: tuple[int, int] = SHAPE) -> NDArray[np.bool_]:
    yy, xx = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(yy - y, xx - x) < radius


Maps = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def maps(*cells: NDArray[np.bool_]) -> Maps:
    """Maps as the network is taught to draw them: each cell's own distance, 1 where it is deepest."""
    distance = np.zeros(cells[0].shape)
    for cell in cells:
        depth = ndimage.distance_transform_edt(cell)
        distance = np.maximum(distance, depth / depth.max())
    cell = np.any(cells, axis=0).astype(np.float32)
    return cell, (distance > 0.5).astype(np.float32), distance.astype(np.float32)


def test_cells_that_touch_are_parted_where_they_touch() -> None:
    left, right = disc(80, 70, 20), disc(80, 108, 20)
    labels = separate_cells(*maps(left, right & ~left), DIAMETER)
    assert labels.max() == 2
    assert (labels[left & ~right] == 1).mean() > 0.97
    assert (labels[right & ~left] == 2).mean() > 0.97
    assert ((labels > 0) == (left | right)).all()


def test_a_cell_with_a_waist_stays_whole() -> None:
    bean = disc(80, 88, 18) | disc(80, 106, 18) | disc(86, 97, 18)
    assert separate_cells(*maps(bean), DIAMETER).max() == 1


def test_a_ripple_in_the_distance_parts_nothing() -> None:
    cell, nucleus, distance = maps(disc(80, 100, 20))
    ripple = 0.06 * np.sin(np.arange(SHAPE[1]) / 2).astype(np.float32)
    assert separate_cells(cell, nucleus, np.clip(distance + ripple * cell, 0, 1), DIAMETER).max() == 1


def test_holes_are_filled() -> None:
    cell, nucleus, distance = maps(disc(80, 100, 20))
    cell[disc(80, 104, 4)] = 0
    labels = separate_cells(cell, nucleus, distance, DIAMETER)
    assert (labels[disc(80, 100, 20)] == 1).all()


def test_a_cell_without_a_peak_is_found_all_the_same() -> None:
    cell, nucleus, distance = maps(disc(80, 100, 20))
    assert separate_cells(cell, nucleus, 0.05 * distance, DIAMETER).max() == 1
    assert separate_cells(cell, nucleus, np.zeros_like(distance), DIAMETER).max() == 1


def test_what_misses_two_signs_of_a_leukocyte_is_none() -> None:
    cell, nucleus, distance = maps(disc(80, 100, 20))
    none = np.zeros_like(cell)
    for unsure in (0.7 * cell, cell):
        for anucleate in (none, nucleus):
            for shallow in (0.3 * distance, distance):
                missing = (unsure is not cell) + (anucleate is none) + (shallow is not distance)
                assert separate_cells(unsure, anucleate, shallow, DIAMETER).max() == (missing < 2)


def test_a_model_says_what_its_own_cells_have() -> None:
    cell, nucleus, distance = maps(disc(80, 100, 20))
    unsure = (0.7 * cell, nucleus, 0.5 * distance)
    assert separate_cells(*unsure, DIAMETER).max() == 0
    own = InstanceSettings.of_model({"temperature": 2.0, "sure": 0.65, "deep": 0.4})
    assert own == InstanceSettings(sure=0.65, deep=0.4)
    assert separate_cells(*unsure, DIAMETER, own).max() == 1


def test_debris_and_slivers_at_the_border_are_dropped() -> None:
    whole, speck, half, sliver = disc(80, 100, 20), disc(30, 30, 5), disc(0, 150, 18), disc(171, 60, 18)
    labels = separate_cells(*maps(whole, speck, half, sliver), DIAMETER)
    assert labels.max() == 2
    assert not labels[speck].any()
    assert not labels[sliver].any()
    # A pathologist who counts fragments can have them.
    generous = InstanceSettings(smallest=0.0, smallest_at_border=0.0)
    assert separate_cells(*maps(whole, speck, half, sliver), DIAMETER, generous).max() == 4


def test_nothing_is_nothing() -> None:
    empty = np.zeros(SHAPE, np.float32)
    assert not separate_cells(empty, empty, empty, DIAMETER).any()


def test_cells_are_numbered_from_the_top() -> None:
    labels = separate_cells(*maps(disc(130, 40, 20), disc(30, 160, 20), disc(70, 60, 20)), DIAMETER)
    assert [labels[30, 160], labels[70, 60], labels[130, 40]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"threshold": 1.0}, "threshold must be between 0 and 1, got 1.0"),
        ({"saddle": 0.0}, "saddle must be above 0"),
        ({"smallest": -0.1}, "smallest must not be negative"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        InstanceSettings(**settings)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(1, 60))
def test_any_map_gives_connected_cells_inside_the_filled_mask(seed: int, height: int, width: int) -> None:
    """Labels are 1..N without gaps, each in one piece, none outside the mask with its holes filled."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.random((3, height, width)), (0, 2, 2)).astype(np.float32)
    cell, nucleus, distance = np.clip(0.5 + 4 * (noise - 0.5), 0, 1)
    labels = separate_cells(cell, nucleus, distance, 8.0, InstanceSettings(sure=0.5, deep=0.5))
    assert labels.dtype == np.int32
    present = np.unique(labels[labels > 0])
    assert present.tolist() == list(range(1, len(present) + 1))
    assert not labels[~ndimage.binary_fill_holes(cell > 0.5)].any()
    for label in present:
        assert ndimage.label(labels == label)[1] == 1


_ALL = InstanceSettings(smoothing=0, smallest=0, smallest_at_border=0, sure=0, nucleus=0, deep=0)


def test_two_peaks_as_high_as_each_other_without_a_dip_between_are_one_cell() -> None:
    """Level to a ten-thousandth: the maps of a real cell (Zheng 1, 138) had such, and it was parted."""
    distance = np.zeros((30, 60), np.float32)
    distance[5:25, 5:55] = 0.65
    distance[15, 15], distance[15, 45] = 0.70000, 0.69995
    cell = (distance > 0).astype(np.float32)
    assert separate_cells(cell, cell, distance, 20.0, _ALL).max() == 1
    distance[:, 28:32] = np.minimum(distance[:, 28:32], 0.4)  # now there is one
    assert separate_cells(cell, cell, distance, 20.0, _ALL).max() == 2


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.5, 3.0, 5.0]), st.sampled_from([0.05, 0.15, 0.3]))
def test_each_piece_is_parted_into_as_many_cells_as_it_has_summits(seed: int, grain: float, saddle: float) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(48, 64)), grain)
    distance = ((noise - noise.min()) / np.ptp(noise)).astype(np.float32)
    cell = (distance > 0.5).astype(np.float32)
    found = separate_cells(cell, cell, distance, 10.0, replace(_ALL, saddle=saddle))
    pieces, count = ndimage.label(ndimage.binary_fill_holes(cell > 0))
    for piece in range(1, count + 1):
        alone = np.where(pieces == piece, distance, 0)
        drowned = reconstruction(alone - saddle, alone)
        _, summits = ndimage.label(local_maxima(drowned) & (pieces == piece), np.ones((3, 3)))
        assert len(np.unique(found[pieces == piece])) == max(summits, 1)
    assert (found > 0).sum() == (pieces > 0).sum()
