"""Which part of an image belongs to which cell, and where results of it lie."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_sgcldff import cell_pictures
from napari_sgcldff.cell_pictures import CellPicture
from sgcldff_core.errors import ConfigError


@pytest.fixture
def pixels() -> Any:
    return np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)


def _labels(*boxes: tuple[int, int, int, int], shape: tuple[int, int] = (90, 120)) -> Any:
    labels = np.zeros(shape, np.int32)
    for n, (y0, x0, y1, x1) in enumerate(boxes, 1):
        labels[y0:y1, x0:x1] = n
    return labels


def test_labels_of_a_part_are_laid_on_that_part(pixels: Any) -> None:
    """Labels of a region that was segmented alone, moved by 20 rows and 30 columns, on a scaled image."""
    image = Image(pixels, scale=(0.5, 0.5), translate=(7, 8))
    cells = Labels(_labels((5, 6, 15, 16), shape=(40, 50)), scale=(0.5, 0.5), translate=(17, 23))
    picture = CellPicture.of(cells, image, (0, 0), 1)
    read, labels, corner = picture.read(1)
    np.testing.assert_array_equal(read, pixels[20:60, 30:80])
    np.testing.assert_array_equal(labels, cells.data)
    assert corner == (0, 0)
    np.testing.assert_allclose(picture.placement_at((5, 6))["translate"], (19.5, 26))


def test_labels_that_reach_beyond_the_image_are_cut(pixels: Any) -> None:
    cells = Labels(_labels((5, 6, 15, 16), shape=(90, 120)), translate=(-10, 100))
    picture = CellPicture.of(cells, Image(pixels), (0, 0), 1)
    read, labels, _ = picture.read(None)
    np.testing.assert_array_equal(read, pixels[:80, 100:])
    np.testing.assert_array_equal(labels, cells.data[10:, :20])
    np.testing.assert_allclose(picture.placement_at((0, 0))["translate"], (0, 100))


def test_a_turned_image_turns_what_lies_on_it(pixels: Any) -> None:
    image = Image(pixels, rotate=30, translate=(5, 6))
    cells = Labels(_labels((20, 30, 30, 40)), rotate=30, translate=(5, 6))
    placement = CellPicture.of(cells, image, (0, 0), 1).placement_at((20, 30))
    shown = Labels(np.ones((10, 10), int), **placement)
    for corner in ((0, 0), (9, 9)):
        world = shown.data_to_world(corner)
        np.testing.assert_allclose(cells.world_to_data(world), np.array(corner) + np.array((20, 30)), atol=1e-9)


def test_of_a_large_image_only_the_cell_and_some_around_it_is_read(
    pixels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_pictures, "_WHOLE", 1000)
    labels = _labels((40, 50, 50, 58), (0, 0, 4, 4))
    loaded: list[Any] = []

    def load(block: Any) -> Any:
        loaded.append(block.shape)
        return block

    lazy = da.from_array(pixels, chunks=(10, 10, 3)).map_blocks(
        load, dtype=np.uint8, meta=np.zeros((0, 0, 0), np.uint8)
    )
    for features in (
        None,
        {"index": [1, 2], "bbox_y0": [40, 0], "bbox_x0": [50, 0], "bbox_y1": [50, 4], "bbox_x1": [58, 4]},
    ):
        loaded.clear()
        cells = Labels(labels, features=features)
        picture = CellPicture.of(cells, Image(lazy, rgb=True), (0, 0), 1)
        loaded.clear()
        read, part, corner = picture.read(1)
        assert corner == (10, 20)
        np.testing.assert_array_equal(read, pixels[10:80, 20:88])
        np.testing.assert_array_equal(part, labels[10:80, 20:88])
        assert len(loaded) < 60  # of 108 blocks
    with pytest.raises(ConfigError, match="there is no cell 9 in these labels"):
        CellPicture.of(Labels(labels), Image(lazy, rgb=True), (0, 0), 9).read(9)


def test_the_plane_that_is_shown_is_taken_of_both(pixels: Any) -> None:
    image = Image(np.stack([pixels, pixels[::-1]]), rgb=True)
    labels = np.stack([_labels((5, 6, 15, 16)), _labels((50, 60, 70, 80))])
    picture = CellPicture.of(Labels(labels), image, (1, 0, 0), 1)
    read, part, _ = picture.read(1)
    np.testing.assert_array_equal(read, pixels[::-1])
    np.testing.assert_array_equal(part, labels[1])
    np.testing.assert_allclose(picture.placement_at((2, 3))["translate"], (1, 2, 3))
    assert picture.lift(np.zeros((4, 5))).shape == (1, 4, 5)
    # The result of one plane, as a run leaves it: one plane, moved to its place.
    alone = Labels(labels[1:], translate=(1, 0, 0))
    np.testing.assert_array_equal(CellPicture.of(alone, image, (1, 0, 0), 1).read(1)[0], pixels[::-1])


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (Labels(_labels((1, 1, 5, 5)), name="c", scale=(2, 2)), "the pixels of 'c' are not those of 'field'"),
        (Labels(_labels((1, 1, 5, 5)), name="c", translate=(0.5, 0)), "the pixels of 'c' are not those of 'field'"),
        (Labels(_labels((1, 1, 5, 5)), name="c", translate=(500, 0)), "no cell of 'c' lies on 'field'"),
    ],
    ids=["scale", "half a pixel", "elsewhere"],
)
def test_labels_that_do_not_lie_on_the_image_are_refused(pixels: Any, cells: Labels, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        CellPicture.of(cells, Image(pixels, name="field"), (0, 0), 1)
    with pytest.raises(ConfigError, match="the layer 'grey' is no RGB image"):
        CellPicture.of(cells, Image(pixels[..., 0], name="grey"), (0, 0), 1)
