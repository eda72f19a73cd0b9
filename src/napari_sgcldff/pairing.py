"""Which image the cells of a labels layer belong to, and which plane of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sgcldff.layers import KEY, Source, is_smear
from napari_sgcldff.placement import finest
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from numpy.typing import NDArray

__all__ = [
    "image_of",
    "plane_name",
    "plane_source",
    "saliency_of",
    "show_plane",
    "shown_plane",
]


def image_of(layers: Iterable[Layer], cells: Labels, *, guess: bool = False) -> Image | None:
    """Return the image that the cells of a layer most likely belong to.

    Parameters
    ----------
    layers : iterable of Layer
        Of the viewer.
    cells : napari.layers.Labels
        The layer.
    guess : bool
        Whether to name one even where several would do, or none fits; for a choice that a person sees.

    Returns
    -------
    napari.layers.Image or None
        The one that the cells were found in; else the one of the same size with the most similar name.
    """
    images: list[Any] = [layer for layer in layers if is_smear(layer)]
    source = cells.metadata.get(KEY, {}).get("source")
    for image in images:
        if str(image.unique_id) == source:
            return image  # type: ignore[no-any-return]
    fitting = [image for image in images if _size(image) == _size(cells)]
    named = [image for image in fitting if cells.name.startswith(image.name)]
    best = max(named, key=lambda image: len(image.name)) if named else None
    others = [*fitting, *images] if guess else fitting if len(fitting) == 1 else []
    return best or next(iter(others), None)


def shown_plane(point: Sequence[float], cells: Labels) -> tuple[int, ...]:
    """Return which plane of a layer is shown.

    Parameters
    ----------
    point : sequence of float
        ``viewer.dims.point``.
    cells : napari.layers.Labels
        The layer.
    """
    leading = cells.ndim - 2
    at = np.rint(cells.world_to_data(tuple(point)))[:leading]
    return tuple(int(np.clip(i, 0, n - 1)) for i, n in zip(at, cells.data.shape, strict=False))


def show_plane(viewer: ViewerModel, cells: Labels, plane: tuple[int, ...]) -> None:
    """Turn the viewer to a plane of a layer.

    Parameters
    ----------
    viewer : ViewerModel
        Its sliders are moved, if they do not show the plane yet.
    cells : Labels
        The layer.
    plane : tuple of int
        Indices on its axes before rows and columns.
    """
    if plane != shown_plane(viewer.dims.point, cells):
        world = cells.data_to_world((*plane, 0, 0))
        for axis in range(len(plane)):
            viewer.dims.set_point(viewer.dims.ndim - cells.ndim + axis, world[axis])


def plane_source(image: Image, cells: Labels, plane: tuple[int, ...]) -> Source:
    """Return the picture below a plane of cells.

    Parameters
    ----------
    image : Image
        In which the cells were outlined.
    cells : Labels
        On it; may have fewer leading axes.
    plane : tuple of int
        Indices on the cells' axes before rows and columns.

    Raises
    ------
    ConfigError
        If image and cells do not lie on each other pixel by pixel.
    """
    source = Source.of(image, _image_plane(image, cells, plane))
    height, width = source.image.shape[:2]
    own = _size(cells)
    padded = image.metadata.get(KEY, {}).get("sizes") is not None
    if own != (height, width) and not (padded and own[0] >= height and own[1] >= width):
        raise ConfigError(
            f"{cells.name!r} has {own[0]}x{own[1]} px and {image.name!r} has {height}x{width}; "
            "choose the image that these cells were outlined in"
        )
    return source


def plane_name(image: Image, cells: Labels, plane: tuple[int, ...]) -> str:
    """Return what the picture below a plane of cells is called.

    Parameters
    ----------
    image : Image
        In which the cells were outlined.
    cells : Labels
        On it; may have fewer leading axes.
    plane : tuple of int
        Indices on the cells' axes before rows and columns.
    """
    names = image.metadata.get(KEY, {}).get("names")
    at = _image_plane(image, cells, plane)[:-2]
    if names is not None and at:
        return str(names[at[0]])
    several = any(n > 1 for n in image.data.shape[: len(at)]) if not image.multiscale else False
    return f"{image.name} {'-'.join(map(str, at))}" if several else str(image.name)


def saliency_of(layers: Iterable[Layer], cells: Labels) -> NDArray[np.floating] | None:
    """Return the saliency map that was made together with the cells of a layer with one plane, if it is there.

    Parameters
    ----------
    layers : iterable of Layer
        Where to look.
    cells : Labels
        A layer that a model made; others have no saliency.

    Returns
    -------
    ndarray of shape (H, W), or None
        Of the cells' size, in [0, 1].
    """
    own = cells.metadata.get(KEY, {})
    for layer in layers:
        about = layer.metadata.get(KEY, {})
        if about.get("role") == "saliency" and about.get("source") == own.get("source") is not None:
            data: Any = layer.data
            if data.shape == cells.data.shape and data[..., 0, 0].size == 1:
                return np.asarray(data).reshape(data.shape[-2:])
    return None


def _size(layer: Any) -> tuple[int, int]:
    height, width = finest(layer).shape[layer.ndim - 2 : layer.ndim]
    return int(height), int(width)


def _image_plane(image: Image, cells: Labels, plane: tuple[int, ...]) -> tuple[int, ...]:
    """Return the index in the image of a plane of cells, with zeros for rows and columns."""
    world = cells.data_to_world((*plane, 0, 0))
    leading = image.ndim - 2
    world = (0.0,) * max(0, image.ndim - len(world)) + tuple(world)
    at = np.rint(image.world_to_data(world))[:leading]
    shape = image.data[0].shape if image.multiscale else image.data.shape
    return (*(int(np.clip(i, 0, n - 1)) for i, n in zip(at, shape, strict=False)), 0, 0)
