"""A ring of a cell's diameter in the middle of the view, to compare with the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sgcldff.metadata import KEY
from napari_sgcldff.view import bare, camera_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["CellRing"]

_NAME = "cell diameter"
_COLOUR = "#ffd60a"


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
        angle = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        outline = diameter / 2 * np.stack([np.sin(angle), np.cos(angle)], 1)
        scale = np.array(image.scale[-2:], float)
        if not self.shown:
            self._add(outline, diameter, scale)
        else:
            self._layer.data = [outline]
            self._layer.edge_width = self._width(diameter)
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
        """Move the ring to the middle of the view."""
        if self.shown:
            self._layer.translate = camera_of(self._viewer).center[-2:]

    def _add(self, outline: Any, diameter: float, scale: Any) -> None:
        from napari.layers import Shapes

        self.hide()
        kept, active = set(self._viewer.layers.selection), self._viewer.layers.selection.active
        self._layer = self._viewer.add_layer(
            Shapes(
                [outline],
                shape_type="polygon",
                name=_NAME,
                scale=scale,
                face_color="transparent",
                edge_color=_COLOUR,
                edge_width=self._width(diameter),
                metadata={KEY: {"role": "ring"}},
            )
        )
        self._layer.editable = False
        # It is there to be looked at; what was selected stays so.
        self._viewer.layers.selection.intersection_update(kept)
        self._viewer.layers.selection.update(kept)
        self._viewer.layers.selection.active = active
        camera_of(self._viewer).events.center.connect(self.centre)

    @staticmethod
    def _width(diameter: float) -> float:
        return max(diameter / 40, 0.5)
