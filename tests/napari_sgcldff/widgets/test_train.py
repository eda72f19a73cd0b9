"""The widget that trains, driven as a person would, with a real but tiny network."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.utils.progress import progress as napari_progress
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMessageBox

from napari_sgcldff.layers import annotation_layer
from napari_sgcldff.session import session_of
from napari_sgcldff.torch_loading import load_torch
from napari_sgcldff.training_run import unfinished_runs
from napari_sgcldff.widgets.train import TrainWidget
from sgcldff_core.model_folders import available_models
from sgcldff_core.smear import SmearSettings, make_smear
from sgcldff_core.taxonomy import LEUKOCYTES

SMEAR = SmearSettings(height=110, width=110, diameter=50, leukocytes=2, cut=0.0, stain="wright")
LONG = 60_000


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep runs and models of a test among its own files."""
    monkeypatch.setattr("platformdirs.user_data_dir", lambda *given, **named: str(tmp_path / "user"))
    return tmp_path / "user"


@pytest.fixture
def tiny(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a tiny model among the user's own, and make views small."""
    load_torch()
    from sgcldff_core.model import Model, ModelConfig, build_network, save_model
    from sgcldff_core.training import refining

    config = ModelConfig(
        classes=tuple(c.name for c in LEUKOCYTES),
        canonical_diameter=48.0,
        swin=False,
        width=32,
        cardinality=8,
        embedding=32,
        frozen_statistics=True,
    )
    save_model(Model("tiny", config, build_network(config, imagenet=True).eval()), own_folder / "models" / "tiny")
    whole = refining.refining_settings

    def small(*given: Any, **named: Any) -> Any:
        return replace(whole(*given, **named, rehearsal=0.0), size=64, batch=4)

    monkeypatch.setattr(refining, "refining_settings", small)
    return "tiny"


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Iterator[Any]:
    """Return a viewer with a stack of six small smears and their annotation; one cell has a class of its own."""
    smears = [make_smear(seed, SMEAR) for seed in range(6)]
    names: dict[int, str] = {}
    planes = []
    for number, smear in enumerate(smears):
        planes.append(np.where(smear.labels, smear.labels + 10 * number, 0))
        names |= {label + 10 * number: kind for label, kind in smear.classes.items()}
    for label in list(names)[::3]:
        names[label] = "smudge"
    viewer = make_napari_viewer()
    viewer.add_image(np.stack([s.image for s in smears]), name="stack", rgb=True)
    data, attributes, _ = annotation_layer(np.stack(planes), names, "stack labels")
    viewer.add_labels(data, **attributes)
    return viewer


@pytest.fixture
def widget(viewer: Any, tiny: str) -> TrainWidget:
    """Return the widget as the menu opens it, with little to do."""
    _, widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Train a model")
    widget.settings.start.setCurrentIndex(widget.settings.start.findData(tiny))
    widget.settings.epochs.setValue(2)
    widget.settings.views.setValue(8)
    return widget


def load_model(name: str | Path) -> Any:
    """Load a model; not imported above, where torch would come before it is asked for."""
    from sgcldff_core import model

    return model.load_model(name)


def _click(qtbot: QtBot, button: Any) -> None:
    assert button.isEnabled(), button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def _wait(qtbot: QtBot, widget: TrainWidget, until: Callable[[], bool]) -> None:
    qtbot.waitUntil(lambda: until() and not widget.panel.running, timeout=LONG)


def test_from_layers_to_a_model_that_is_selected(qtbot: QtBot, viewer: Any, widget: TrainWidget, own_folder) -> None:
    assert not widget.panel.run_button.isEnabled()
    assert widget.panel.run_button.toolTip() == "Add a folder or layers to learn from first."
    _click(qtbot, widget.sources.add_layers)
    assert widget.sources.list.item(0).text() == "stack with stack labels"
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget, lambda: widget.before_after.table.rowCount() > 0)

    run = widget._run
    assert [epoch for epoch, _ in run.figures] == [0, 1, 2]
    assert len(run.losses) == 4
    assert [len(curve.points) for curve in widget.progress.figures.curves] == [3, 3]
    assert not widget.progress.legend.isHidden()
    table = widget.before_after.table
    titles = [table.item(row, 0).text() for row in range(table.rowCount())]
    assert titles[:3] == ["Outline IoU", "Right class", "Miscounted per image"]
    assert all(table.item(row, column).text() for row in range(len(titles)) for column in (1, 2, 3))
    assert widget.before_after.pictures.captions[0].startswith("before")
    assert "holds out 1" in widget.panel.message.text()
    assert "rough idea" in widget.panel.message.text()
    assert not napari_progress._all_instances
    assert not run.resumable

    widget.name.clear()
    assert not widget.save_button.isEnabled()
    assert widget.save_button.toolTip() == "Give the model a name first."
    qtbot.keyClicks(widget.name, "mine")
    _click(qtbot, widget.save_button)
    assert session_of(viewer).model == "mine"
    assert available_models()["mine"] == own_folder / "models" / "mine"
    assert load_model("mine").config.classes[-1] == "smudge"
    assert widget.settings.start.findData("mine") >= 0


