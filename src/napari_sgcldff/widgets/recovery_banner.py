"""The offer to bring back work that a crash cut off."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sgcldff.autosave import lock_folder
from napari_sgcldff.unsaved_work import UnsavedWork, left_behind
from sgcldff_core.errors import DataError

__all__ = ["RecoveryBanner"]


class RecoveryBanner(QFrame):
    """Shown only where there is such work.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    restored = Signal(object)
    """An `UnsavedWork` is to be brought back."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.work: UnsavedWork | None = None
        self._folder = Path()
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.restore = QPushButton("Restore")
        self.restore.setToolTip("Show the image and its cells as they were, and go on correcting.")
        self.restore.clicked.connect(self._restore)
        self.discard = QPushButton("Discard")
        self.discard.setToolTip("Forget what is not in the curated folder yet.")
        self.discard.clicked.connect(self._discard)
        buttons = QHBoxLayout()
        buttons.addWidget(self.restore)
        buttons.addWidget(self.discard)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        self.hide()

    def look_in(self, folder: Path) -> None:
        """Offer what was left behind in a curated folder, unless another window is at work there.

        Parameters
        ----------
        folder : Path
            A curated folder; need not exist.
        """
        self._folder = folder
        found = left_behind(folder)
        if found:
            try:
                lock_folder(folder).unlock()
            except DataError:
                found = []
        self.work = None
        for work in found:
            try:
                about = work.about()
            except DataError:
                continue
            self.work = work
            began = datetime.fromisoformat(str(about["began"])).astimezone()
            self.text.setText(
                f"napari ended before your work on “{about['image']}” of {began:%d %B, %H:%M} was finished."
            )
            break
        self.setVisible(self.work is not None)

    def _restore(self) -> None:
        work, self.work = self.work, None
        self.hide()
        if work is not None:
            self.restored.emit(work)

    def _discard(self) -> None:
        if self.work is not None:
            self.work.discard()
        self.look_in(self._folder)
