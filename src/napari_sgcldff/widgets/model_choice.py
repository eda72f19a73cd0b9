"""Choose a model by name or by folder; in step with what the viewer's other widgets choose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_sgcldff.session import session_of
from napari_sgcldff.widgets.listening import listen
from sgcldff_core.errors import ModelError
from sgcldff_core.model_folders import DEFAULT_MODEL, DESCRIPTION, available_models, describe, find_model

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["ModelChoice"]

_TOOLTIP = "The model that finds and names the cells: a shipped one, one of your own, or a folder."


class ModelChoice(QWidget):
    """A list of the shipped models and the user's own, and a button for a folder.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose session holds the choice.
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session_of(viewer)
        self.names = _Models()
        self.names.opened = self.refresh
        self.names.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.names.setMinimumContentsLength(12)
        self.names.activated.connect(self._chosen)
        self.folder = QPushButton("Folder …")
        self.folder.setToolTip(f"Choose the folder of a model: one that holds {DESCRIPTION}.")
        self.folder.clicked.connect(self._choose_folder)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.names, stretch=1)
        layout.addWidget(self.folder)
        listen(self, self._session.events.model, to=self.refresh)
        self.refresh()

    def refresh(self, event: object = None) -> None:
        """List the models anew, and show the one that the session names.

        Parameters
        ----------
        event : object, optional
            Of the session, when another model was chosen; not looked at.
        """
        wanted = self._session.model
        known = available_models()
        names = self.names
        names.clear()
        for name, folder in known.items():
            names.addItem(f"{name} (shipped)" if name == DEFAULT_MODEL else name, "" if name == DEFAULT_MODEL else name)
            names.setItemData(names.count() - 1, _about(folder), Qt.ItemDataRole.ToolTipRole)
        if names.findData(wanted) < 0:
            names.addItem(Path(wanted).name, wanted)
            names.setItemData(names.count() - 1, _about_named(wanted), Qt.ItemDataRole.ToolTipRole)
        names.setCurrentIndex(names.findData(wanted))
        said = names.currentData(Qt.ItemDataRole.ToolTipRole)
        names.setToolTip(f"{_TOOLTIP}\n{said}" if said else _TOOLTIP)

    def _chosen(self, index: int) -> None:
        self._session.model = self.names.itemData(index)
        self.refresh()

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose the folder of a model")
        if folder:
            self._session.model = folder


class _Models(QComboBox):
    """Tells when its list is opened, so that models that came meanwhile are in it."""

    opened: Any = None

    def showPopup(self) -> None:
        if self.opened is not None:
            self.opened()
        super().showPopup()


def _about(folder: Path) -> str:
    try:
        config = describe(folder)["config"]
        return f"{', '.join(config['classes'])}\n{folder}"
    except (ModelError, KeyError, TypeError) as broken:
        return f"Damaged: {broken}"


def _about_named(name: str) -> str:
    try:
        return _about(find_model(name))
    except ModelError as missing:
        return f"Not found: {missing}"
