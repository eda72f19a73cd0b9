"""The table of cells, in step with the viewer both ways."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QItemSelectionModel, Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSpinBox,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_sgcldff.cell_rows import CellFilter, count_classes, place_of, write_cells
from napari_sgcldff.metadata import KEY
from napari_sgcldff.session import session_of
from napari_sgcldff.view import bare, look_at
from napari_sgcldff.widgets.canvas_clicks import on_click
from napari_sgcldff.widgets.cell_model import CellModel
from napari_sgcldff.widgets.differential import FLAT, DifferentialTable
from napari_sgcldff.widgets.listening import listen

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["CellTable"]

_ALL = "All classes"
_ROOM = 12  # px beside the text of a column, for the mark of how it is sorted


class CellTable(QWidget):
    """The differential count and the cells of the layer that the session names.

    Choosing a row looks at its cell; clicking a cell in the canvas chooses its row.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose session it follows.
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, viewer: ViewerModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = bare(viewer)
        self._session = session_of(viewer)
        self._layer: Any = None
        self._selecting = False
        self._lay_out()
        # What comes in a burst, like all the attributes of a new result, is drawn once.
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self.refresh)
        listen(self, self._session.events.cells, to=self._follow)
        listen(self, self._session.events.label, to=self._select)
        listen(self, self._viewer.layers.events.inserted, self._viewer.layers.events.removed, to=self._follow)
        listen(self, self._viewer.layers.selection.events.active, to=self._activated)
        on_click(self, self._viewer, self._clicked)
        self._follow()

    @property
    def layer(self) -> Any:
        """The labels layer whose cells are shown, None without one."""
        return self._layer

    def refresh(self, event: object = None) -> None:
        """Show the layer's features as they are now; the chosen row stays.

        Parameters
        ----------
        event : object, optional
            Of napari, when the features changed; not looked at.
        """
        layer = self._layer
        features = layer.features if layer is not None else _nothing()
        classes = layer.metadata.get(KEY, {}).get("classes", ()) if layer is not None else ()
        columns = list(self.model.columns)
        self.model.show_features(features, classes)
        if self.model.columns != columns:
            self._fit_columns()
        counts = count_classes(self.model.cells, classes)
        self._list_classes(list(counts))
        self.differential.show_counts(counts, classes)

    def choose(self) -> None:
        """Show the cells that the controls ask for."""
        kind = self.kind.currentText() if self.kind.currentIndex() > 0 else ""
        self.model.choose(CellFilter(kind, self.confidence.value() / 100, self.review.isChecked()))

    def export(self) -> None:
        """Ask for a file, and write the cells that are shown."""
        name = f"{self._layer.name} cells.csv" if self._layer is not None else "cells.csv"
        path, _ = QFileDialog.getSaveFileName(self, "Export the table of cells", name, "Table (*.csv)")
        if not path:
            return
        shown = self.model.cells.set_index("label", drop=False).loc[self.model.labels()]
        try:
            write_cells(shown, self._layer.metadata.get(KEY, {}), Path(path))
        except OSError as error:
            show_error(f"{path} could not be written: {error}; choose another folder")
            return
        self.summary.setText(f"Wrote {len(shown)} cells to {Path(path).name}.")

    def _follow(self, event: object = None) -> None:
        """Take the layer that the session names."""
        uid = self._session.cells
        layer = next((one for one in self._viewer.layers if str(one.unique_id) == uid), None)
        if layer is not None and not _has_cells(layer):
            layer = None
        if layer is self._layer and layer is not None:
            return
        if self._layer is not None:
            self._layer.events.features.disconnect(self._changed)
            self._layer.events.selected_label.disconnect(self._picked)
        self._layer = layer
        if layer is None and uid:
            self._session.cells, self._session.label = "", 0
        if layer is not None:
            layer.events.features.connect(self._changed)
            layer.events.selected_label.connect(self._picked)
        self._changed()

    def _clicked(self, event: Any) -> None:
        """Choose the cell that was clicked in the canvas."""
        layer = self._layer
        if layer is None or not layer.visible:
            return
        value = layer.get_value(
            event.position, view_direction=event.view_direction, dims_displayed=list(event.dims_displayed), world=True
        )
        if value:
            self._session.label = int(value)

    def _activated(self, event: Any) -> None:
        if event.value is not None and _has_cells(event.value):
            self._session.cells = str(event.value.unique_id)

    def _changed(self, event: object = None) -> None:
        self._later.start(0)

    def _picked(self, event: object = None) -> None:
        """Take over the label that was picked in the canvas or in napari's own controls."""
        label = int(self._layer.selected_label)
        if not self._selecting and label in set(self.model.cells["label"]):
            self._session.label = label

    def _select(self, *_: object) -> None:
        """Choose the row of the cell that the session names; the view stays where it is."""
        label = self._session.label
        row = self.model.row_of(label) if label else -1
        self._selecting = True
        if row >= 0:
            index = self.model.index(row, 0)
            flags = QItemSelectionModel.SelectionFlag
            self.view.selectionModel().setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
            self.view.scrollTo(index)
        else:
            self.view.clearSelection()
        if label and self._layer is not None and self._layer.selected_label != label:
            self._layer.selected_label = label
        self._selecting = False
        self._summarise()

    def _row_chosen(self, *_: object) -> None:
        rows = self.view.selectionModel().selectedRows()
        if self._selecting or not rows or self._layer is None:
            return
        label = self.model.label_at(rows[0].row())
        self._session.label = label
        place = place_of(self._layer, label)
        if place is not None:
            look_at(self._viewer, self._layer, place)

    def _summarise(self) -> None:
        shown, there = self.model.rowCount(), len(self.model.cells)
        review = int(self.model.cells["needs_review"].fillna(False).sum()) if "needs_review" in self.model.cells else 0
        if self._layer is None:
            text = "No cells yet: run Segment, or select a layer of named cells."
        elif shown == there:
            text = f"{there} {'cell' if there == 1 else 'cells'}, {review} to review"
        else:
            text = f"{shown} of {there} cells shown"
        self.summary.setText(text)
        self.filters.setEnabled(there > 0)
        self.export_button.setEnabled(shown > 0)
        self.export_button.setToolTip(
            "Write the cells that are shown as a table (csv)." if shown else "There are no cells to write."
        )
        for widget in (self.view, self.filters, self.differential):
            widget.setVisible(self._layer is not None)

    def _fit_columns(self) -> None:
        self.view.resizeColumnsToContents()
        for column in range(self.model.columnCount()):
            self.view.setColumnWidth(column, self.view.columnWidth(column) + _ROOM)

    def _list_classes(self, names: list[str]) -> None:
        if names == [self.kind.itemText(i) for i in range(1, self.kind.count())]:
            return
        kept = self.kind.currentText()
        blocked = self.kind.blockSignals(True)
        self.kind.clear()
        self.kind.addItems([_ALL, *names])
        self.kind.setCurrentIndex(max(self.kind.findText(kept), 0))
        self.kind.blockSignals(blocked)
        if self.kind.currentText() != kept:
            self.choose()

    def _lay_out(self) -> None:
        self.differential = DifferentialTable()
        self.kind = QComboBox()
        self.kind.addItem(_ALL)
        self.kind.setToolTip("Show only the cells of one class.")
        self.kind.currentIndexChanged.connect(self.choose)
        self.confidence = QSpinBox()
        self.confidence.setRange(1, 100)
        self.confidence.setValue(100)
        self.confidence.setPrefix("sure ≤ ")
        self.confidence.setSuffix(" %")
        self.confidence.setToolTip("Show only the cells of whose class the model is at most so sure.")
        self.confidence.valueChanged.connect(self.choose)
        self.review = QCheckBox("to review")
        self.review.setToolTip("Show only the cells that a person should look at.")
        self.review.toggled.connect(self.choose)
        self.filters = QWidget()
        filters = QHBoxLayout(self.filters)
        filters.setContentsMargins(0, 0, 0, 0)
        filters.addWidget(self.kind, stretch=1)
        filters.addWidget(self.confidence)
        filters.addWidget(self.review)
        self.model = CellModel()
        self.view = QTableView()
        self.view.setModel(self.model)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setSortingEnabled(True)
        self.view.setShowGrid(False)
        self.view.setWordWrap(False)
        self.view.setMinimumHeight(140)
        self.view.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.verticalHeader().hide()
        self.view.verticalHeader().setDefaultSectionSize(24)
        header = self.view.horizontalHeader()
        header.setHighlightSections(False)
        header.setStyleSheet(FLAT)
        header.setResizeContentsPrecision(50)  # rows that are measured for the width of a column
        header.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
        header.setSortIndicator(0, Qt.SortOrder.AscendingOrder)
        header.setStretchLastSection(True)
        self.view.selectionModel().selectionChanged.connect(self._row_chosen)
        self.model.modelReset.connect(self._select)  # rows that were sorted or filtered are no longer selected
        self.summary = QLabel()
        self.summary.setWordWrap(True)
        self.export_button = QPushButton("Export …")
        self.export_button.clicked.connect(self.export)
        foot = QHBoxLayout()
        foot.addWidget(self.summary, stretch=1)
        foot.addWidget(self.export_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.differential)
        layout.addWidget(self.filters)
        layout.addWidget(self.view, stretch=1)
        layout.addLayout(foot)


def _has_cells(layer: Any) -> bool:
    return hasattr(layer, "selected_label") and {"index", "class"} <= set(layer.features.columns)


def _nothing() -> Any:
    import pandas as pd

    return pd.DataFrame()
