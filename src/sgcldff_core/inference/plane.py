"""A whole plane, however large: its scale, its cells, its maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sgcldff_core.cells import cell_columns
from sgcldff_core.inference.prediction import Prediction, predict_image
from sgcldff_core.inference.regions import REGION, Progress, Read, predict_regions
from sgcldff_core.inference.scale import diameter_of_places, find_scale
from sgcldff_core.inference.tiling import DEFAULT_TILE

if TYPE_CHECKING:
    from sgcldff_core.inference.field import FieldView
    from sgcldff_core.model import Model

__all__ = ["estimate_plane_diameter", "predict_plane"]

_ONE_PIECE = 1.7  # times the area of a region: up to here nothing is gained by dividing
_PLACES = ((0.5, 0.5), (0.25, 0.25), (0.75, 0.75), (0.25, 0.75), (0.75, 0.25))  # where cells are measured
_ENOUGH = 3  # places with cells


def estimate_plane_diameter(
    read: Read, shape: tuple[int, int], model: Model, *, tile: int = DEFAULT_TILE, progress: Progress | None = None
) -> float:
    """Estimate the diameter of a typical leukocyte from some places of a plane.

    Parameters
    ----------
    read : callable
        Gives the pixels of a `Box`.
    shape : tuple of int
        Height and width of the plane in px.
    model : Model
        On any device.
    tile : int
        Side of a tile in px at the canonical scale.
    progress : callable, optional
        Called with the stage, places done and places in all; may raise to stop.

    Returns
    -------
    float
        In px: the median over the places where there are cells. Without any, what the stain of the
        last place suggests.
    """
    height, width = (min(length, REGION) for length in shape)
    corners = dict.fromkeys((round(y * (shape[0] - height)), round(x * (shape[1] - width))) for y, x in _PLACES)

    def views() -> Iterator[FieldView]:
        for done, (y, x) in enumerate(corners):

            def step(_: int, __: int, done: int = done) -> None:
                if progress is not None:
                    progress("finding the scale", done, len(corners))

            step(0, 0)
            pixels = model.in_own_stain(read((y, x, y + height, x + width)))
            yield find_scale(pixels, model, tile=tile, progress=step)

    return diameter_of_places(views(), _ENOUGH)


def predict_plane(
    read: Read,
    shape: tuple[int, int],
    model: Model,
    *,
    name: str = "image",
    diameter: float | None = None,
    explain: bool = False,
    tile: int = DEFAULT_TILE,
    mirror: bool = True,
    side: int | None = None,
    progress: Progress | None = None,
) -> Prediction:
    """Find the cells of a plane of any size; a small one is looked at in one piece.

    Parameters
    ----------
    read, shape, model, name
        As for `predict_regions`.
    diameter : float, optional
        Of a typical leukocyte in px; estimated from some places of the plane by default.
    explain, tile, mirror, side, progress
        As for `predict_regions`.

    Returns
    -------
    Prediction
        Of the whole plane. That of one in several regions has its saliency and Grad-CAM in half
        precision; beside them and the labels, no more than a region is held in memory.
    """
    # Estimating looks at the whole field several times over; a large one only at some places.
    if side is None and shape[0] * shape[1] <= _ONE_PIECE * REGION**2:
        whole = read((0, 0, *shape))
        return predict_image(
            whole, model, name=name, diameter=diameter, explain=explain, tile=tile, mirror=mirror, progress=progress
        )
    if diameter is None:
        diameter = estimate_plane_diameter(read, shape, model, tile=tile, progress=progress)
    labels, nucleus = np.zeros(shape, np.int32), np.zeros(shape, np.bool_)
    saliency = np.zeros(shape, np.float16)
    gradcam = np.zeros(shape, np.float16) if explain else None
    empty = np.zeros((0, 0), np.bool_)
    parts: list[Prediction] = []
    for region in predict_regions(
        read, shape, model, diameter, name=name, explain=explain, tile=tile, mirror=mirror, side=side, progress=progress
    ):
        found = region.prediction
        region.put_cells(labels)
        region.put(found.nucleus, nucleus)
        region.put(found.saliency, saliency)
        if gradcam is not None and found.gradcam is not None:
            region.put(found.gradcam, gradcam)
        # Its pixels are in the plane by now.
        none, blank = empty.astype(np.int32), empty.astype(np.float16)
        parts.append(replace(found, labels=none, saliency=blank, nucleus=empty, gradcam=None))
    nucleus &= labels > 0
    return Prediction(labels, saliency, nucleus, gradcam, diameter=diameter, model=model.name, **_joined(parts, model))


def _joined(parts: Sequence[Prediction], model: Model) -> dict[str, Any]:
    """Return the tables of regions as one, and what their images have in common."""
    full = [part for part in parts if len(part.cells)]
    evidence = [part.evidence for part in full if part.evidence is not None]
    # Empty slide looks like nothing: it says something of the plane only where there are no cells at all.
    unlike = [part.unlike_smears for part in full or parts if part.unlike_smears is not None]
    columns = cell_columns(model.config.classes)
    return {
        "cells": pd.concat([p.cells for p in full], ignore_index=True) if full else pd.DataFrame(columns=columns),
        "stability": np.concatenate([np.zeros(0, np.float32), *(part.stability for part in full)]),
        "evidence": pd.concat(evidence, ignore_index=True) if evidence else None,
        "unlike_smears": float(np.median(unlike)) if unlike else None,
    }
