"""Work in the background: progress, cancel, errors, and one ending each."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from napari.utils.notifications import Notification
from napari.utils.progress import progress as napari_progress
from pytestqt.qtbot import QtBot

from napari_sgcldff.tasks import Ending, Progress, Report, Task
from sgcldff_core.errors import FormatError


class Record:
    """Everything that a task says."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.threads: set[int] = set()

    def __call__(self, word: Any) -> None:
        self.said.append(word)
        self.threads.add(threading.get_ident())


def _run(qtbot: QtBot, work: Callable[[Report], Any]) -> Record:
    record = Record()
    task = Task("Try", work, on_result=record, on_progress=record, on_end=record)
    task.start()
    assert task.running
    qtbot.waitUntil(lambda: not task.running, timeout=5000)
    assert not napari_progress._all_instances
    assert record.threads == {threading.get_ident()}
    return record


def test_progress_then_result_then_end(qtbot: QtBot) -> None:
    def work(report: Report) -> int:
        assert threading.get_ident() != threading.main_thread().ident
        report("looking", 0, 2)
        report("looking", 1, 2)
        report("naming", 0, 0)
        return 42

    record = _run(qtbot, work)
    assert record.said == [
        Progress("looking", 0, 2),
        Progress("looking", 1, 2),
        Progress("naming", 0, 0),
        42,
        Ending.DONE,
    ]


@pytest.mark.parametrize(
    ("error", "severity"),
    [
        (FormatError("a.png", "is empty"), "error"),
        (RuntimeError("out of memory"), "error"),
        (KeyError("x"), "error"),
    ],
    ids=["user", "torch", "bug"],
)
def test_an_error_is_told_once_and_ends_the_task(
    qtbot: QtBot, notifications: list[Notification], error: Exception, severity: str
) -> None:
    def work(report: Report) -> None:
        report("looking", 0, 2)
        raise error

    record = _run(qtbot, work)
    assert record.said[-1] is Ending.FAILED
    assert [str(n.severity) for n in notifications] == [severity]
    assert str(error) in notifications[0].message


def test_cancel_acts_at_the_next_report_and_gives_no_result(qtbot: QtBot) -> None:
    cleaned = threading.Event()

    def work(report: Report) -> int:
        try:
            while True:
                report("looking", 0, 0)
                time.sleep(0.01)
        finally:
            cleaned.set()

    record = Record()
    task = Task("Try", work, on_result=record, on_end=record)
    task.start()
    qtbot.wait(50)
    begun = time.perf_counter()
    task.cancel()
    qtbot.waitUntil(lambda: not task.running, timeout=5000)
    assert time.perf_counter() - begun < 1
    assert record.said == [Ending.STOPPED]
    assert cleaned.is_set()
    assert not napari_progress._all_instances


def test_a_result_that_comes_after_cancel_is_dropped(qtbot: QtBot) -> None:
    release = threading.Event()
    record = Record()
    task = Task("Try", lambda report: release.wait(5), on_result=record, on_end=record)
    task.start()
    qtbot.wait(20)
    task.cancel()
    release.set()
    qtbot.waitUntil(lambda: not task.running, timeout=5000)
    assert record.said == [Ending.STOPPED]


def test_the_end_comes_even_if_the_result_cannot_be_shown(qtbot: QtBot) -> None:
    ended = Record()

    def show(result: int) -> None:
        raise ValueError("the layer is gone")

    task = Task("Try", lambda report: 1, on_result=show, on_end=ended)
    with qtbot.captureExceptions() as raised:
        task.start()
        qtbot.waitUntil(lambda: not task.running and bool(ended.said), timeout=5000)
    assert ended.said == [Ending.DONE]
    assert [str(error) for _, error, _ in raised] == ["the layer is gone"]


def test_an_abandoned_task_says_nothing(qtbot: QtBot) -> None:
    record = Record()
    release = threading.Event()

    def work(report: Report) -> int:
        release.wait(5)
        report("looking", 1, 1)
        return 1

    task = Task("Try", work, on_result=record, on_progress=record, on_end=record)
    task.start()
    task.abandon()
    release.set()
    qtbot.waitUntil(lambda: not task.running, timeout=5000)
    assert record.said == []


def test_starting_twice_runs_once(qtbot: QtBot) -> None:
    runs = []
    release = threading.Event()

    def work(report: Report) -> None:
        runs.append(1)
        release.wait(5)

    task = Task("Try", work, on_result=lambda result: None)
    task.start()
    task.start()
    release.set()
    qtbot.waitUntil(lambda: not task.running, timeout=5000)
    assert runs == [1]


def test_garbage_is_collected_in_the_main_thread_alone(qtbot: QtBot) -> None:
    """Qt dies when a widget that was closed is collected in a worker's thread."""
    collected: list[bool] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            collected.append(threading.current_thread() is threading.main_thread())

    def work(report: Report) -> None:
        for step in range(30):
            [[] for _ in range(5000)]  # many more than the collector waits for
            report("littering", step, 30)
            time.sleep(0.05)

    done: list[Ending] = []
    task = Task("Litter", work, on_result=lambda _: None, on_end=done.append)
    gc.callbacks.append(note)
    try:
        task.start()
        assert not gc.isenabled()
        qtbot.waitUntil(lambda: bool(done), timeout=10_000)
    finally:
        gc.callbacks.remove(note)
    assert gc.isenabled()
    assert collected
    assert all(collected)
