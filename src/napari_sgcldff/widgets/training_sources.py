"""What a model is to learn from: folders, data sets and open layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sgcldff.layer_samples import LayerPair
from napari_sgcldff.layers import KEY, is_smear
from napari_sgcldff.widgets.layer_choice import LayerChoice
from napari_sgcldff.widgets.listening import listen
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

__all__ = ["TrainingSources"]

_PATH, _PAIR = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1


class TrainingSources(QWidget):
    """A list of folders and pairs of layers, with buttons to add and to remove them.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose layers can be chosen.
    parent : QWidget, optional
        The widget it lies in.
    """

    changed = Signal()
    """Something was added or removed."""

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.list = QListWidget()
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setMaximumHeight(84)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setToolTip("What the model learns from.")
        self.image_choice = LayerChoice(viewer, is_smear, "Image layer whose cells are outlined; stacks too.")
        self.labels_choice = LayerChoice(
            viewer, _is_labels, "Labels on that image; the class of each cell is taken from the layer's features."
        )
        self.add_layers = QPushButton("Add layers")
        self.add_layers.clicked.connect(self._add_pair)
        self.add_folder = QPushButton("Add folder …")
        self.add_folder.setToolTip("Add a curated folder or a data set of any format that can be opened.")
        self.add_folder.clicked.connect(self._choose_folder)
        self.remove = QPushButton("Remove")
        self.remove.clicked.connect(self._remove)
        self.list.itemSelectionChanged.connect(self.refresh)
        for choice in (self.image_choice, self.labels_choice):
            choice.chosen.connect(self.refresh)
        self.image_choice.chosen.connect(self._suggest)
        listen(self, viewer.layers.events.removed, viewer.layers.events.renamed, to=self._follow)
        pair = QFormLayout()
        pair.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        pair.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        pair.addRow("Image", self.image_choice)
        pair.addRow("Labels", self.labels_choice)
        buttons = QHBoxLayout()
        for button in (self.add_layers, self.add_folder, self.remove):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(pair)
        layout.addLayout(buttons)
        layout.addWidget(self.list)
        self._suggest()
        self.refresh()

    @property
    def paths(self) -> tuple[str, ...]:
        """The folders and files chosen."""
        return tuple(str(item.data(_PATH)) for item in self._items() if item.data(_PATH))

    def pairs(self) -> tuple[LayerPair, ...]:
        """Take the chosen layers as they are now.

        Raises
        ------
        ConfigError
            If a pair does not fit together.
        """
        pairs = []
        for item in self._items():
            if item.data(_PAIR):
                image, labels = (self._layer(uid) for uid in item.data(_PAIR))
                if image is not None and labels is not None:
                    pairs.append(LayerPair.of(image, labels))
        return tuple(pairs)

    @property
    def empty(self) -> bool:
        """Whether nothing is chosen."""
        return self.list.count() == 0

    def add_path(self, path: str) -> None:
        """Choose a folder or file, unless it is chosen already.

        Parameters
        ----------
        path : str
            A data set; nothing happens if it is empty.
        """
        if path and path not in self.paths:
            item = QListWidgetItem(f"Folder {Path(path).name}")
            item.setToolTip(path)
            item.setData(_PATH, path)
            self.list.addItem(item)
            self.refresh()
            self.changed.emit()

    def add_pair(self, image: Layer, labels: Layer) -> None:
        """Choose an image layer with the labels on it, unless they are chosen already.

        Parameters
        ----------
        image, labels : Layer
            Of the same height and width.

        Raises
        ------
        ConfigError
            If they do not fit together.
        """
        LayerPair.of(image, labels)
        uids = (str(image.unique_id), str(labels.unique_id))
        if any(item.data(_PAIR) == uids for item in self._items()):
            return
        item = QListWidgetItem()
        item.setData(_PAIR, uids)
        self.list.addItem(item)
        self._follow()
        self.changed.emit()

    def refresh(self) -> None:
        """Enable what can be done, and say on the rest why not."""
        ready = self.image_choice.layer is not None and self.labels_choice.layer is not None
        self.add_layers.setEnabled(ready)
        self.add_layers.setToolTip(
            "Learn from the cells of this image as they are outlined when the training starts."
            if ready
            else "Open an image and labels with outlined cells first, or correct a segmentation."
        )
        chosen = bool(self.list.selectedItems())
        self.remove.setEnabled(chosen)
        self.remove.setToolTip("Take the selected entries off the list." if chosen else "Select an entry first.")

    def _items(self) -> list[QListWidgetItem]:
        return [self.list.item(row) for row in range(self.list.count())]

    def _layer(self, uid: str) -> Any:
        return next((layer for layer in self._viewer.layers if str(layer.unique_id) == uid), None)

    def _follow(self, event: object = None) -> None:
        """Follow layers that were renamed, and drop pairs of which one was removed."""
        gone = []
        for item in self._items():
            if item.data(_PAIR):
                image, labels = (self._layer(uid) for uid in item.data(_PAIR))
                if image is None or labels is None:
                    gone.append(item)
                else:
                    item.setText(f"{image.name} with {labels.name}")
                    item.setToolTip(item.text())
        for item in gone:
            self.list.takeItem(self.list.row(item))
        self.refresh()
        if gone:
            self.changed.emit()

    def _suggest(self) -> None:
        """Choose the labels that belong to the image."""
        image = self.image_choice.layer
        if image is None:
            return
        uid = str(image.unique_id)
        for layer in self._viewer.layers:
            own = _is_labels(layer) and layer.metadata.get(KEY, {}).get("source") == uid
            if own or (_is_labels(layer) and layer.name.startswith(image.name)):
                self.labels_choice.choose(layer)

    def _add_pair(self) -> None:
        from napari.utils.notifications import show_error

        try:
            self.add_pair(self.image_choice.layer, self.labels_choice.layer)
        except ConfigError as error:
            show_error(str(error))

    def _choose_folder(self) -> None:
        self.add_path(QFileDialog.getExistingDirectory(self, "Choose a curated folder or a data set"))

    def _remove(self) -> None:
        for item in self.list.selectedItems():
            self.list.takeItem(self.list.row(item))
        self.refresh()
        self.changed.emit()


def _is_labels(layer: Layer) -> bool:
    return type(layer).__name__ == "Labels"
