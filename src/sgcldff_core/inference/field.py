"""One look at a whole field, at one assumed diameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from sgcldff_core.inference.forward import FieldMaps
from sgcldff_core.inference.instances import InstanceSettings, separate_cells
from sgcldff_core.inference.resampling import resize_image
from sgcldff_core.inference.tiling import map_field
from sgcldff_core.saliency import compute_prior

if TYPE_CHECKING:
    from sgcldff_core.model import Model

__all__ = ["MAX_ENLARGEMENT", "FieldView", "look_again", "look_at"]

MAX_ENLARGEMENT = 4.0
"""Beyond, there is nothing more in the pixels to see."""

Progress = Callable[[int, int], None] | None


@dataclass(frozen=True, eq=False)  # no slots: the cells are kept once they were asked for
class FieldView:
    """A field at the canonical scale, as the network sees it.

    Attributes
    ----------
    diameter : float
        Of a typical cell in px of the original image, as the view assumes: more than was asked for
        where that would have enlarged the image too far.
    image : ndarray
        (h, w, 3) uint8 RGB at the canonical scale.
    prior : ndarray
        (h, w) float32 in [0, 1].
    maps : FieldMaps
        The network's, of (h, w).
    model : Model
        The one that looked.
    outlined : ndarray, optional
        (h, w) int32, cells that are known from elsewhere.
    """

    diameter: float
    image: NDArray[np.uint8]
    prior: NDArray[np.float32]
    maps: FieldMaps
    model: Model
    outlined: NDArray[np.int32] | None = None

    @cached_property
    def labels(self) -> NDArray[np.int32]:
        """(h, w) int32 cells, 0 background; separated when first asked for."""
        if self.outlined is not None:
            return self.outlined
        cell, nucleus, distance = torch.sigmoid(self.maps.logits).cpu().numpy()
        settings = InstanceSettings.of_model(self.model.calibration)
        return separate_cells(cell, nucleus, distance, self.model.config.canonical_diameter, settings)

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """(h, w) bool, pixels that are more likely leukocyte than not."""
        return self.maps.foreground


def look_at(
    image: NDArray[np.uint8], model: Model, diameter: float, *, tile: int, progress: Progress = None
) -> FieldView:
    """Bring an image to the canonical scale, and run the network.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    model : Model
        On any device.
    diameter : float
        Of a typical cell in px of `image`.
    tile : int
        Side of a tile in px at the canonical scale.
    progress : callable, optional
        Called with tiles done and tiles in all.

    Returns
    -------
    FieldView
        Of the image as it is.
    """
    factor = min(model.config.canonical_diameter / diameter, MAX_ENLARGEMENT)
    diameter = model.config.canonical_diameter / factor  # what the view is made for, where there was no going further
    shape = (max(1, round(image.shape[0] * factor)), max(1, round(image.shape[1] * factor)))
    small = resize_image(image, shape)
    prior = compute_prior(small, model.config.prior)
    maps = map_field(model.network, small, prior, tile=tile, engine=model.engine, progress=progress)
    return FieldView(diameter, small, prior, maps, model)


def look_again(
    view: FieldView,
    model: Model,
    mirrors: list[tuple[bool, bool]],
    *,
    tile: int,
    progress: Progress = None,
) -> tuple[FieldView, FieldMaps]:
    """Look at the same field in mirrors, and average what is seen.

    Parameters
    ----------
    view : FieldView
        The field as it is.
    model : Model
        The same as before.
    mirrors : list of tuple of bool
        Ways to mirror, see `sgcldff_core.inference.forward.run_network`; without any, the view is
        returned as it is.
    tile, progress
        As for `look_at`.

    Returns
    -------
    view : FieldView
        With the mean of all maps, and cells separated anew.
    reflected : FieldMaps
        What is seen in the first mirror alone, turned back.
    """
    if not mirrors:
        return view, view.maps
    seen = [view.maps]
    for mirror in mirrors:
        seen.append(
            map_field(
                model.network,
                view.image,
                view.prior,
                tile=tile,
                mirror=mirror,
                engine=model.engine,
                progress=progress,
            )
        )
    mean = FieldMaps(
        torch.stack([maps.logits for maps in seen]).mean(0), torch.stack([maps.fused for maps in seen]).mean(0)
    )
    return FieldView(view.diameter, view.image, view.prior, mean, model), seen[1]
