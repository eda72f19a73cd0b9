"""A ring of a cell's diameter in the middle of the view, to compare with the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sgcldff.metadata import KEY
from napari_sgcldff.view import bare, camera_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image
    from numpy.typing import NDArray

__all__ = ["CellRing"]

_NAME = "cell diameter"
_COLOUR = "#ffd60a"
_WIDTH = 0.04  # of the diameter


class CellRing:
    """One ring in a viewer; it stays in the middle of the view while the view moves.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where to draw it.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = bare(viewer)
        self._layer: Any = None

    @property
    def shown(self) -> bool:
        """Whether it is in the viewer."""
        return self._layer is not None and self._layer in self._viewer.layers

    def show(self, image: Image, diameter: float) -> None:
        """Draw the ring.

        Parameters
        ----------
        image : napari.layers.Image
            In whose pixels the diameter is given.
        diameter : float
            In px, above 0.
        """
        scale = np.array(image.scale[-2:], float)
        if not self.shown:
            self._add(diameter, scale)
        else:
            self._layer.size = diameter
            self._layer.scale = scale
        self.centre()

    def hide(self) -> None:
        """Take the ring away; nothing happens without one."""
        if self.shown:
            self._viewer.layers.remove(self._layer)
        if self._layer is not None:
            camera_of(self._viewer).events.center.disconnect(self.centre)
        self._layer = None

    def centre(self, event: object = None) -> None:
        """Move the ring to the middle of the view.

        Parameters
        ----------
        event : object, optional
            Of napari, when the view moved; not looked at.
        """
        if self.shown:
            self._layer.translate = camera_of(self._viewer).center[-2:]

    def _add(self, diameter: float, scale: NDArray[np.float64]) -> None:
        from napari.layers import Points

        self.hide()
        kept, active = set(self._viewer.layers.selection), self._viewer.layers.selection.active
        self._layer = self._viewer.add_layer(
            Points(
                np.zeros((1, 2)),
                size=diameter,
                symbol="disc",
                name=_NAME,
                scale=scale,
                face_color="transparent",
                border_color=_COLOUR,
                border_width=_WIDTH,
                border_width_is_relative=True,
                metadata={KEY: {"role": "ring"}},
            )
        )
        self._layer.editable = False
        # It is there to be looked at; what was selected stays so.
        self._viewer.layers.selection.intersection_update(kept)
        self._viewer.layers.selection.update(kept)
        self._viewer.layers.selection.active = active
        camera_of(self._viewer).events.center.connect(self.centre)
