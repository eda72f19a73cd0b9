"""Cells find their image, and the plane of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sgcldff.layers import KEY, Source, prediction_layers, show_layers
from napari_sgcldff.pairing import (
    image_of,
    plane_name,
    plane_source,
    saliency_of,
    show_plane,
    shown_plane,
)
from sgcldff_core.errors import ConfigError
from sgcldff_core.smear import Smear


def test_cells_belong_to_the_image_they_were_found_in_whatever_it_is_called(
    smear: Smear, predict: Callable[..., Any]
) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(smear.image, name="field")
    show_layers(viewer, prediction_layers(predict(), Source.of(image), {}))
    cells = viewer.layers["field WBC"]
    viewer.add_image(smear.image, name="field WBC image")
    image.name = "renamed"
    assert image_of(viewer.layers, cells) is image
    np.testing.assert_array_equal(saliency_of(viewer.layers, cells), viewer.layers["field saliency"].data)


def test_other_cells_belong_to_an_image_of_their_size_and_name() -> None:
    viewer = ViewerModel()
    small = viewer.add_image(np.zeros((10, 12, 3), np.uint8), name="a", rgb=True)
    cells = viewer.add_labels(np.zeros((10, 12), np.int32), name="ab cells")
    assert image_of(viewer.layers, cells) is small
    closer = viewer.add_image(np.zeros((10, 12, 3), np.uint8), name="ab", rgb=True)
    assert image_of(viewer.layers, cells) is closer
    cells.name = "x"
    assert image_of(viewer.layers, cells) is None
    assert image_of(viewer.layers, cells, guess=True) is small
    assert saliency_of(viewer.layers, cells) is None
    other = viewer.add_labels(np.zeros((5, 5), np.int32))
    assert image_of(viewer.layers, other) is None
    assert image_of(viewer.layers, other, guess=True) is small
    assert image_of([], other, guess=True) is None
    with pytest.raises(ConfigError, match="has 5x5 px and 'a' has 10x12"):
        plane_source(small, other, ())


def test_planes_are_found_by_where_they_lie() -> None:
    viewer = ViewerModel()
    stack = np.random.default_rng(0).integers(0, 255, (4, 10, 12, 3), np.uint8)
    image = viewer.add_image(stack, name="stack", rgb=True, scale=(2, 0.5, 0.5), translate=(1, 0, 0))
    cells = viewer.add_labels(np.zeros((4, 10, 12), np.int32), scale=(2, 0.5, 0.5), translate=(1, 0, 0))
    one = viewer.add_labels(np.zeros((1, 10, 12), np.int32), scale=(2, 0.5, 0.5), translate=(5, 0, 0))
    show_plane(viewer, cells, (3,))
    assert shown_plane(viewer.dims.point, cells) == (3,)
    assert shown_plane(viewer.dims.point, one) == (0,)
    np.testing.assert_array_equal(plane_source(image, cells, (3,)).image, stack[3])
    np.testing.assert_array_equal(plane_source(image, one, (0,)).image, stack[2])
    assert (plane_name(image, cells, (3,)), plane_name(image, one, (0,))) == ("stack 3", "stack 2")
    image.metadata[KEY] = {"names": ["a", "b", "c", "d"], "sizes": [(10, 12)] * 3 + [(8, 9)]}
    assert plane_name(image, cells, (3,)) == "d"
    assert plane_source(image, cells, (3,)).image.shape == (8, 9, 3)
