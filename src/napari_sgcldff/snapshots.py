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
        self._pictures: dict[tuple[int, ...], NDArray[np.uint8]] = {}

    def picture(self, plane: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return the picture (H, W, 3) below a plane; read once.

        Parameters
        ----------
        plane : tuple of int
            Indices on the cells' axes before rows and columns.
        """
        if plane not in self._pictures:
            self._pictures[plane] = plane_source(self._image, self._cells, plane).image
        return self._pictures[plane]

    def take(self, curation: Curation, plane: tuple[int, ...]) -> Snapshot:
        """Copy a plane that has been shown.

        Parameters
        ----------
        curation : Curation
            Of these cells.
        plane : tuple of int
            One that the curation has shown.
        """
        name, picture = plane_name(self._image, self._cells, plane), self.picture(plane)
        labels = curation.pixels(plane)[: picture.shape[0], : picture.shape[1]].copy()
        several = any(n > 1 for n in curation.layer.data.shape[:-2])
        table = curation.table[curation.table["image"] == name] if several else curation.table
        own = self._cells.metadata.get(KEY, {})
        about: dict[str, Any] = {
            "image": name,
            "cells": self._cells.name,
            "classes": list(curation.classes),
            "scale": [float(s) for s in self._cells.scale[-2:]],
            "trusted": own.get("role") != "cells",
            "model": str(own.get("model", "")),
        }
        return Snapshot(name, picture, labels, table, about["trusted"], several, about)
