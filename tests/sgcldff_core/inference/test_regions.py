"""Regions of a plane: they cover it, and each cell on a border is found once and whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sgcldff_core.cells import cell_columns
from sgcldff_core.errors import CancelledError, ConfigError
from sgcldff_core.inference import predict_image, predict_plane, predict_regions
from sgcldff_core.inference.plane import estimate_plane_diameter
from sgcldff_core.inference.regions import Box, regions_of
from sgcldff_core.model import Model

SIDE, DIAMETER = 240, 40
SHAPE = (500, 660)
Draw = Callable[..., NDArray[np.uint8]]


def _read(image: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    y0, x0, y1, x1 = box
    return image[y0:y1, x0:x1]


@pytest.fixture(autouse=True)
def _plain_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show the network no prior, which each region would estimate from its own stain."""
    monkeypatch.setattr(
        "sgcldff_core.inference.field.compute_prior", lambda image, name: np.zeros(image.shape[:2], np.float32)
    )


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 900), st.integers(1, 900), st.integers(0, 40), st.integers(1, 200))
def test_cores_cover_every_pixel_once_and_regions_keep_their_margin(
    height: int, width: int, margin: int, extra: int
) -> None:
    """No region is larger than asked for, and each reaches its margin beyond its core or the plane's end."""
    side = 2 * margin + extra
    seen = np.zeros((height, width), np.int32)
    for box, core in regions_of((height, width), side, margin):
        seen[core[0] : core[2], core[1] : core[3]] += 1
        assert box[2] - box[0] <= side
        assert box[3] - box[1] <= side
        assert box == (
            max(0, core[0] - margin),
            max(0, core[1] - margin),
            min(height, core[2] + margin),
            min(width, core[3] + margin),
        )
    assert (seen == 1).all()


def test_a_region_without_a_core_is_refused() -> None:
    with pytest.raises(ConfigError, match="a region of 80 px has no core between margins of 40 px"):
        regions_of((500, 500), 80, 40)


def _on_borders_and_corners() -> list[tuple[float, float, float]]:
    """Return a cell on each corner of four cores, one on each border between two, and some elsewhere."""
    cores = [core for _, core in regions_of(SHAPE, SIDE, DIAMETER)]
    rows = sorted({core[0] for core in cores} | {SHAPE[0]})
    columns = sorted({core[1] for core in cores} | {SHAPE[1]})
    assert len(rows) > 3
    assert len(columns) > 4
    corners = [(float(y), float(x), 20.0) for y in rows for x in columns]
    sides = [((a + b) / 2, float(x), 18.0) for a, b in pairwise(rows) for x in columns]
    sides += [(float(y), (a + b) / 2, 19.0) for a, b in pairwise(columns) for y in rows]
    middles = [((a + b) / 2, (c + d) / 2, 21.0) for a, b in pairwise(rows) for c, d in pairwise(columns)]
    return [*corners, *sides, *middles]


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, -0.5), (6.0, 7.0), (-9.0, 9.5), (11.0, -3.0)])
def test_cells_on_every_border_and_corner_are_those_of_one_piece(
    stain_reader: Model, draw: Draw, shift: tuple[float, float]
) -> None:
    discs = [(y + shift[0], x + shift[1], radius) for y, x, radius in _on_borders_and_corners()]
    image = draw(SHAPE, *discs)
    whole = predict_image(image, stain_reader, name="slide", diameter=DIAMETER, explain=True)
    parts = predict_plane(
        partial(_read, image), SHAPE, stain_reader, name="slide", diameter=DIAMETER, explain=True, side=SIDE
    )
    assert len(parts.cells) == len(whole.cells)
    np.testing.assert_array_equal(np.unique(parts.labels), np.arange(len(whole.cells) + 1))
    np.testing.assert_array_equal(parts.cells["label"], np.arange(1, len(whole.cells) + 1))
    # The same cells by another numbering: a label here is one label there, and the other way round.
    np.testing.assert_array_equal(parts.labels > 0, whole.labels > 0)
    pairs = np.unique(np.stack([parts.labels.ravel(), whole.labels.ravel()]), axis=1)
    assert pairs.shape[1] == len(whole.cells) + 1
    there = dict(pairs.T.tolist())
    other = whole.cells.set_index("label").loc[[there[label] for label in parts.cells["label"]]]
    exact = [c for c in cell_columns([]) if c.startswith(("bbox", "area", "image", "class", "nucleus_area"))]
    for column in exact:
        np.testing.assert_array_equal(parts.cells[column], other[column], err_msg=column)
    for column in ("centroid_y", "centroid_x", "solidity"):
        np.testing.assert_allclose(parts.cells[column], other[column], rtol=1e-6, err_msg=column)
    # The network's coarse map begins at another pixel in each region.
    np.testing.assert_allclose(parts.cells["confidence"], other["confidence"], atol=0.02)
    assert len(parts.stability) == len(parts.cells)
    np.testing.assert_array_equal(parts.nucleus, whole.nucleus)
    assert parts.gradcam is not None
    assert parts.gradcam.shape == SHAPE


