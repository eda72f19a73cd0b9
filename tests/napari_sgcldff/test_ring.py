"""The ring of a cell's diameter."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from napari_sgcldff.ring import CellRing
from napari_sgcldff.view import camera_of


@pytest.fixture
def viewer() -> ViewerModel:
    """Return a viewer that shows a scaled image."""
    viewer = ViewerModel()
    viewer.add_layer(Image(np.zeros((300, 400, 3), np.uint8), rgb=True, name="field", scale=(0.5, 0.25)))
    camera_of(viewer).center = (0, 60, 40)
    return viewer


def _spans(viewer: ViewerModel) -> tuple[np.ndarray, np.ndarray]:
    ring = viewer.layers["cell diameter"]
    world = np.array([ring.data_to_world(point) for point in ring.data[0]])
    return (world.max(0) + world.min(0)) / 2, world.max(0) - world.min(0)


def test_it_has_the_diameter_in_pixels_of_the_image_and_stays_in_the_middle(viewer: ViewerModel) -> None:
    ring = CellRing(viewer)
    ring.show(viewer.layers["field"], 80)
    centre, span = _spans(viewer)
    np.testing.assert_allclose(centre, (60, 40))
    np.testing.assert_allclose(span, (40, 20))
    ring.show(viewer.layers["field"], 100)
    camera_of(viewer).center = (0, 30, 20)
    centre, span = _spans(viewer)
    np.testing.assert_allclose(centre, (30, 20))
    np.testing.assert_allclose(span, (50, 25))
    assert len(viewer.layers) == 2


def test_the_selection_stays_as_it_was(viewer: ViewerModel) -> None:
    CellRing(viewer).show(viewer.layers["field"], 80)
    assert viewer.layers.selection.active is viewer.layers["field"]
    assert {layer.name for layer in viewer.layers.selection} == {"field"}


def test_it_goes_and_comes_and_may_be_removed_by_hand(viewer: ViewerModel) -> None:
    ring = CellRing(viewer)
    ring.hide()
    ring.show(viewer.layers["field"], 80)
    ring.hide()
    assert [layer.name for layer in viewer.layers] == ["field"]
    ring.show(viewer.layers["field"], 80)
    viewer.layers.remove("cell diameter")
    camera_of(viewer).center = (0, 10, 10)
    assert not ring.shown
    ring.hide()
    ring.show(viewer.layers["field"], 80)
    assert ring.shown
