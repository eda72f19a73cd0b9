"""Where the viewer looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_sgcldff.view import bare, camera_of, look_at, visible_box


@pytest.fixture
def viewer(set_canvas: Callable[[Any, tuple[int, int]], None]) -> ViewerModel:
    """Return a viewer whose canvas is 100 by 200 screen pixels."""
    viewer = ViewerModel()
    set_canvas(viewer, (100, 200))
    return viewer


def _add(viewer: ViewerModel, shape: tuple[int, ...], **settings: object) -> Image:
    layer = Image(np.zeros((*shape, 3), np.uint8), rgb=True, **settings)
    viewer.add_layer(layer)
    return layer


def test_what_lies_in_the_canvas_is_visible(viewer: ViewerModel) -> None:
    layer = _add(viewer, (400, 600))
    camera_of(viewer).center, camera_of(viewer).zoom = (0, 200, 300), 2.0
    assert visible_box(viewer, layer) == (175, 250, 226, 351)
    camera_of(viewer).center = (0, 10, 590)
    assert visible_box(viewer, layer) == (0, 540, 36, 600)
    camera_of(viewer).center = (0, 1000, 1000)
    y0, x0, y1, x1 = visible_box(viewer, layer)
    assert (y1 - y0) * (x1 - x0) == 0


def test_scale_and_translate_of_the_layer_count(viewer: ViewerModel) -> None:
    layer = _add(viewer, (5, 400, 600), scale=(1, 0.5, 0.25), translate=(0, 100, 50))
    camera_of(viewer).center, camera_of(viewer).zoom = (0, 200, 125), 2.0
    assert visible_box(viewer, layer) == (150, 100, 251, 501)


def test_of_several_scales_the_finest_counts(viewer: ViewerModel) -> None:
    data = np.zeros((400, 600, 3), np.uint8)
    layer = Image([data, data[::2, ::2]], rgb=True, multiscale=True)
    viewer.add_layer(layer)
    camera_of(viewer).center, camera_of(viewer).zoom = (0, 200, 300), 1.0
    assert visible_box(viewer, layer) == (150, 200, 251, 401)


def test_in_three_dimensions_all_counts_as_visible(viewer: ViewerModel) -> None:
    layer = _add(viewer, (5, 400, 600))
    viewer.dims.ndisplay = 3
    assert visible_box(viewer, layer) == (0, 0, 400, 600)


def test_looking_at_a_place_moves_the_view_and_changes_the_plane_but_not_the_zoom(viewer: ViewerModel) -> None:
    layer = _add(viewer, (5, 400, 600), scale=(2, 0.5, 0.25), translate=(4, 100, 50))
    camera_of(viewer).zoom = 3.0
    look_at(viewer, layer, (3, 20, 40))
    np.testing.assert_allclose(camera_of(viewer).center[-2:], (110, 60))
    assert viewer.dims.point[0] == 10
    assert camera_of(viewer).zoom == 3.0


def test_a_layer_of_fewer_axes_leaves_the_plane_alone(viewer: ViewerModel) -> None:
    _add(viewer, (5, 400, 600))
    flat = _add(viewer, (400, 600))
    viewer.dims.set_point(0, 3)
    look_at(viewer, flat, (20, 40))
    assert viewer.dims.point[0] == 3
    np.testing.assert_allclose(camera_of(viewer).center[-2:], (20, 40))


def test_a_proxy_is_seen_through(viewer: ViewerModel) -> None:
    from napari.utils._proxies import PublicOnlyProxy

    assert bare(PublicOnlyProxy(viewer)) is viewer
    assert bare(viewer) is viewer
