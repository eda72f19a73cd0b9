"""The whole way of one image: scale, maps, cells, names, explanation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.segmentation import expand_labels

from sgcldff_core.cells import cell_table
from sgcldff_core.errors import ConfigError
from sgcldff_core.inference.classification import classify_cells
from sgcldff_core.inference.instances import separate_cells
from sgcldff_core.inference.resampling import resize_image, resize_labels, resize_map
from sgcldff_core.inference.scale import diameter_from_prior
from sgcldff_core.inference.tiling import DEFAULT_TILE, map_field
from sgcldff_core.model import Model
from sgcldff_core.saliency import compute_prior

__all__ = ["Prediction", "predict_image"]

_MAX_ENLARGEMENT = 4.0  # beyond, there is nothing in the pixels to see, only more of them


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What was found in one image, at the image's own size.

    Attributes
    ----------
    labels : ndarray
        (H, W) int32 instance labels 1..N, 0 background.
    saliency : ndarray
        (H, W) float32 in [0, 1], the prior that guided the network.
    nucleus : ndarray
        (H, W) bool, nuclei of the cells.
    gradcam : ndarray or None
        (H, W) float32 in [0, 1], each cell's evidence for its class; None unless asked for.
    cells : DataFrame
        One row a label, see `sgcldff_core.cells.cell_table`.
    diameter : float
        Of a typical cell in px of the image, as given or as estimated.
    model : str
        Name of the model.
    """

    labels: NDArray[np.int32]
    saliency: NDArray[np.float32]
    nucleus: NDArray[np.bool_]
    gradcam: NDArray[np.float32] | None
    cells: pd.DataFrame
    diameter: float
    model: str


def predict_image(
    image: NDArray[np.uint8],
    model: Model,
    *,
    name: str = "image",
    diameter: float | None = None,
    explain: bool = False,
    tile: int = DEFAULT_TILE,
    flips: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Prediction:
    """Find, outline, name and explain every leukocyte of an image.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    model : Model
        On any device; its network's mode is left as it was.
    name : str
        The image's name in the table of cells.
    diameter : float, optional
        Of a typical leukocyte in px; estimated from the image by default.
    explain : bool
        Whether to return the Grad-CAM map.
    tile : int
        Side of a tile in px at the canonical scale.
    flips : bool
        Average over all four mirror images: slower, slightly better.
    progress : callable, optional
        Called with the name of the stage, steps done and steps in all; may raise to stop.

    Returns
    -------
    Prediction
        Everything at the size of `image`.

    Raises
    ------
    ConfigError
        If the image is not (H, W, 3) uint8, or a setting is out of range.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ConfigError(f"expected an RGB image of shape (H, W, 3) and dtype uint8, got {image.shape} {image.dtype}")
    if diameter is not None and not 1 <= diameter < np.inf:
        raise ConfigError(f"diameter must be at least 1 px, got {diameter}")
    canonical = model.config.canonical_diameter
    if diameter is None:
        diameter = diameter_from_prior(image, model.config.prior) or canonical
    factor = min(canonical / diameter, _MAX_ENLARGEMENT)
    height, width = image.shape[:2]
    shape = (max(1, round(height * factor)), max(1, round(width * factor)))
    field = resize_image(image, shape)
    prior = compute_prior(field, model.config.prior)
    report = None if progress is None else lambda done, total: progress("network", done, total)
    maps = map_field(model.network, field, prior, tile=tile, progress=report)
    logits = maps.logits.cpu().numpy()
    cell, nucleus, distance = 1 / (1 + np.exp(-logits))
    found = separate_cells(cell, distance, canonical)
    probabilities = classify_cells(model, maps, found)
    # Holes that were filled must not open again when the outline is drawn at the image's own scale.
    outline = np.where(found > 0, np.maximum(logits[0], 1e-3), logits[0])
    identity = resize_labels(expand_labels(found, 3), (height, width))
    labels = np.where(resize_map(outline, (height, width)) > 0, identity, 0).astype(np.int32)
    nuclei = (resize_map(logits[1], (height, width)) > 0) & (labels > 0)
    saliency = resize_map(prior, (height, width))
    # A cell that vanishes when the image is smaller than the canonical scale has no row.
    present = np.unique(labels)[1:] if (labels == 0).any() else np.unique(labels)
    probabilities, count = probabilities[present - 1], len(present)
    labels = np.searchsorted(present, labels, side="right").astype(np.int32)
    table = cell_table(
        name, labels, nuclei, saliency, model.config.classes, probabilities, np.ones(count, np.float32), [""] * count
    )
    return Prediction(labels, saliency, nuclei, None, table, float(diameter), model.name)
