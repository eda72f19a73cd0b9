"""Work that a crash cut off, shown again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sgcldff.edited_rows import as_features
from napari_sgcldff.layers import KEY, is_smear
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels, Layer

    from napari_sgcldff.unsaved_work import Restored

__all__ = ["show_restored"]

_OUTLINE = 3  # px


def show_restored(viewer: ViewerModel, restored: Restored) -> tuple[Labels, Layer]:
    """Show restored work: the image, unless it is open, and its cells.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where.
    restored : Restored
        From the log.

    Returns
    -------
    tuple of Labels and Image
        The cells and the image.

    Raises
    ------
    ConfigError
        If the log has no image, and none of its size is open.
    """
    about = restored.about
    image = next((layer for layer in viewer.layers if _shows(layer, restored)), None)
    scale = about.get("scale") or [1.0, 1.0]
    if image is None and restored.image is None:
        raise ConfigError(f"open the image {about['image']!r} first; it was not saved yet when napari ended")
    if image is None:
        image = viewer.add_image(restored.image, name=about["image"], rgb=True, scale=scale)
    labels = restored.labels
    metadata = {
        KEY: {
            "role": "annotation" if about.get("trusted") else "cells",
            "source": str(image.unique_id),
            "model": about.get("model", ""),
        }
    }
    cells = viewer.add_labels(
        labels[(None,) * (image.ndim - 2)],
        name=about["cells"],
        features=as_features(restored.table),
        metadata=metadata,
        scale=image.scale,
        translate=image.translate,
    )
    cells.contour, cells.opacity = _OUTLINE, 1.0
    return cells, image


def _shows(layer: Any, restored: Restored) -> bool:
    """Tell whether a layer is the image of restored work."""
    if not is_smear(layer) or layer.multiscale or layer.data[..., 0, 0, 0].size != 1:
        return False
    height, width, channels = layer.data.shape[-3:]
    if (height, width) != restored.labels.shape:
        return False
    if restored.image is None:
        return bool(layer.name == restored.about["image"])
    pixels = np.asarray(layer.data).reshape(height, width, channels)[..., :3]
    return np.array_equal(pixels, restored.image)