@pytest.mark.parametrize("away", [-3, 3], ids=["each in its own core", "each in the other's core"])
def test_a_cell_that_two_regions_place_on_either_side_of_their_border_is_taken_once(
    stain_reader: Model, draw: Draw, monkeypatch: pytest.MonkeyPatch, away: int
) -> None:
    cores = [core for _, core in regions_of((200, 500), SIDE, DIAMETER)]
    image = draw((200, 500), (100, cores[0][3], 20))
    shifts = iter([away, *[-away] * (len(cores) - 1)])

    def displaced(*args: Any, **kwargs: Any) -> Any:
        found = predict_image(*args, **kwargs)
        found.cells["centroid_x"] += next(shifts)
        return found

    monkeypatch.setattr("sgcldff_core.inference.regions.predict_image", displaced)
    found = predict_plane(partial(_read, image), (200, 500), stain_reader, diameter=DIAMETER, side=SIDE)
    assert len(found.cells) == 1
    assert found.cells["area_px"].iloc[0] == (found.labels == 1).sum()


def test_no_more_than_a_region_is_read_at_a_time_and_it_may_be_stopped(stain_reader: Model, draw: Draw) -> None:
    image = draw(SHAPE, (100, 100, 20))
    sizes = []

    def read(box: Box) -> NDArray[np.uint8]:
        sizes.append(max(box[2] - box[0], box[3] - box[1]))
        return _read(image, box)

    said: list[tuple[str, int, int]] = []

    def stop(title: str, done: int, total: int) -> None:
        said.append((title, done, total))
        if done == 2:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        list(predict_regions(read, SHAPE, stain_reader, DIAMETER, side=SIDE, progress=stop))
    assert len(sizes) == 2
    assert max(sizes) <= SIDE
    assert {total for _, _, total in said} == {len(regions_of(SHAPE, SIDE, DIAMETER))}
    assert [done for _, done, _ in said] == sorted(done for _, done, _ in said)


def test_an_empty_plane_has_an_empty_table(stain_reader: Model, draw: Draw) -> None:
    image = draw(SHAPE)
    found = predict_plane(partial(_read, image), SHAPE, stain_reader, diameter=DIAMETER, side=SIDE)
    assert list(found.cells.columns) == cell_columns(stain_reader.config.classes)
    assert len(found.cells) == 0
    assert not found.labels.any()


def test_a_small_plane_is_looked_at_in_one_piece(stain_reader: Model, draw: Draw) -> None:
    image = draw((200, 300), (60, 70, 20), (120, 200, 20))
    here = predict_plane(partial(_read, image), (200, 300), stain_reader)
    there = predict_image(image, stain_reader)
    np.testing.assert_array_equal(here.labels, there.labels)
    assert here.diameter == there.diameter


def test_the_diameter_of_a_plane_is_that_of_the_cells_at_some_places(
    stain_reader: Model, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sgcldff_core.inference.plane.REGION", 200)
    image = draw(SHAPE, *[(y, x, 20) for y in range(50, 500, 90) for x in range(50, 660, 90)])
    read = partial(_read, image)
    assert estimate_plane_diameter(read, SHAPE, stain_reader) == pytest.approx(DIAMETER, rel=0.25)
    found = predict_plane(read, SHAPE, stain_reader, side=SIDE)
    assert found.diameter == pytest.approx(DIAMETER, rel=0.25)
