"""Files and how far each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from napari_sgcldff.figures import Verdict
from napari_sgcldff.widgets.figures_table import VERDICT_COLOURS

if TYPE_CHECKING:
    from sgcldff_core.inference.batch import FileStep

__all__ = ["FileList"]


class FileList(QTableWidget):
    """One row a file: its name, and what has become of it.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    opened = Signal(str)
    """A file that is done was double-clicked; with what the names of its outputs begin with."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 2, parent)
        self.setHorizontalHeaderLabels(["File", "State"])
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header = self.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Interactive)
        self.setColumnWidth(1, 150)
        self.setMinimumHeight(140)
        self._rows: dict[str, int] = {}
        self._done: set[str] = set()
        self.cellDoubleClicked.connect(self._open)

    def show_files(self, files: Mapping[str, Path]) -> None:
        """List files, all of them waiting.

        Parameters
        ----------
        files : mapping of str to Path
            By what the names of their outputs begin with.
        """
        self._rows = {stem: row for row, stem in enumerate(files)}
        self._done = set()
        self.setRowCount(len(files))
        for row, path in enumerate(files.values()):
            name = QTableWidgetItem(path.name)
            name.setToolTip(str(path))
            self.setItem(row, 0, name)
            self._write(row, "waiting", None, "")

    def wait(self) -> None:
        """Let those that were running or done wait again."""
        self._done = set()
        for row in self._rows.values():
            self._write(row, "waiting", None, "")

    def show_step(self, step: FileStep) -> None:
        """Show how far a file is.

        Parameters
        ----------
        step : FileStep
            Of a listed file; of another one it is passed over.
        """
        row = self._rows.get(step.stem)
        if row is None:
            return
        result = step.result
        if result is None:
            share = f" {100 * step.done // step.total} %" if step.total else ""
            self._write(row, f"{step.stage}{share}", None, "")
            self.scrollToItem(self.item(row, 0))
        elif result.problem:
            why = result.problem.removeprefix(f"{result.path}: ")
            self._write(row, f"failed: {why}", Verdict.POOR, result.problem)
        else:
            count = 0 if result.cells is None else len(result.cells)
            review = 0 if not count or result.cells is None else int(result.cells["needs_review"].sum())
            text = f"{count} {'cell' if count == 1 else 'cells'}" + (f", {review} to review" if review else "")
            self._write(row, text, Verdict.GOOD, "Double-click to open the results.")
            self._done.add(step.stem)

    def stop(self) -> None:
        """Mark what was not finished."""
        for row in self._rows.values():
            item = self.item(row, 1)
            if item.data(Qt.ItemDataRole.UserRole) is None:
                self._write(row, "not done", None, "The run was stopped before.")

    def _write(self, row: int, text: str, verdict: Verdict | None, tooltip: str) -> None:
        item = QTableWidgetItem(text)
        item.setToolTip(tooltip)
        item.setData(Qt.ItemDataRole.UserRole, None if verdict is None else verdict.value)
        if verdict is not None:
            item.setForeground(QColor(VERDICT_COLOURS[verdict]))
        self.setItem(row, 1, item)

    def _open(self, row: int, column: int) -> None:
        stem = next((stem for stem, own in self._rows.items() if own == row), "")
        if stem in self._done:
            self.opened.emit(stem)
