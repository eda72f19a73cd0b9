"""Processing a folder, driven as a person would."""

from __future__ import annotations

import gc
import threading
import time
import types
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_sgcldff.layers import classes_of
from napari_sgcldff.processing import Job
from napari_sgcldff.session import session_of
from napari_sgcldff.widgets.batch import BatchWidget
from sgcldff_core.errors import ModelNotFoundError
from sgcldff_core.smear import Smear, SmearSettings, make_smear


@pytest.fixture
def folder(tmp_path: Path, smear: Smear) -> Path:
    """Return a folder with two images, a broken one between them, and one in a folder below."""
    folder = tmp_path / "slides"
    (folder / "below").mkdir(parents=True)
    for name in ("a.png", "c.png", "below/d.png"):
        Image.fromarray(smear.image).save(folder / name)
    (folder / "b.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture either", encoding="utf-8")
    return folder


@dataclass
class FakeProcess:
    """Takes its time over each file; the second fails. Can be held, and made to fail as a whole."""

    error: Exception | None = None
    hold: threading.Event = field(default_factory=threading.Event)
    jobs: list[Job] = field(default_factory=list)

    def __call__(self, job: Job, feed: Callable[[Any], None], report: Callable[[str, int, int], None]) -> Any:
        self.jobs.append(job)
        files = []
        for done, (stem, path) in enumerate(job.inputs.items()):
            report("processing", done, len(job.inputs))
            feed(types.SimpleNamespace(stem=stem, stage="finding cells", done=1, total=4, result=None))
            while not self.hold.wait(0.02):
                report("processing", done, len(job.inputs))
            if self.error is not None:
                raise self.error
            cells = pd.DataFrame(
                {"image": stem, "class": ["neutrophil", "basophil"], "needs_review": [True, False]}
            ).assign(prob_neutrophil=0.5, prob_basophil=0.5)
            problem = f"{path}: this is no image" if stem == "b" else ""
            result = types.SimpleNamespace(path=path, stem=stem, problem=problem, cells=None if problem else cells)
            feed(types.SimpleNamespace(stem=stem, stage="over", done=1, total=1, result=result))
            files.append(result)
        tables = pd.concat([file.cells for file in files if file.cells is not None])
        failures = [file for file in files if file.problem]
        return types.SimpleNamespace(files=files, cells=tables, failures=failures, seconds=3.2)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> FakeProcess:
    fake = FakeProcess()
    fake.hold.set()
    monkeypatch.setattr("napari_sgcldff.widgets.batch.process", fake)
    return fake


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    return make_napari_viewer()


@pytest.fixture
def widget(viewer: Any) -> BatchWidget:
    return viewer.window.add_plugin_dock_widget("napari-sgcldff", "Process a folder")[1]


def _choose(qtbot: QtBot, widget: BatchWidget, folder: Path) -> None:
    widget.folder.setText(str(folder))
    qtbot.waitUntil(lambda: not widget._typed.isActive(), timeout=5000)


