"""How far the review is; accept, next, undo, redo."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

__all__ = ["ReviewBar"]


class ReviewBar(QWidget):
    """Buttons and progress of the review.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    accepted = Signal()
    skipped = Signal()
    accepted_all = Signal()
    undone = Signal()
    redone = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.progress = QProgressBar()
        self.progress.setToolTip("Cells that you named, edited or accepted, of all cells.")
        self.accept = _button("A  Accept and next", "The cell is right as it is; show the next one to review. Key A.")
        self.next = _button("N  Next", "Show the next cell to review; those that ask for it come first. Key N.")
        self.all = _button("Accept all", "Every cell that is left is right as it is.")
        self.undo, self.redo = _button("Undo", ""), _button("Redo", "")
        pairs = (
            (self.accept, self.accepted),
            (self.next, self.skipped),
            (self.all, self.accepted_all),
            (self.undo, self.undone),
            (self.redo, self.redone),
        )
        for button, signal in pairs:
            button.clicked.connect(signal)
        first, second = QHBoxLayout(), QHBoxLayout()
        first.addWidget(self.accept, stretch=2)
        first.addWidget(self.next, stretch=1)
        for button in (self.all, self.undo, self.redo):
            second.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.progress)
        layout.addLayout(first)
        layout.addLayout(second)
        self.show_progress(0, 0)
        self.show_steps("", "")

    def show_progress(self, done: int, total: int) -> None:
        """Show how many cells are reviewed.

        Parameters
        ----------
        done, total : int
            Cells reviewed, and cells in all.
        """
        self.progress.setRange(0, max(total, 1))
        self.progress.setValue(done)
        self.progress.setFormat(f"{done} of {total} reviewed" if total else "no cells")
        for button in (self.next, self.accept, self.all):
            button.setEnabled(done < total)

    def show_steps(self, undo: str, redo: str) -> None:
        """Show what would be undone and done again; empty for nothing.

        Parameters
        ----------
        undo, redo : str
            The step in words.
        """
        self.undo.setEnabled(bool(undo))
        self.undo.setToolTip(f"Undo: {undo}. Ctrl+Z." if undo else "There is nothing to undo.")
        self.redo.setEnabled(bool(redo))
        self.redo.setToolTip(f"Do again: {redo}. Ctrl+Shift+Z." if redo else "There is nothing to do again.")


def _button(title: str, tip: str) -> QPushButton:
    button = QPushButton(title)
    button.setToolTip(tip)
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the canvas keeps the keys
    return button