def test_a_model_is_replaced_only_when_the_person_says_so(
    qtbot: QtBot, widget: TrainWidget, monkeypatch: pytest.MonkeyPatch, notifications: list[Any]
) -> None:
    widget.settings.epochs.setValue(1)
    _click(qtbot, widget.sources.add_layers)
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget, lambda: widget.before_after.table.rowCount() > 0)
    before = load_model("tiny").sha256
    widget.name.setText("tiny")
    monkeypatch.setattr(QMessageBox, "question", lambda *given: QMessageBox.StandardButton.No)
    _click(qtbot, widget.save_button)
    assert load_model("tiny").sha256 == before
    monkeypatch.setattr(QMessageBox, "question", lambda *given: QMessageBox.StandardButton.Yes)
    _click(qtbot, widget.save_button)
    assert load_model("tiny").sha256 != before
    widget.name.setText("a/b")
    _click(qtbot, widget.save_button)
    widget.name.setText("leukocytes")
    _click(qtbot, widget.save_button)
    told = [n.message for n in notifications]
    assert "'a/b' is no name for a model" in told[0]
    assert "there is a model 'leukocytes' already" in told[1]


def test_pause_cancel_and_resume_even_in_another_window(qtbot: QtBot, viewer: Any, widget: TrainWidget) -> None:
    widget.settings.epochs.setValue(40)
    _click(qtbot, widget.sources.add_layers)
    _click(qtbot, widget.panel.run_button)
    qtbot.waitUntil(lambda: widget._run is not None and len(widget._run.figures) > 1, timeout=LONG)
    assert not widget.settings.isEnabled()
    _click(qtbot, widget.pause_button)
    assert widget.pause_button.text() == "Go on"
    qtbot.wait(700)
    steps = len(widget._run.losses)
    qtbot.wait(700)
    assert len(widget._run.losses) == steps
    assert "paused" in widget.progress.time_left.text()
    _click(qtbot, widget.pause_button)
    qtbot.waitUntil(lambda: len(widget._run.losses) > steps, timeout=LONG)

    begun = time.perf_counter()
    _click(qtbot, widget.panel.cancel_button)
    _wait(qtbot, widget, lambda: True)
    assert time.perf_counter() - begun < 3  # a second on a machine that does nothing else
    assert "The best model so far is kept" in widget.panel.message.text()
    assert widget.save_button.isEnabled()
    load_model(widget._run.folder)
    assert not napari_progress._all_instances

    (folder,) = unfinished_runs()
    assert folder == widget._run.folder
    settings = folder / "run.json"
    # As after a restart, when neither the layers nor the widget are there; and with fewer epochs to wait for.
    epochs = len(widget._run.figures)
    for name in ("run.json",):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace('"epochs": 40', f'"epochs": {epochs + 1}'))
    _shorten(folder, epochs + 1)
    assert settings.is_file()
    viewer.layers.clear()
    assert widget.sources.empty
    viewer.window.remove_dock_widget(widget)
    widget.deleteLater()
    _, again = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Train a model")
    assert again is not widget
    again._list_runs()
    again.runs.actions()[0].trigger()
    _wait(qtbot, again, lambda: again.before_after.table.rowCount() > 0)
    assert again._run.figures[-1][0] == epochs + 1
    assert len(again._run.figures) >= epochs
    assert unfinished_runs() == []


