"""Cells as Qt's tables want them: sorted and filtered by whole columns, so that ten thousand rows stay quick."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt
from qtpy.QtGui import QColor, QPixmap

from napari_sgcldff.cell_rows import COLUMNS, CellFilter, cells_of, rows_to_show
from sgcldff_core.taxonomy import colour_of

__all__ = ["CellModel"]

_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_WORDS = {"class", "review_reason", "image"}


class CellModel(QAbstractTableModel):
    """The rows of a labels layer's features that are to be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = cells_of(pd.DataFrame())
        self.filter = CellFilter()
        self.columns = list(COLUMNS)[:4]
        self._classes: tuple[str, ...] = ()
        self._by, self._descending = "label", False
        self._rows = np.zeros(0, int)
        self._values: dict[str, Any] = {}
        self._swatches: dict[str, QPixmap] = {}

    def show_features(self, features: pd.DataFrame, classes: Sequence[str]) -> None:
        """Show the cells of a layer.

        Parameters
        ----------
        features : DataFrame
            Of the labels layer.
        classes : sequence of str
            All of the model, for the colours of those that a user defined.
        """
        self.beginResetModel()
        self.cells, self._classes = cells_of(features), tuple(classes)
        several = "image" in self.cells and self.cells["image"].nunique() > 1
        self.columns = [n for n in COLUMNS if n in self.cells and (n != "image" or several)]
        self._values = {name: self.cells[name].to_numpy() for name in self.columns}
        self._swatches = {}
        self._rows = rows_to_show(self.cells, self.filter, self._by, self._descending)
        self.endResetModel()

    def choose(self, chosen: CellFilter) -> None:
        """Show only some of the cells.

        Parameters
        ----------
        chosen : CellFilter
            Which cells to show.
        """
        self.beginResetModel()
        self.filter = chosen
        self._rows = rows_to_show(self.cells, chosen, self._by, self._descending)
        self.endResetModel()

    def label_at(self, row: int) -> int:
        """Return the label of the cell in a row.

        Parameters
        ----------
        row : int
            Of the table as it is shown, from 0.
        """
        return int(self.cells["label"].iloc[self._rows[row]])

    def row_of(self, label: int) -> int:
        """Return the row of a cell, -1 where it is not shown.

        Parameters
        ----------
        label : int
            Of a cell, shown or not.
        """
        at = np.flatnonzero(self.cells["label"].to_numpy()[self._rows] == label)
        return int(at[0]) if len(at) else -1

    def labels(self) -> list[int]:
        """Return the labels of the cells that are shown, in order."""
        return [int(label) for label in self.cells["label"].to_numpy()[self._rows]]

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; below 0 by label."""
        self._by = self.columns[column] if 0 <= column < len(self.columns) else "label"
        self._descending = order == Qt.SortOrder.DescendingOrder
        self.choose(self.filter)

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008 (Qt's own)
        """Return how many cells are shown."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QModelIndex | QPersistentModelIndex = QModelIndex()) -> int:  # noqa: B008 (Qt's own)
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the text, the colour or the place of what stands in a cell of the table."""
        name = self.columns[index.column()]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _LEFT if name in _WORDS else _RIGHT
        if role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.DecorationRole):
            return None
        value = self._values[name][self._rows[index.row()]]
        if role == Qt.ItemDataRole.DecorationRole:
            return self._swatch(str(value)) if name == "class" else None
        text = COLUMNS[name].written(value)
        if role == Qt.ItemDataRole.ToolTipRole:
            return text if name in _WORDS else COLUMNS[name].meaning
        return text

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the title of a column and what it means."""
        if orientation != Qt.Orientation.Horizontal or not 0 <= section < len(self.columns):
            return None
        name = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[name].title
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{COLUMNS[name].meaning} Click to sort."
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _LEFT if name in _WORDS else _RIGHT
        return None

    def _swatch(self, name: str) -> QPixmap:
        if name not in self._swatches:
            self._swatches[name] = QPixmap(10, 10)
            self._swatches[name].fill(QColor(*colour_of(name, self._classes)))
        return self._swatches[name]
