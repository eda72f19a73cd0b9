"""Where the viewer looks: what is visible of a layer, and how to look at a place of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

__all__ = ["bare", "camera_of", "look_at", "visible_box"]

Box = tuple[int, int, int, int]


def bare(viewer: Any) -> ViewerModel:
    """Return the viewer itself where a plugin was handed a proxy of it.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer, or a proxy of it.
    """
    return getattr(viewer, "__wrapped__", viewer)


def camera_of(viewer: ViewerModel) -> Any:
    """Return the camera, which napari 0.9 moved into the scene.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer, or a proxy of it.
    """
    scene = getattr(bare(viewer), "scene", None)
    return scene.camera if scene is not None else bare(viewer).camera


def visible_box(viewer: ViewerModel, layer: Layer) -> Box:
    """Return which rows and columns of a layer lie in the canvas.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        In two dimensions; in three, all of the layer counts as visible.
    layer : napari.layers.Layer
        An image; of several scales, the finest counts.

    Returns
    -------
    tuple of int
        First row, first column, last row + 1, last column + 1; without area where nothing of it is
        visible.
    """
    height, width = (int(length) for length in _shape(layer)[-2:])
    dims = viewer.dims
    if dims.ndisplay != 2:
        return 0, 0, height, width
    half = np.array(_canvas_size(viewer), float) / (2 * camera_of(viewer).zoom)
    centre = np.array(camera_of(viewer).center[-2:], float)
    corners = []
    for sign_y, sign_x in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        point = np.array(dims.point, float)
        point[list(dims.displayed)] = centre + half * (sign_y, sign_x)
        corners.append(np.array(layer.world_to_data(point[-layer.ndim :]))[-2:])
    # A pixel's centre, not its corner, is at its whole number.
    low = np.clip(np.floor(np.min(corners, axis=0) + 0.5), 0, (height, width)).astype(int)
    high = np.clip(np.ceil(np.max(corners, axis=0) + 0.5), 0, (height, width)).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def look_at(viewer: ViewerModel, layer: Layer, point: Sequence[float]) -> None:
    """Centre the view on a place of a layer, and go to its plane; the zoom stays.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The camera of which is moved.
    layer : napari.layers.Layer
        To whose pixels `point` refers.
    point : sequence of float
        One coordinate for each axis of the layer.
    """
    dims, camera = viewer.dims, camera_of(viewer)
    world = np.array(dims.point, float)
    world[-layer.ndim :] = layer.data_to_world(np.array(point, float))
    for axis in dims.not_displayed:
        if axis >= dims.ndim - layer.ndim:
            dims.set_point(axis, world[axis])
    place = world[list(dims.displayed)]
    camera.center = (0.0, *place) if len(place) == 2 else tuple(place)


def _shape(layer: Layer) -> Sequence[int]:
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return data.shape[:-1] if getattr(layer, "rgb", False) else data.shape


def _canvas_size(viewer: ViewerModel) -> tuple[int, int]:
    """Return height and width of the canvas in screen pixels."""
    canvas = getattr(bare(viewer), "canvas", None)
    size = canvas.size if canvas is not None else bare(viewer)._canvas_size
    return int(size[0]), int(size[1])
