"""Choose where the model runs; what is not there is listed with the reason."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import QComboBox, QWidget

from napari_sgcldff.devices import DEVICES, hindrance

__all__ = ["DeviceChoice"]


class DeviceChoice(QComboBox):
    """A list of devices, as torch names them.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setToolTip("Where the model runs: auto takes the graphics card where there is one.")
        for name in DEVICES:
            self.addItem(name)
        self.refresh()

    def refresh(self) -> None:
        """Ask again what can be used; once torch is loaded, it knows best."""
        model: QStandardItemModel = self.model()  # a combo box makes one of this kind by itself
        for row, (name, meaning) in enumerate(DEVICES.items()):
            reason = hindrance(name)
            model.item(row).setEnabled(not reason)
            self.setItemData(row, reason or f"{name}: {meaning}.", Qt.ItemDataRole.ToolTipRole)
            if reason and row == self.currentIndex():
                self.setCurrentIndex(0)
