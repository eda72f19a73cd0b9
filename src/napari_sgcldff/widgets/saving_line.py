"""Where corrections are saved, and whether they are."""

from __future__ import annotations

import time
from pathlib import Path

import platformdirs
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sgcldff import session
from napari_sgcldff.autosave import Autosave

__all__ = ["SavingLine"]

_KEY = "curated_folder"


class SavingLine(QWidget):
    """The curated folder, remembered from one start to the next, and the state of saving.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    chosen = Signal()
    """Another folder is chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        default = Path(platformdirs.user_data_dir("sgcldff", appauthor=False)) / "curated"
        self.folder = Path(str(session.settings().value(_KEY, "") or default))
        self.where = QLabel()
        self.where.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.state = QLabel()
        self.state.setWordWrap(True)
        self.browse = QPushButton("…")
        self.browse.setMaximumWidth(32)
        self.browse.clicked.connect(self._choose)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.where, stretch=1)
        row.addWidget(self.browse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.state)
        self.use(self.folder)
        self.show_state(None)

    def use(self, folder: Path) -> None:
        """Use a folder from now on.

        Parameters
        ----------
        folder : Path
            Where corrections are saved; remembered from one start of napari to the next.
        """
        if folder != self.folder:
            session.settings().setValue(_KEY, str(folder))
        self.folder = folder
        parts = folder.parts
        self.where.setText(str(folder) if len(str(folder)) < 38 else str(Path("…", *parts[-2:])))
        self.where.setToolTip(f"Corrections are saved in {folder}: a curated data set, from which a model can learn.")
        self.chosen.emit()

    def show_state(self, autosave: Autosave | None) -> None:
        """Show whether all is saved.

        Parameters
        ----------
        autosave : Autosave or None
            What saves; None while nothing is corrected.
        """
        running = autosave is not None
        self.browse.setEnabled(not running)
        self.browse.setToolTip("Finish first; then another folder can be chosen." if running else "Choose a folder.")
        if autosave is None or (autosave.saved_at is None and not autosave.busy and not autosave.problem):
            self.state.setText("Each edit is saved as you make it." if running else "")
        elif autosave.problem:
            self.state.setText(f"Not saved: {autosave.problem}")
        elif autosave.busy or autosave.saved_at is None:
            self.state.setText("Saving …")
        else:
            self.state.setText(f"Saved {_ago(time.time() - autosave.saved_at)}")

    def _choose(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a folder for corrections", str(self.folder))
        if folder:
            self.use(Path(folder))


def _ago(seconds: float) -> str:
    if seconds < 2:
        return "just now"
    if seconds < 90:
        return f"{seconds:.0f} s ago"
    return f"{seconds / 60:.0f} min ago"
