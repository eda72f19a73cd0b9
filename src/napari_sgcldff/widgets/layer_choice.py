"""A list of the viewer's layers of one kind that follows the viewer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QWidget

from napari_sgcldff.widgets.listening import listen

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

__all__ = ["LayerChoice"]


class LayerChoice(QComboBox):
    """Choose one of the viewer's layers; layers that come, go or change their names are followed.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers to list.
    accepts : callable
        Tells whether a layer is to be listed.
    tooltip : str
        What the layer is for.
    parent : QWidget, optional
        The widget it lies in.
    """

    chosen = Signal()
    """Another layer is chosen, or none is left."""

    def __init__(
        self,
        viewer: ViewerModel,
        accepts: Callable[[Layer], bool],
        tooltip: str,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._accepts = accepts
        self._told: str | None = None
        self.setToolTip(tooltip)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(12)
        self.currentIndexChanged.connect(self._tell)
        events = [getattr(viewer.layers.events, name) for name in ("inserted", "removed", "renamed")]
        listen(self, *events, to=self.refresh)
        self.refresh()

    @property
    def layer(self) -> Any:
        """The chosen layer, None without one."""
        uid = self.currentData()
        return next((layer for layer in self._viewer.layers if str(layer.unique_id) == uid), None)

    def choose(self, layer: Layer) -> None:
        """Choose a layer; nothing happens if it is not listed.

        Parameters
        ----------
        layer : Layer
            A layer of the viewer.
        """
        index = self.findData(str(layer.unique_id))
        if index >= 0:
            self.setCurrentIndex(index)

    def refresh(self, event: object = None) -> None:
        """List the viewer's layers anew; what was chosen stays chosen as long as it is there.

        Parameters
        ----------
        event : object, optional
            Of napari, when layers came, went or changed their name; not looked at.
        """
        kept = self.currentData()
        blocked = self.blockSignals(True)
        self.clear()
        for layer in self._viewer.layers:
            if self._accepts(layer):
                self.addItem(layer.name, str(layer.unique_id))
        self.setCurrentIndex(max(self.findData(kept), 0))
        self.blockSignals(blocked)
        self._tell()

    def _tell(self) -> None:
        if self.currentData() != self._told:
            self._told = self.currentData()
            self.chosen.emit()
