"""The differential count as a table whose last column is a bar chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from qtpy.QtCore import QModelIndex, QPersistentModelIndex, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from napari_sgcldff.cell_rows import cells_of, count_classes
from sgcldff_core.taxonomy import colour_of

__all__ = ["FLAT", "DifferentialTable"]

FLAT = "QHeaderView::section { background: transparent; border: none; padding: 3px 4px; font-weight: bold; }"
"""Style of a table's header that goes with napari's themes."""

_BAR = 3  # column
_SHARE = int(Qt.ItemDataRole.UserRole)
_ROW_HEIGHT = 22  # px
_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
_LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class DifferentialTable(QTableWidget):
    """How many cells there are of each class, their share, and a bar as long as the share.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 4, parent)
        self.setHorizontalHeaderLabels(["Class", "Cells", "Share", ""])
        self.setToolTip("The differential count: how many cells there are of each class.")
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setShowGrid(False)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setItemDelegateForColumn(_BAR, _Bars(self))
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(_ROW_HEIGHT)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionsClickable(False)
        header.setStyleSheet(FLAT)
        for column, alignment in ((0, _LEFT), (1, _RIGHT), (2, _RIGHT)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
            self.horizontalHeaderItem(column).setTextAlignment(alignment)
        header.setSectionResizeMode(_BAR, QHeaderView.ResizeMode.Stretch)

    def show_cells(self, cells: pd.DataFrame, classes: Sequence[str]) -> None:
        """Count the cells of a table.

        Parameters
        ----------
        cells : pandas.DataFrame
            With the column ``class``.
        classes : sequence of str
            All classes of the model, listed in this order even where there is no such cell.
        """
        table = cells if "index" in cells else cells.assign(index=range(1, len(cells) + 1))
        self.show_counts(count_classes(cells_of(table), classes), classes)

    def show_counts(self, counts: Mapping[str, int], classes: Sequence[str] = ()) -> None:
        """Show how many cells there are.

        Parameters
        ----------
        counts : mapping of str to int
            By class, in this order.
        classes : sequence of str, optional
            All classes of the model, for the colours of those that a user defined.
        """
        total = sum(counts.values())
        self.setRowCount(len(counts) + 1)
        for row, (name, count) in enumerate(counts.items()):
            self._write(row, name, count, count / total if total else None, colour_of(name, classes))
        self._write(len(counts), "all", total, 1.0 if total else None, None)
        self.setFixedHeight(
            self.rowCount() * _ROW_HEIGHT + self.horizontalHeader().sizeHint().height() + 2 * self.frameWidth()
        )

    def _write(self, row: int, name: str, count: int, share: float | None, colour: tuple[int, int, int] | None) -> None:
        title = QTableWidgetItem(name)
        swatch = QPixmap(12, 12)
        swatch.fill(QColor(*colour) if colour else QColor(Qt.GlobalColor.transparent))
        title.setIcon(QIcon(swatch))
        self.setItem(row, 0, title)
        percent = "–" if share is None else f"{100 * share:.1f} %"
        for column, text in ((1, str(count)), (2, percent)):
            item = QTableWidgetItem(text)
            item.setTextAlignment(_RIGHT)
            self.setItem(row, column, item)
        bar = QTableWidgetItem()
        if colour and share:
            bar.setData(_SHARE, (share, QColor(*colour)))
        self.setItem(row, _BAR, bar)


class _Bars(QStyledItemDelegate):
    """Draws a share as a bar, the whole width of the column for all cells."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Draw the bar of one class."""
        data = index.data(_SHARE)
        if data is None:
            return
        share, colour = data
        room = QRectF(option.rect).adjusted(8, 5, -8, -5)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        track = QColor(colour)
        track.setAlpha(45)
        for width, brush in ((room.width(), track), (max(share * room.width(), 2.0), colour)):
            painter.setBrush(brush)
            painter.drawRoundedRect(QRectF(room.x(), room.y(), width, room.height()), 3, 3)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """Ask for some width, so that a bar is to be seen in a narrow dock."""
        return QSize(60, _ROW_HEIGHT)
