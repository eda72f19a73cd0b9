"""The differential count as a table."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from sgcldff_core.taxonomy import colour_of

__all__ = ["DifferentialTable"]


class DifferentialTable(QTableWidget):
    """How many cells there are of each class, and their share.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 3, parent)
        self.setHorizontalHeaderLabels(["Class", "Cells", "Share"])
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setShowGrid(False)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
            self.horizontalHeaderItem(column).setTextAlignment(_RIGHT)
        self.horizontalHeaderItem(0).setTextAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)

    def show_cells(self, cells: pd.DataFrame, classes: Sequence[str]) -> None:
        """Count the cells of a table.

        Parameters
        ----------
        cells : pandas.DataFrame
            With the columns ``image`` and ``class``.
        classes : sequence of str
            All classes of the model, listed in this order even where there is no such cell.
        """
        # Imported when there is something to count: it brings half of SciPy, and a widget is to open at once.
        from sgcldff_core.cells import ALL_IMAGES, differential

        counts = differential(cells, classes)
        counts = counts[counts["image"] == ALL_IMAGES]
        self.setRowCount(len(counts) + 1)
        for row, (name, count, percent) in enumerate(
            zip(counts["class"], counts["count"], counts["percent"], strict=True)
        ):
            self._write(row, name, int(count), percent, colour_of(name, classes))
        self._write(len(counts), "all", len(cells), 100.0 if len(cells) else float("nan"), None)
        self.resizeRowsToContents()
        rows = sum(self.rowHeight(row) for row in range(self.rowCount()))
        self.setFixedHeight(rows + self.horizontalHeader().sizeHint().height() + 2 * self.frameWidth())

    def _write(self, row: int, name: str, count: int, percent: float, colour: tuple[int, int, int] | None) -> None:
        title = QTableWidgetItem(name)
        swatch = QPixmap(12, 12)
        swatch.fill(QColor(*colour) if colour else QColor(Qt.GlobalColor.transparent))
        title.setIcon(QIcon(swatch))
        self.setItem(row, 0, title)
        share = "–" if math.isnan(percent) else f"{percent:.1f} %"
        for column, text in ((1, str(count)), (2, share)):
            item = QTableWidgetItem(text)
            item.setTextAlignment(_RIGHT)
            self.setItem(row, column, item)


_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
