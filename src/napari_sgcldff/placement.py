"""Where a plane, or a part of it, lies: from the layers' pixels to the world and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sgcldff.metadata import KEY
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from napari.layers import Image, Labels

__all__ = ["finest", "offset_on", "placing", "plane_of", "shown_index"]


def finest(layer: Any) -> Any:
    """Return the pixels of a layer, of a multi-scale one those of the finest level.

    Parameters
    ----------
    layer : napari.layers.Image or napari.layers.Labels
        Of any kind.
    """
    return layer.data[0] if layer.multiscale else layer.data


def shown_index(layer: Any, step: Sequence[int]) -> tuple[int, ...]:
    """Return the indices before row and column of the plane of a layer that is shown.

    Parameters
    ----------
    layer : napari.layers.Image or napari.layers.Labels
        Of fewer axes than the viewer, it lies along the viewer's last ones.
    step : sequence of int
        ``viewer.dims.current_step``; the first plane where it is too short.
    """
    leading = layer.ndim - 2
    shown = tuple(int(i) for i in tuple(step)[max(len(step) - layer.ndim, 0) :][:leading])
    shown = (*shown, *[0] * (leading - len(shown)))
    return tuple(min(max(i, 0), n - 1) for i, n in zip(shown, finest(layer).shape, strict=False))


def plane_of(layer: Any, step: Sequence[int]) -> tuple[Any, tuple[int, ...]]:
    """Return the plane of a layer that is shown, not read yet, and its place in the stack.

    Parameters
    ----------
    layer : napari.layers.Image or napari.layers.Labels
        Of two or more axes; of a multi-scale layer the finest is taken.
    step : sequence of int
        ``viewer.dims.current_step``.
    """
    data, plane = finest(layer), shown_index(layer, step)
    data = data[plane] if plane else data
    sizes = layer.metadata.get(KEY, {}).get("sizes")
    if sizes is not None:  # images of several sizes in one stack
        data = data[: sizes[plane[0]][0], : sizes[plane[0]][1]]
    return data, plane


def placing(
    layer: Any, plane: Sequence[int] = (), corner: Sequence[float] = (0, 0), stride: Sequence[float] = (1, 1)
) -> Callable[[tuple[int, int]], dict[str, Any]]:
    """Return a function that tells what a result needs to lie on a layer.

    Parameters
    ----------
    layer : napari.layers.Layer
        The layer.
    plane : sequence of int
        Of the stack.
    corner : sequence of float
        Row and column of the layer at which the picture of the result begins.
    stride : sequence of float
        Px of the layer for one px of the picture, down and across.

    Returns
    -------
    callable
        Called with row and column of a pixel of the picture it returns scale, translate and so on
        of a layer that begins there.
    """
    from napari.utils.transforms import Affine

    # The layer's own affine transform comes after these; results take it over as it is.
    affine = Affine(scale=layer.scale, translate=layer.translate, rotate=layer.rotate, shear=layer.shear)
    coarse = np.array([*[1.0] * len(plane), *stride])
    common = {
        "scale": tuple(np.asarray(layer.scale) * coarse),
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine.affine_matrix,
        "units": layer.units,
    }

    def placement(pixel: tuple[int, int]) -> dict[str, Any]:
        # Pixels are placed by their middles.
        first = np.array(corner, float) + (np.array(pixel) + 0.5) * np.array(stride, float) - 0.5
        return {**common, "translate": tuple(affine(np.array([*plane, *first])))}

    return placement


def offset_on(cells: Labels, image: Image, shape: Sequence[int]) -> tuple[int, int]:
    """Return the row and column of an image on which the first pixel of labels lies.

    Parameters
    ----------
    cells : napari.layers.Labels
        The labels.
    image : napari.layers.Image
        The image.
    shape : sequence of int
        Height and width of the labels.

    Raises
    ------
    ConfigError
        If pixels of the one are not pixels of the other.
    """

    def on_image(row: float, column: float) -> NDArray[np.float64]:
        world = np.asarray(cells.data_to_world((0.0,) * (cells.ndim - 2) + (row, column)))[-2:]
        return np.asarray(image.world_to_data((0.0,) * (image.ndim - 2) + tuple(world)))[-2:]

    first, last = on_image(0, 0), on_image(*shape)
    offset = np.rint(first)
    if np.abs(first - offset).max() > 0.01 or np.abs(last - first - np.array(shape)).max() > 0.5:
        raise ConfigError(
            f"the pixels of {cells.name!r} are not those of {image.name!r}; choose the image that it was made from"
        )
    return int(offset[0]), int(offset[1])
