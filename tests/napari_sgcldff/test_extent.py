"""What of a layer is worked on, and that results lie on it."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_sgcldff.extent import Extent, plane_count
from napari_sgcldff.metadata import KEY
from sgcldff_core.errors import ConfigError

RNG = np.random.default_rng(4)
FIELD = RNG.integers(0, 256, (40, 50, 3), np.uint8)
STACK = RNG.integers(0, 256, (3, 40, 50, 3), np.uint8)
BOX = (5, 6, 25, 36)


def test_a_whole_field_is_one_plane() -> None:
    extent = Extent.of(Image(FIELD, rgb=True, name="field"), (0, 0))
    assert (extent.planes, extent.names, extent.stack, extent.shape) == (((),), ("field",), (), (40, 50))
    np.testing.assert_array_equal(extent.read(0, extent.part(0)), FIELD)


def test_of_a_stack_the_plane_that_is_shown_or_all() -> None:
    layer = Image(STACK, rgb=True, name="stack")
    shown = Extent.of(layer, (7, 2, 0, 0))  # the viewer has an axis more
    assert (shown.planes, shown.names, shown.stack) == (((2,),), ("stack [2]",), (1,))
    np.testing.assert_array_equal(shown.read(0, BOX), STACK[2, 5:25, 6:36])
    every = Extent.of(layer, (2, 0, 0), whole_stack=True)
    assert every.planes == ((0,), (1,), (2,))
    assert every.stack == (3,)
    assert [every.place(i) for i in range(3)] == [(0,), (1,), (2,)]
    assert plane_count(layer) == 3
    only = every.only(1)
    np.testing.assert_array_equal(only.read(0, BOX), STACK[1, 5:25, 6:36])


def test_planes_of_a_data_set_have_their_names_and_sizes() -> None:
    about = {"names": ["a", "b", "c"], "sizes": [(40, 50), (20, 30), (40, 50)]}
    layer = Image(STACK, rgb=True, name="set", metadata={KEY: about})
    every = Extent.of(layer, whole_stack=True)
    assert every.names == ("a", "b", "c")
    assert every.shape == (40, 50)
    assert every.part(1) == (0, 0, 20, 30)
    assert Extent.of(layer, (1, 0, 0)).shape == (20, 30)
    assert Extent.of(layer, (1, 0, 0), box=(10, 10, 40, 50)).part(0) == (10, 10, 20, 30)


@pytest.mark.parametrize("whole_stack", [False, True])
def test_results_lie_on_their_part_of_a_layer_that_is_scaled_turned_and_sheared(whole_stack: bool) -> None:
    layer = Image(
        STACK, rgb=True, scale=(2, 0.5, 0.25), translate=(7, 10, 20), rotate=30, shear=[0, 0, 0.3], name="stack"
    )
    extent = Extent.of(layer, (1, 0, 0), box=BOX, whole_stack=whole_stack)
    result = Labels(np.zeros((*extent.stack, *extent.shape), np.int32), **extent.placement)
    for point in [(1, 5, 6), (1, 24, 35), (1, 11, 30)]:
        inside = (point[0] if whole_stack else 0, point[1] - BOX[0], point[2] - BOX[1])
        np.testing.assert_allclose(result.data_to_world(inside), layer.data_to_world(point))


def test_only_what_is_asked_for_is_read() -> None:
    seen: list[Any] = []

    def block(block_info: Any = None) -> Any:
        seen.append(block_info[None]["array-location"])
        return np.full((64, 64, 3), 200, np.uint8)

    slide = da.map_blocks(block, chunks=((64,) * 64, (64,) * 64, (3,)), dtype=np.uint8, meta=np.empty((0, 0, 0), "u1"))
    layer = Image([slide, slide[::4, ::4]], rgb=True, multiscale=True, name="slide")
    seen.clear()
    extent = Extent.of(layer, box=(100, 120, 150, 170))
    assert seen == []
    assert extent.read(0, extent.part(0)).shape == (50, 50, 3)
    assert len(seen) == 4
    assert Extent.of(layer).shape == (4096, 4096)


def test_a_dark_part_is_on_the_scale_of_the_whole() -> None:
    image = np.full((700, 700, 3), 4000, np.uint16)  # 12 bits
    image[:60, :60] = 200
    extent = Extent.of(Image(image, rgb=True, name="deep"))
    assert (extent.read(0, (0, 0, 50, 50)) == round(200 * 255 / 4095)).all()
    assert (extent.read(0, (100, 100, 150, 150)) == round(4000 * 255 / 4095)).all()


def test_values_on_no_scale_are_refused() -> None:
    extent = Extent.of(Image(np.full((20, 20, 3), -3.0, np.float32), rgb=True, name="odd"))
    with pytest.raises(ConfigError, match="the layer 'odd' cannot be used: its float32 values"):
        extent.read(0, (0, 0, 20, 20))


def test_what_is_not_visible_or_not_rgb_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing of 'field' is visible; move the view to it"):
        Extent.of(Image(FIELD, rgb=True, name="field"), box=(0, 50, 40, 50))
    with pytest.raises(ConfigError, match="is no RGB image"):
        Extent.of(Image(FIELD[..., 0], name="grey"))
