"""Copies of an image and its cells, as they are saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sgcldff.autosave import Snapshot
from napari_sgcldff.layers import KEY
from napari_sgcldff.pairing import plane_name, plane_source

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from napari_sgcldff.curation import Curation

__all__ = ["Snapshots"]


class Snapshots:
    """Takes snapshots of the planes of a labels layer, each with the picture below.

    Parameters
    ----------
    cells : napari.layers.Labels
        The layer.
    image : napari.layers.Image
        The image that it belongs to.
    """

    def __init__(self, cells: Labels, image: Image) -> None:
        self._cells, self._image = cells, image
        self._pictures: dict[tuple[int, ...], tuple[str, NDArray[np.uint8]]] = {}

    def take(self, curation: Curation, plane: tuple[int, ...]) -> Snapshot:
        """Copy a plane that has been shown."""
        if plane not in self._pictures:
            source = plane_source(self._image, self._cells, plane)
            self._pictures[plane] = (plane_name(self._image, self._cells, plane), source.image)
        name, picture = self._pictures[plane]
        labels = curation.pixels(plane)[: picture.shape[0], : picture.shape[1]].copy()
        table = curation.table[curation.table.index.isin(np.unique(labels))].copy()
        own = self._cells.metadata.get(KEY, {})
        about: dict[str, Any] = {
            "image": name,
            "cells": self._cells.name,
            "classes": list(curation.classes),
            "scale": [float(s) for s in self._cells.scale[-2:]],
            "trusted": own.get("role") != "cells",
            "model": str(own.get("model", "")),
        }
        several = any(n > 1 for n in curation.layer.data.shape[:-2])
        return Snapshot(name, picture, labels, table, about["trusted"], several, about)