def _press(qtbot: QtBot, button: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def _wait(qtbot: QtBot, widget: BatchWidget, timeout: int = 10_000) -> None:
    qtbot.waitUntil(lambda: not widget.panel.running, timeout=timeout)


def _states(widget: BatchWidget) -> dict[str, str]:
    return {
        widget.files.item(row, 0).text(): widget.files.item(row, 1).text() for row in range(widget.files.rowCount())
    }


def test_a_folder_is_listed_before_anything_is_done(qtbot: QtBot, widget: BatchWidget, folder: Path) -> None:
    assert widget.panel.run_button.toolTip() == "Choose a folder of images first."
    _choose(qtbot, widget, folder)
    assert _states(widget) == {"a.png": "waiting", "b.png": "waiting", "c.png": "waiting"}
    assert widget.panel.message.text() == "3 images"
    assert widget.out.placeholderText() == str(folder / "sgcldff")
    assert not widget.open_folder.isEnabled()
    widget.below.setChecked(True)
    assert list(_states(widget)) == ["a.png", "b.png", "d.png", "c.png"]
    _choose(qtbot, widget, folder / "missing")
    assert _states(widget) == {}
    assert not widget.panel.run_button.isEnabled()
    assert "there is no such file or folder" in widget.panel.message.text()


def test_a_folder_without_images_says_so(qtbot: QtBot, widget: BatchWidget, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _choose(qtbot, widget, tmp_path / "empty")
    assert widget.panel.message.text().startswith(f"No image in {tmp_path / 'empty'}; take the folders below")


def test_each_file_has_a_state_and_a_bad_one_stops_nobody(
    qtbot: QtBot, viewer: Any, widget: BatchWidget, folder: Path, process: FakeProcess
) -> None:
    session_of(viewer).model = "mine"
    assert widget.model.text() == "mine"
    _choose(qtbot, widget, folder)
    widget.diameter.setValue(85)
    widget.explain.setChecked(True)
    process.hold.clear()
    _press(qtbot, widget.panel.run_button)
    qtbot.waitUntil(lambda: _states(widget)["a.png"] == "finding cells 25 %", timeout=5000)
    assert _states(widget)["b.png"] == "waiting"
    assert not widget.folder.isEnabled()
    process.hold.set()
    _wait(qtbot, widget)
    assert _states(widget) == {
        "a.png": "2 cells, 1 to review",
        "b.png": "failed: this is no image",
        "c.png": "2 cells, 1 to review",
    }
    assert widget.panel.message.text() == (
        "4 cells in 2 images, 2 to review, in 3 s. 1 could not be used: the list says why."
    )
    (job,) = process.jobs
    assert (job.folder, job.model, job.diameter, job.explain) == (folder / "sgcldff", "mine", 85.0, True)
    table = widget.differential
    counted = {table.item(row, 0).text(): table.item(row, 1).text() for row in range(table.rowCount())}
    assert counted == {"neutrophil": "2", "basophil": "2", "all": "4"}


def test_cancel_acts_within_a_file_and_says_what_is_left(
    qtbot: QtBot, widget: BatchWidget, folder: Path, process: FakeProcess
) -> None:
    _choose(qtbot, widget, folder)
    process.hold.clear()
    _press(qtbot, widget.panel.run_button)
    qtbot.waitUntil(lambda: _states(widget)["a.png"].startswith("finding"), timeout=5000)
    begun = time.perf_counter()
    _press(qtbot, widget.panel.cancel_button)
    _wait(qtbot, widget)
    assert time.perf_counter() - begun < 1
    assert set(_states(widget).values()) == {"not done"}
    assert widget.panel.message.text() == "Stopped; the results of 0 images are kept."
    process.hold.set()
    _press(qtbot, widget.panel.run_button)
    _wait(qtbot, widget)
    assert _states(widget)["c.png"] == "2 cells, 1 to review"


def test_an_error_of_all_is_told(
    qtbot: QtBot, widget: BatchWidget, folder: Path, process: FakeProcess, notifications: list[Any]
) -> None:
    process.error = ModelNotFoundError("no model 'x'; known: leukocytes")
    _choose(qtbot, widget, folder)
    _press(qtbot, widget.panel.run_button)
    _wait(qtbot, widget)
    assert [n.message for n in notifications] == ["no model 'x'; known: leukocytes"]
    assert set(_states(widget).values()) == {"not done"}
    assert widget.panel.run_button.isEnabled()


def test_a_closed_widget_is_forgotten(qtbot: QtBot, viewer: Any, folder: Path, process: FakeProcess) -> None:
    widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Process a folder")[1]
    _choose(qtbot, widget, folder)
    process.hold.clear()
    _press(qtbot, widget.panel.run_button)
    qtbot.waitUntil(lambda: bool(process.jobs), timeout=5000)
    gone = weakref.ref(widget)
    with qtbot.captureExceptions() as raised:
        viewer.window.remove_dock_widget(widget)
        widget.deleteLater()
        del widget
        qtbot.waitUntil(lambda: not session_of(viewer).busy, timeout=5000)
        qtbot.wait(200)
    gc.collect()
    assert raised == []
    assert gone() is None


def test_results_of_the_shipped_model_open_by_a_double_click(
    qtbot: QtBot, viewer: Any, widget: BatchWidget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smear = make_smear(4, SmearSettings(height=160, width=160, diameter=70, leukocytes=1, centred=True, cut=0))
    folder = tmp_path / "one"
    folder.mkdir()
    Image.fromarray(smear.image).save(folder / "cell.png")
    _choose(qtbot, widget, folder)
    widget.diameter.setValue(70)
    widget.explain.setChecked(True)
    _press(qtbot, widget.panel.run_button)
    _wait(qtbot, widget, timeout=300_000)
    assert _states(widget)["cell.png"].startswith("1 cell")
    widget.files.cellDoubleClicked.emit(0, 1)
    assert [layer.name for layer in viewer.layers] == ["cell", "cell saliency", "cell Grad-CAM", "cell WBC"]
    cells = viewer.layers["cell WBC"]
    assert ((np.asarray(cells.data) > 0) == (smear.labels > 0)).mean() > 0.95
    assert list(classes_of(cells)) == [1]
    assert cells.features["review_reason"].notna().all()
    assert cells.metadata["sgcldff"]["model"] == "leukocytes"
    assert cells.metadata["sgcldff"]["diameter"] == 70
    viewer.layers.selection.active = viewer.layers["cell"]
    widget.files.cellDoubleClicked.emit(0, 1)  # again: it is there already
    assert len(viewer.layers) == 4
    assert viewer.layers.selection.active is cells
    opened: list[Any] = []
    monkeypatch.setattr("napari_sgcldff.widgets.batch.QDesktopServices.openUrl", opened.append)
    _press(qtbot, widget.open_folder)
    assert [Path(url.toLocalFile()) for url in opened] == [folder / "sgcldff"]
    # What was written is no input of the next run.
    widget.below.setChecked(True)
    assert list(_states(widget)) == ["cell.png"]
