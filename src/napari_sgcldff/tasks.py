"""Work in the background: the only place that starts workers.

A task runs in a thread of its own, shows its progress in napari's activity dock, can be cancelled, and ends
exactly once: done, stopped or failed. Its error becomes a notification that a person can read.

While a task is on, Python's garbage collector leaves alone what was there before: looking through all of napari and
torch takes it a good part of a second, in which the window would stand still.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from napari.qt.threading import create_worker
from napari.utils.notifications import notification_manager, show_error
from napari.utils.progress import cancelable_progress
from qtpy.QtCore import QTimer

from sgcldff_core.errors import CancelledError, SgcldffError

if TYPE_CHECKING:
    from napari.qt.threading import GeneratorWorker

__all__ = ["Ending", "Progress", "Report", "Task"]

T = TypeVar("T")

Report = Callable[[str, int, int], None]
"""Called by the work with the stage, the steps done and their total; raises `CancelledError` to stop it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is.

    Attributes
    ----------
    stage : str
        What it does now.
    done, total : int
        Steps of this stage; a total of 0 means that it is not known.
    """

    stage: str
    done: int
    total: int


class Ending(Enum):
    """How a task ended."""

    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


class Task(Generic[T]):
    """One piece of work in a thread of its own.

    Parameters
    ----------
    title : str
        Shown in the activity dock.
    work : callable
        Called in the thread with a `Report`; what it returns is the result.
    on_result : callable
        Called in the main thread with the result, if the work was done.
    on_progress : callable, optional
        Called in the main thread with each `Progress`.
    on_end : callable, optional
        Called in the main thread with the `Ending`, last of all, however the work ended.
    listed : bool
        Whether napari's activity dock lists it; not for short ones that come often.
    """

    def __init__(
        self,
        title: str,
        work: Callable[[Report], T],
        *,
        on_result: Callable[[T], None],
        on_progress: Callable[[Progress], None] | None = None,
        on_end: Callable[[Ending], None] | None = None,
        listed: bool = True,
    ) -> None:
        self._listed = listed
        self.title = title
        self._work = work
        self._on_result = on_result
        self._on_progress = on_progress
        self._on_end = on_end
        self._worker: GeneratorWorker[Any, Any, Any] | None = None
        self._bar: cancelable_progress | None = None
        self._result: list[T] = []
        self._error: Exception | None = None
        self._stage = ""
        self._started = False
        self._drawing = False

    @property
    def running(self) -> bool:
        """Whether the task was started and has not ended."""
        return self._worker is not None

    def start(self) -> None:
        """Start the work; a task runs once, and a second start does nothing."""
        if self._started:
            return
        self._started = True
        if self._listed:
            self._bar = cancelable_progress(total=0, desc=self.title, cancel_callback=self.cancel)
        self._worker = create_worker(self._steps, _start_thread=False)
        # Before the start, or what a quick task says is lost.
        self._worker.yielded.connect(self._progressed)
        self._worker.finished.connect(self._finished)
        _upkeep.begin()
        self._worker.start()

    def cancel(self) -> None:
        """Ask the work to stop; it does so at its next report."""
        if self._worker is not None:
            self._worker.quit()

    def abandon(self) -> None:
        """Stop the work and tell nobody: for when the widget that started it is gone."""
        self._on_progress = self._on_end = None
        self._on_result = _ignore
        self.cancel()

    def _steps(self) -> Iterator[None]:
        # The worker would leave its signals unsent after a RuntimeError, torch's favourite, so all are kept here.
        try:
            self._result = [self._work(self._report)]
        except Exception as error:  # noqa: BLE001 (told to the user in _finished)
            self._error = error
        yield None

    def _report(self, stage: str, done: int, total: int) -> None:
        worker = self._worker
        if worker is None or worker.abort_requested:
            raise CancelledError(f"{self.title}: stopped")
        worker.yielded.emit(Progress(stage, done, total))

    def _progressed(self, progress: Progress | None) -> None:
        if progress is None:
            return
        if self._on_progress is not None:
            self._on_progress(progress)
        bar = self._bar
        if bar is None or self._drawing:
            return
        # The bar handles waiting events as it draws, so what follows this one may come, and end, in between.
        self._drawing = True
        if progress.stage != self._stage:
            self._stage = progress.stage
            bar.reset(progress.total)
            bar.set_description(f"{self.title}: {progress.stage}")
        if self._bar is bar:
            bar.update(progress.done - bar.n)
        self._drawing = False

    def _finished(self) -> None:
        stopped = self._worker is None or self._worker.abort_requested or isinstance(self._error, CancelledError)
        _upkeep.end()
        error, result = self._error, self._result
        self._worker, self._error, self._result = None, None, []
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        ending = Ending.STOPPED if stopped else Ending.FAILED if error else Ending.DONE
        try:
            if ending is Ending.DONE:
                self._on_result(result[0])
            elif ending is Ending.FAILED and error is not None:
                _tell(error)
        finally:
            told, self._on_end = self._on_end, None
            # napari keeps the worker, and so this task, for its list of tasks: let go of who started it.
            self._on_progress, self._on_result, self._work = None, _ignore, _nothing
            if told is not None:
                told(ending)


_SHORT = 0.001  # s that a worker may compute before it lets the window have its turn; Python's own is 0.005
_COLLECT = 1000  # ms between collections of garbage while a task is on


class _Upkeep:
    """What is set for the whole process while any task is on; used in the main thread only.

    A worker's thread that collects garbage may take a widget that was closed with it, and Qt dies of that. So
    nobody collects by himself while a task is on, and a timer does so here.
    """

    def __init__(self) -> None:
        self._tasks = 0
        self._interval = 0.0
        self._collects = True
        self._timer: QTimer | None = None

    def begin(self) -> None:
        """Hide what there is from the garbage collector, and let the window interrupt sooner."""
        if not self._tasks:
            self._interval, self._collects = sys.getswitchinterval(), gc.isenabled()
            sys.setswitchinterval(_SHORT)
            gc.disable()
            self._timer = QTimer()
            self._timer.timeout.connect(gc.collect)
            self._timer.start(_COLLECT)
        gc.freeze()
        self._tasks += 1

    def end(self) -> None:
        """Put everything back after the last task."""
        self._tasks -= 1
        if self._tasks:
            return
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        sys.setswitchinterval(self._interval)
        gc.unfreeze()
        if self._collects:
            gc.enable()


_upkeep = _Upkeep()


def _ignore(result: object) -> None:
    pass


def _nothing(report: Report) -> Any:
    pass


def _tell(error: Exception) -> None:
    if isinstance(error, SgcldffError):
        show_error(str(error))
    else:  # a bug: with its traceback, which the notification offers to show
        notification_manager.receive_error(type(error), error, error.__traceback__)
