"""Run, cancel, progress, message: the part of a widget that works in the background."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_sgcldff.session import session_of
from napari_sgcldff.tasks import Ending, Progress, Report, Task

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["TaskPanel"]

T = TypeVar("T")


class TaskPanel(QWidget):
    """A button that starts a task, one that cancels it, its progress, and a line that says how it went.

    In one viewer only one task is on at a time, whichever widget started it.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose session says whether a task is on.
    title : str
        On the run button.
    tooltip : str
        What the run button does.
    parent : QWidget, optional
        The widget it lies in.
    """

    changed = Signal()
    """A task has started or ended: controls are to be enabled anew."""

    def __init__(self, viewer: ViewerModel, title: str, tooltip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session_of(viewer)
        self._task: Task[Any] | None = None
        self._tooltip = tooltip
        self._hindrance = ""
        self.run_button = QPushButton(title)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop the run and leave the viewer as it was.")
        self.cancel_button.clicked.connect(self.cancel)
        self.progress = QProgressBar()
        self.message = QLabel()
        self.message.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button, stretch=1)
        buttons.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(buttons)
        layout.addWidget(self.progress)
        layout.addWidget(self.message)
        self.destroyed.connect(partial(_abandon, weakref.ref(self)))
        self._refresh()

    @property
    def running(self) -> bool:
        """Whether the task that this panel started has not ended."""
        return self._task is not None and self._task.running

    def start(
        self,
        title: str,
        work: Callable[[Report], T],
        on_result: Callable[[T], None],
        *,
        on_end: Callable[[Ending], None] | None = None,
    ) -> bool:
        """Start a task, unless one is on in this viewer.

        Parameters
        ----------
        title : str
            Shown in the activity dock.
        work : callable
            Called in a thread of its own with a `Report`; it must touch no layer and no widget.
        on_result : callable
            Called in the main thread with what `work` returned.
        on_end : callable, optional
            Called in the main thread last of all, however it ended.

        Returns
        -------
        bool
            Whether it was started.
        """
        if not self._session.occupy(title):
            self.message.setText(f"{self._session.busy} is still on; wait for it, or cancel it.")
            return False
        self._task = Task(
            title, work, on_result=on_result, on_progress=self._advance, on_end=partial(self._end, on_end)
        )
        self.message.setText("")
        self._task.start()
        self._refresh()
        self.changed.emit()
        return True

    def cancel(self) -> None:
        """Ask the running task to stop."""
        if self._task is not None and self._task.running:
            self._task.cancel()
            self.cancel_button.setEnabled(False)
            self.message.setText("Stopping …")

    def hinder(self, why: str) -> None:
        """Disable the run button and say why on it; an empty reason enables it.

        Parameters
        ----------
        why : str
            One sentence.
        """
        self._hindrance = why
        self._refresh()

    def _advance(self, progress: Progress) -> None:
        self.progress.setRange(0, progress.total)
        self.progress.setValue(progress.done)
        self.progress.setFormat(f"{progress.stage} %p %" if progress.total else progress.stage)

    def _end(self, then: Callable[[Ending], None] | None, ending: Ending) -> None:
        self._session.release()
        if ending is Ending.STOPPED:
            self.message.setText("Stopped; nothing was changed.")
        elif ending is Ending.FAILED:
            self.message.setText("Failed; the notification says why.")
        self._refresh()
        if then is not None:
            then(ending)
        self.changed.emit()

    def _refresh(self) -> None:
        running = self.running
        self.run_button.setEnabled(not self._hindrance and not running)
        self.run_button.setToolTip("A run is on; stop it first." if running else self._hindrance or self._tooltip)
        self.progress.setVisible(running)
        self.cancel_button.setEnabled(running)


def _abandon(panel: weakref.ref[TaskPanel]) -> None:
    """Stop what a panel started, once its window is gone."""
    gone = panel()
    if gone is not None and gone._task is not None and gone._task.running:
        gone._task.abandon()
        gone._session.release()