def _shorten(folder: Path, epochs: int) -> None:
    """Write the epochs into a checkpoint's settings."""
    import json

    from safetensors import safe_open
    from safetensors.torch import save_file

    path = folder / "checkpoint.safetensors"
    with safe_open(path, framework="pt") as file:
        notes = json.loads(file.metadata()["notes"])
        tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - not a mapping
    notes["settings"]["epochs"] = epochs
    save_file(tensors, path, metadata={"notes": json.dumps(notes)})


def test_errors_are_told_and_the_next_run_is_free(
    qtbot: QtBot, viewer: Any, widget: TrainWidget, notifications: list[Any]
) -> None:
    one = make_smear(0, SMEAR)
    image = viewer.add_image(one.image, name="alone", rgb=True)
    labels = viewer.add_labels(one.labels, name="alone labels")
    widget.sources.add_pair(image, labels)
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget, lambda: bool(notifications))
    assert "fewer than two images that may be learned from" in notifications[0].message
    assert widget.panel.message.text() == "Failed; the notification says why."
    assert not widget.save_button.isEnabled()

    widget.settings.start.setCurrentIndex(widget.settings.start.findData("imagenet"))
    assert not widget.settings.what.isEnabled()
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget, lambda: len(notifications) > 1)
    assert "a new model needs cells of at least two classes, and no class is named" in notifications[1].message

    labels.data = np.zeros_like(one.labels)
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget, lambda: len(notifications) > 2)
    assert "the chosen layers have no labels yet" in notifications[2].message


def test_what_is_learned_from_follows_the_viewer(
    qtbot: QtBot, viewer: Any, widget: TrainWidget, tmp_path: Path
) -> None:
    _click(qtbot, widget.sources.add_layers)
    _click(qtbot, widget.sources.add_layers)
    widget.sources.add_path(str(tmp_path))
    assert widget.sources.list.count() == 2
    assert widget.sources.paths == (str(tmp_path),)
    viewer.layers["stack"].name = "other"
    assert widget.sources.list.item(0).text() == "other with stack labels"
    viewer.layers.remove("stack labels")
    assert [widget.sources.list.item(i).text() for i in range(widget.sources.list.count())] == [
        f"Folder {tmp_path.name}"
    ]
    assert not widget.sources.add_layers.isEnabled()
    widget.sources.list.item(0).setSelected(True)
    _click(qtbot, widget.sources.remove)
    assert widget.sources.empty
    assert not widget.panel.run_button.isEnabled()


def test_no_second_task_and_a_closed_window_does_no_harm(qtbot: QtBot, viewer: Any, widget: TrainWidget) -> None:
    session = session_of(viewer)
    _click(qtbot, widget.sources.add_layers)
    assert session.occupy("Something else")
    _click(qtbot, widget.panel.run_button)
    assert widget._run is None
    assert widget.panel.message.text() == "Something else is still on; wait for it, or cancel it."
    session.release()

    widget.settings.epochs.setValue(500)
    _click(qtbot, widget.panel.run_button)
    run = widget._run
    qtbot.waitUntil(lambda: bool(run.losses), timeout=LONG)
    widget.run()
    assert widget._run is run
    viewer.window.remove_dock_widget(widget)
    widget.deleteLater()
    qtbot.waitUntil(lambda: not session.busy, timeout=LONG)
    steps = len(run.losses)
    qtbot.wait(1500)
    assert len(run.losses) <= steps + 1


def test_opening_it_imports_no_torch() -> None:
    code = "import sys, napari_sgcldff.widgets.train; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
