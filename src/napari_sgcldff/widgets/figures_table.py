"""How far an explanation can be trusted, as a small table."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_sgcldff.figures import Figure, Verdict

__all__ = ["VERDICT_COLOURS", "FiguresTable"]

VERDICT_COLOURS = {Verdict.GOOD: "#2e9e6b", Verdict.FAIR: "#c98a1b", Verdict.POOR: "#d9534f"}
"""Seen on dark and on light; the word stands beside each."""


class FiguresTable(QTableWidget):
    """Measure, value, and what to think of it.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 3, parent)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setShowGrid(False)
        self.verticalHeader().hide()
        header = self.horizontalHeader()
        header.hide()
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)

    def show_figures(self, figures: Sequence[Figure], *, sum_last: bool = False) -> None:
        """List figures, a row each.

        Parameters
        ----------
        figures : sequence of Figure
            From top to bottom.
        sum_last : bool
            Whether the last one sums up, and is set in bold.
        """
        self.setRowCount(len(figures))
        for row, figure in enumerate(figures):
            texts = (figure.title, figure.text, f"● {figure.verdict.value}")
            for column, text in enumerate(texts):
                item = QTableWidgetItem(text)
                item.setToolTip(figure.tooltip)
                if column == 1:
                    item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                if column == 2:
                    item.setForeground(QColor(VERDICT_COLOURS[figure.verdict]))
                if sum_last and row == len(figures) - 1:
                    font = item.font()
                    font.setBold(True)
                    item.setFont(font)
                self.setItem(row, column, item)
        self.resizeRowsToContents()
        rows = sum(self.rowHeight(row) for row in range(self.rowCount()))
        self.setFixedHeight(rows + 2 * self.frameWidth())
