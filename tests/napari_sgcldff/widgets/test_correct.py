"""Correcting cells, with the mouse on the canvas and keys, as a person would."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import textwrap
import time
import types
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QSettings, Qt

from napari_sgcldff import session
from napari_sgcldff.canvas_gestures import LINE_LAYER
from napari_sgcldff.layers import Source, prediction_layers, show_layers
from napari_sgcldff.session import session_of
from napari_sgcldff.unsaved_work import UNSAVED
from napari_sgcldff.view import camera_of
from napari_sgcldff.widgets.correct import CorrectWidget
from sgcldff_core.datasets import open_dataset
from sgcldff_core.datasets.history import history_of
from sgcldff_core.smear import Smear


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the curated folder, as it was chosen last."""
    session.settings().setValue("curated_folder", str(tmp_path / "curated"))
    return tmp_path / "curated"


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any], smear: Smear, predict: Callable[..., Any]) -> Any:
    """Return a viewer that shows the small field and its cells, as Segment leaves them."""
    viewer = make_napari_viewer()
    image = viewer.add_image(smear.image, name="field", scale=(0.5, 0.5))
    prediction = predict()
    prediction.labels = prediction.labels.copy()  # or the next tests get what this one edited
    show_layers(viewer, prediction_layers(prediction, Source.of(image), {"model": "leukocytes", "diameter": 60.0}))
    viewer.reset_view()
    return viewer


@pytest.fixture
def widget(viewer: Any, folder: Path) -> CorrectWidget:
    """Return the widget as the menu opens it."""
    _, widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Correct cells")
    return widget


@pytest.fixture
def started(qtbot: QtBot, widget: CorrectWidget) -> CorrectWidget:
    """Return the widget in the middle of a correction."""
    _click(qtbot, widget.panel.run_button)
    assert widget.correction is not None, widget.panel.message.text()
    return widget


def _click(qtbot: QtBot, button: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def _canvas(viewer: Any) -> Any:
    return viewer.window._qt_viewer.canvas.native


def _spot(viewer: Any, layer: Any, y: float, x: float) -> QPoint:
    """Return where on the canvas a pixel of a layer is drawn."""
    view = viewer.window._qt_viewer.canvas.view
    world = np.array(layer.data_to_world((y, x)))[-2:]
    x, y = (view.transform * view.scene.transform).map(list(world[::-1]))[:2]
    return QPoint(round(x), round(y))


def _click_at(qtbot: QtBot, viewer: Any, y: float, x: float) -> None:
    qtbot.mouseClick(_canvas(viewer), Qt.MouseButton.LeftButton, pos=_spot(viewer, viewer.layers["field WBC"], y, x))


def _drag(qtbot: QtBot, viewer: Any, points: list[tuple[float, float]]) -> None:
    layer, native = viewer.layers["field WBC"], _canvas(viewer)
    spots = [_spot(viewer, layer, *point) for point in points]
    qtbot.mousePress(native, Qt.MouseButton.LeftButton, pos=spots[0])
    for spot in spots[1:]:
        qtbot.mouseMove(native, spot)
        _moved(native, spot)
    qtbot.mouseRelease(native, Qt.MouseButton.LeftButton, pos=spots[-1])


def _moved(native: Any, spot: QPoint) -> None:
    """Move the mouse with its button held, which qtbot cannot."""
    from qtpy.QtCore import QEvent, QPointF
    from qtpy.QtGui import QMouseEvent
    from qtpy.QtWidgets import QApplication

    where = QPointF(spot)
    event = QMouseEvent(
        QEvent.Type.MouseMove,
        where,
        QPointF(native.mapToGlobal(spot)),
        Qt.MouseButton.NoButton,
        Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(native, event)


def _press(qtbot: QtBot, viewer: Any, key: Any, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
    qtbot.keyClick(_canvas(viewer), key, modifier)


def _centre(widget: CorrectWidget, label: int) -> tuple[float, float]:
    assert widget.correction is not None
    row = widget.correction.curation.table.loc[label]
    return row["centroid_y"], row["centroid_x"]


def _labels(viewer: Any) -> list[int]:
    layer = viewer.layers["field WBC"]
    present = [int(n) for n in np.unique(layer.data) if n]
    assert layer.features["index"].tolist() == present
    return present


def test_it_pairs_cells_and_image_and_says_what_is_missing(qtbot: QtBot, viewer: Any, widget: CorrectWidget) -> None:
    assert widget.cells_choice.currentText() == "field WBC"
    assert widget.image_choice.currentText() == "field"
    assert not widget.tools.isEnabled()
    viewer.layers.remove("field")
    assert widget.panel.run_button.toolTip() == "Open the image that these cells belong to."
    viewer.layers.remove("field WBC")
    assert not widget.panel.run_button.isEnabled()
    assert widget.panel.run_button.toolTip() == "Segment an image first, or open labels of its cells."


def test_a_click_looks_at_a_cell_and_a_key_names_it(
    qtbot: QtBot, viewer: Any, started: CorrectWidget, smear: Smear
) -> None:
    _click_at(qtbot, viewer, *_centre(started, 2))
    assert session_of(viewer).label == 2
    assert session_of(viewer).cells == str(viewer.layers["field WBC"].unique_id)
    assert started.card.title.text() == f"Cell 2 · {smear.classes[2]}"
    assert started.card.reason.text() == "Not reviewed yet"
    assert started.palette_.buttons[smear.classes[2]].isChecked()

    _press(qtbot, viewer, Qt.Key.Key_5)
    features = viewer.layers["field WBC"].features.set_index("index")
    assert features.loc[2, "class"] == "basophil"
    assert features.loc[2, "curated"]
    assert started.card.title.text() == "Cell 2 · basophil"
    assert started.card.reason.text() == "Reviewed by you"
    assert started.review.progress.format() == f"1 of {len(smear.classes)} reviewed"
    assert started.review.undo.toolTip() == "Undo: named cell 2 basophil. Ctrl+Z."

    _press(qtbot, viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert viewer.layers["field WBC"].features.set_index("index").loc[2, "class"] == smear.classes[2]
    _press(
        qtbot,
        viewer,
        Qt.Key.Key_Z,
        Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
    )
    assert viewer.layers["field WBC"].features.set_index("index").loc[2, "class"] == "basophil"


def test_a_class_of_ones_own_is_given_and_remembered(
    qtbot: QtBot, viewer: Any, started: CorrectWidget, folder: Path
) -> None:
    qtbot.keyClicks(started.palette_.new_name, "Smudge cell")
    _click(qtbot, started.palette_.add_button)
    _click_at(qtbot, viewer, *_centre(started, 1))
    _press(qtbot, viewer, Qt.Key.Key_6)
    layer = viewer.layers["field WBC"]
    assert layer.features.set_index("index").loc[1, "class"] == "Smudge cell"
    assert layer.get_color(1)[:3] == pytest.approx(np.array([204, 121, 167]) / 255, abs=0.01)
    _click(qtbot, started.panel.run_button)
    assert "Smudge cell" in open_dataset(folder, "curated").__iter__().__next__().classes.values()
    _click(qtbot, started.panel.run_button)
    assert started.palette_.classes[-1] == "Smudge cell"


def test_a_click_deletes_and_undo_brings_back(qtbot: QtBot, viewer: Any, started: CorrectWidget) -> None:
    before = viewer.layers["field WBC"].data.copy()
    present = _labels(viewer)
    centre = _centre(started, 3)
    _press(qtbot, viewer, Qt.Key.Key_D)
    assert started.tools.tools["delete"].isChecked()
    _click_at(qtbot, viewer, *centre)
    assert _labels(viewer) == [n for n in present if n != 3]
    _click(qtbot, started.review.undo)
    np.testing.assert_array_equal(viewer.layers["field WBC"].data, before)
    assert _labels(viewer) == present


def test_a_drag_does_not_delete(qtbot: QtBot, viewer: Any, started: CorrectWidget) -> None:
    present = _labels(viewer)
    _click(qtbot, started.tools.tools["delete"])
    y, x = _centre(started, 3)
    _drag(qtbot, viewer, [(y, x), (y + 10, x), (y + 20, x)])
    assert _labels(viewer) == present


def test_a_drawn_line_splits_and_two_clicks_join(qtbot: QtBot, viewer: Any, started: CorrectWidget) -> None:
    layer = viewer.layers["field WBC"]
    before = layer.data.copy()
    y, x = _centre(started, 2)
    _press(qtbot, viewer, Qt.Key.Key_S)
    assert LINE_LAYER in viewer.layers
    assert viewer.layers.selection.active is layer
    view = camera_of(viewer).center
    _drag(qtbot, viewer, [(y - 20, x + 3), (y - 5, x + 3), (y + 5, x + 4), (y + 20, x + 4)])
    assert camera_of(viewer).center == view
    new = max(_labels(viewer))
    assert new == before.max() + 1
    assert started.card.reason.text() == "To review: it was split from cell 2; is its class right?"

    _press(qtbot, viewer, Qt.Key.Key_G)
    assert LINE_LAYER not in viewer.layers
    _click_at(qtbot, viewer, *_centre(started, 2))
    assert started.panel.message.text() == "Now click the cell to join with cell 2."
    _click_at(qtbot, viewer, *_centre(started, new))
    np.testing.assert_array_equal(layer.data, before)


def test_a_line_beside_all_cells_is_explained(qtbot: QtBot, viewer: Any, started: CorrectWidget) -> None:
    _click(qtbot, started.tools.tools["split"])
    free = np.argwhere(viewer.layers["field WBC"].data == 0)
    y, x = free[0]
    _drag(qtbot, viewer, [(y, x), (y, x + 8)])
    assert started.panel.message.text() == "The line crosses no cell. Draw it across the cell to split."


def test_the_brush_paints_a_new_cell(qtbot: QtBot, viewer: Any, started: CorrectWidget) -> None:
    layer = viewer.layers["field WBC"]
    present = _labels(viewer)
    _press(qtbot, viewer, Qt.Key.Key_M)
    assert str(layer.mode) == "paint"
    assert started.tools.tools["paint"].isChecked()
    layer.brush_size = 8
    y, x = _free_spot(layer.data, 12)
    _drag(qtbot, viewer, [(y, x), (y, x + 4), (y, x + 8)])
    assert _labels(viewer) == [*present, max(present) + 1]
    assert started.card.reason.text() == "To review: it has no class yet"
    _press(qtbot, viewer, Qt.Key.Key_1)
    assert layer.features["class"].iloc[-1] == "neutrophil"
    assert len(started.correction.curation.steps.taken) == 2
    _press(qtbot, viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    _press(qtbot, viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert _labels(viewer) == present


def _free_spot(labels: np.ndarray, room: int) -> tuple[int, int]:
    """Return a pixel with nothing around it."""
    for y in range(room, labels.shape[0] - room, 4):
        for x in range(room, labels.shape[1] - room, 4):
            if not labels[y - room : y + room, x - room : x + room].any():
                return y, x
    raise AssertionError


def test_the_queue_leads_through_all_cells(qtbot: QtBot, viewer: Any, started: CorrectWidget, smear: Smear) -> None:
    _click(qtbot, started.review.next)
    assert session_of(viewer).label == 1
    assert started.card.reason.text() == "To review: low confidence"
    assert camera_of(viewer).center[-2:] == pytest.approx(np.array(_centre(started, 1)) / 2, abs=0.01)
    for done in range(1, len(smear.classes)):
        _press(qtbot, viewer, Qt.Key.Key_A)
        assert started.review.progress.format() == f"{done} of {len(smear.classes)} reviewed"
    _press(qtbot, viewer, Qt.Key.Key_A)
    assert started.panel.message.text() == "Every cell is reviewed."
    assert not started.review.accept.isEnabled()
    assert not viewer.layers["field WBC"].features["needs_review"].any()


def test_accept_all_is_one_step(qtbot: QtBot, viewer: Any, started: CorrectWidget, smear: Smear) -> None:
    _click(qtbot, started.review.all)
    assert viewer.layers["field WBC"].features["curated"].all()
    _click(qtbot, started.review.undo)
    assert not viewer.layers["field WBC"].features["curated"].any()
    assert not started.review.undo.isEnabled()


def test_keys_are_given_back(qtbot: QtBot, viewer: Any, widget: CorrectWidget) -> None:
    layer = viewer.layers["field WBC"]
    calls: list[str] = []
    layer.bind_key("A", lambda layer: calls.append("mine"))
    before = dict(layer.keymap)
    _click(qtbot, widget.panel.run_button)
    _press(qtbot, viewer, Qt.Key.Key_A)
    assert calls == []
    _click(qtbot, widget.panel.run_button)
    assert layer.keymap == before
    assert layer.mouse_drag_callbacks == [] or all("sgcldff" not in repr(c) for c in layer.mouse_drag_callbacks)
    _press(qtbot, viewer, Qt.Key.Key_A)
    assert calls == ["mine"]
    _press(qtbot, viewer, Qt.Key.Key_2)
    assert str(layer.mode) == "paint"


def test_every_edit_is_saved_with_who_and_what(
    qtbot: QtBot, viewer: Any, started: CorrectWidget, folder: Path, smear: Smear
) -> None:
    _click_at(qtbot, viewer, *_centre(started, 2))
    _press(qtbot, viewer, Qt.Key.Key_5)
    _click(qtbot, started.tools.tools["delete"])
    _click_at(qtbot, viewer, *_centre(started, 3))
    qtbot.waitUntil(lambda: not started.correction.autosave.busy, timeout=5000)
    started._show_saving()
    assert started.saving.state.text() == "Saved just now"
    (sample,) = open_dataset(folder, "curated")
    np.testing.assert_array_equal(sample.read_labels(), viewer.layers["field WBC"].data)
    np.testing.assert_array_equal(sample.read_image(), smear.image)
    assert sample.classes == {2: "basophil"}
    assert [change.what for change in history_of(folder)] == ["field: named cell 2 basophil", "field: deleted cell 3"]
    _click(qtbot, started.panel.run_button)
    assert started.panel.message.text() == f"Saved in {folder}."
    assert not (folder / UNSAVED).exists()


def test_a_folder_that_cannot_be_used_is_explained(qtbot: QtBot, widget: CorrectWidget, folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.docx").write_text("precious")
    _click(qtbot, widget.panel.run_button)
    assert widget.correction is None
    assert "choose an empty or a new folder" in widget.panel.message.text()
    widget.saving.use(folder.parent / "other")
    assert QSettings is not None
    assert session.settings().value("curated_folder") == str(folder.parent / "other")
    _click(qtbot, widget.panel.run_button)
    assert widget.correction is not None


def _proposer(monkeypatch: pytest.MonkeyPatch, found: Callable[..., Any]) -> list[Any]:
    calls: list[Any] = []

    def propose_cell(image: Any, model: Any, point: Any, diameter: float, **known: Any) -> Any:
        calls.append((model.name, diameter, known["taken"].sum()))
        known["progress"]("looking at the cell", 0, 1)
        return found(point)

    monkeypatch.setattr(sys.modules["sgcldff_core.inference"], "propose_cell", propose_cell, raising=False)
    return calls


def test_a_click_adds_the_cell_that_the_model_proposes(
    qtbot: QtBot,
    viewer: Any,
    started: CorrectWidget,
    fake_model: Any,
    monkeypatch: pytest.MonkeyPatch,
    predict: Callable[..., Any],
) -> None:
    layer = viewer.layers["field WBC"]
    spot = _free_spot(layer.data, 12)

    def found(point: tuple[float, float]) -> Any:
        labels = np.zeros((20, 20), np.int32)
        labels[4:16, 4:16] = 1
        cells = predict().cells.iloc[:1].assign(**{"class": "eosinophil", "review_reason": "", "needs_review": False})
        prediction = types.SimpleNamespace(labels=labels, nucleus=labels > 0, cells=cells)
        return types.SimpleNamespace(prediction=prediction, corner=(int(point[0]) - 10, int(point[1]) - 10))

    calls = _proposer(monkeypatch, found)
    present = _labels(viewer)
    _press(qtbot, viewer, Qt.Key.Key_C)
    _click_at(qtbot, viewer, *spot)
    qtbot.waitUntil(lambda: not started.panel.running, timeout=60_000)  # torch is loaded
    new = max(present) + 1
    assert _labels(viewer) == [*present, new]
    assert calls == [("leukocytes", 60.0, (layer.data > 0).sum() - 144)]
    row = layer.features.set_index("index").loc[new]
    assert (row["class"], row["area_px"], row["curated"]) == ("eosinophil", 144, True)
    assert (row["nucleus_area_px"], row["nc_ratio"]) == (144, 1)
    assert session_of(viewer).label == new

    _click_at(qtbot, viewer, *_centre(started, new))
    assert started.panel.message.text() == f"Cell {new} is here already. Click where a cell is missing."
    _click(qtbot, started.review.undo)
    assert _labels(viewer) == present


def test_where_the_model_sees_nothing_the_brush_is_offered(
    qtbot: QtBot, viewer: Any, started: CorrectWidget, fake_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _proposer(monkeypatch, lambda point: None)
    _click(qtbot, started.tools.tools["add"])
    _click_at(qtbot, viewer, *_free_spot(viewer.layers["field WBC"].data, 12))
    qtbot.waitUntil(lambda: not started.panel.running, timeout=60_000)  # torch is loaded
    assert started.panel.message.text() == "The model sees no cell there. Paint it: New by brush, key M."


def test_looking_for_a_cell_is_cancelled_within_a_second(
    qtbot: QtBot, viewer: Any, started: CorrectWidget, fake_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    present = _labels(viewer)
    called: list[bool] = []

    def propose_cell(*_: Any, progress: Callable[[str, int, int], None], **__: Any) -> None:
        called.append(True)
        while True:
            progress("looking at the cell", 0, 1)
            time.sleep(0.02)

    monkeypatch.setattr(sys.modules["sgcldff_core.inference"], "propose_cell", propose_cell, raising=False)
    _click(qtbot, started.tools.tools["add"])
    _click_at(qtbot, viewer, *_free_spot(viewer.layers["field WBC"].data, 12))
    qtbot.waitUntil(lambda: bool(called), timeout=60_000)  # torch is loaded
    begun = time.perf_counter()
    _click(qtbot, started.panel.cancel_button)
    qtbot.waitUntil(lambda: not started.panel.running, timeout=5000)
    assert time.perf_counter() - begun < 1
    assert _labels(viewer) == present
    assert started.correction is not None


def test_strokes_classes_and_napari_undo_go_back_one_by_one(qtbot: QtBot, viewer: Any, started: CorrectWidget) -> None:
    layer = viewer.layers["field WBC"]
    states = []

    def keep() -> None:
        states.append((layer.data.copy(), layer.features.drop(columns="index").to_csv()))

    keep()
    _click_at(qtbot, viewer, *_centre(started, 2))
    y, x = _centre(started, 2)
    for act in (
        lambda: _press(qtbot, viewer, Qt.Key.Key_4),
        lambda: (_press(qtbot, viewer, Qt.Key.Key_P), _drag(qtbot, viewer, [(y, x), (y + 40, x), (y + 45, x + 3)])),
        lambda: _press(qtbot, viewer, Qt.Key.Key_3),
        lambda: (_press(qtbot, viewer, Qt.Key.Key_E), _drag(qtbot, viewer, [(y, x), (y + 20, x), (y + 25, x + 3)])),
        lambda: _press(qtbot, viewer, Qt.Key.Key_H),
        lambda: _press(qtbot, viewer, Qt.Key.Key_A),
    ):
        act()
        if layer.features.drop(columns="index").to_csv() != states[-1][1]:
            keep()
    assert len(states) >= 6
    for data, features in reversed(states[:-1]):
        _press(qtbot, viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        np.testing.assert_array_equal(layer.data, data)
        assert layer.features.drop(columns="index").to_csv() == features
    for data, features in states[1:]:
        _click(qtbot, started.review.redo)
        np.testing.assert_array_equal(layer.data, data)
        assert layer.features.drop(columns="index").to_csv() == features


def test_labels_that_are_no_numbers_of_cells_are_explained(
    qtbot: QtBot, viewer: Any, widget: CorrectWidget, folder: Path
) -> None:
    viewer.layers["field WBC"].data = np.where(viewer.layers["field WBC"].data > 0, 2_000_000_000, 0).astype(np.int32)
    _click(qtbot, widget.panel.run_button)
    assert widget.correction is None
    assert "run from 0 to 2000000000, which are no numbers of cells" in widget.panel.message.text()
    assert not folder.exists()


def test_a_layer_that_is_removed_ends_the_correction(
    qtbot: QtBot, viewer: Any, started: CorrectWidget, folder: Path
) -> None:
    _click_at(qtbot, viewer, *_centre(started, 2))
    _press(qtbot, viewer, Qt.Key.Key_5)
    viewer.layers.remove("field WBC")
    assert started.correction is None
    assert started.panel.message.text() == f"field WBC was removed. Saved in {folder}."
    assert len(list(open_dataset(folder, "curated"))) == 1


def test_a_second_segmentation_ends_the_correction(
    qtbot: QtBot, viewer: Any, started: CorrectWidget, predict: Callable[..., Any]
) -> None:
    source = Source.of(viewer.layers["field"])
    show_layers(viewer, prediction_layers(predict(), source, {"model": "leukocytes"}))
    assert started.correction is None
    assert started.panel.message.text() == "field WBC got other data"
    assert started.panel.run_button.text() == "Start correcting"


def test_a_closed_widget_saves_lets_go_and_is_forgotten(qtbot: QtBot, viewer: Any, folder: Path) -> None:
    widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Correct cells")[1]
    layer = viewer.layers["field WBC"]
    before = dict(layer.keymap)
    _click(qtbot, widget.panel.run_button)
    _click_at(qtbot, viewer, *_centre(widget, 2))
    _press(qtbot, viewer, Qt.Key.Key_5)
    gone = weakref.ref(widget)
    viewer.window.remove_dock_widget(widget)
    widget.deleteLater()
    del widget
    qtbot.waitUntil(lambda: _is_gone(gone), timeout=30_000)
    assert layer.keymap == before
    assert not (folder / UNSAVED).exists()
    assert len(list(open_dataset(folder, "curated"))) == 1
    layer.paint((5, 5), 1)
    assert not layer.features["curated"].iloc[0]


def _is_gone(gone: weakref.ref[Any]) -> bool:
    gc.collect()
    return gone() is None


def test_labels_of_a_stack_of_files_are_corrected_image_by_image(
    qtbot: QtBot, make_napari_viewer: Callable[..., Any], folder: Path, tmp_path: Path, smear: Smear
) -> None:
    from sgcldff_core.datasets.curated_writer import write_curated
    from sgcldff_core.datasets.history import Provenance

    samples = [smear.to_sample(name) for name in ("a", "b", "c")]
    write_curated(samples, tmp_path / "set", provenance=Provenance("Set", "smears"))
    viewer = make_napari_viewer()
    viewer.open(tmp_path / "set", plugin="napari-sgcldff")
    _, widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Correct cells")
    _click(qtbot, widget.panel.run_button)
    qtbot.waitUntil(lambda: widget.correction is not None, timeout=10_000)
    viewer.dims.set_current_step(0, 1)
    curation = widget.correction.curation
    label = int(np.unique(curation.labels)[1])
    widget.correction.look_at(label)
    widget.correction.name_cell("basophil")
    viewer.dims.set_current_step(0, 2)
    widget.correction.next_cell()  # leads to another image
    assert viewer.dims.current_step[0] == widget.correction.curation.plane[0]
    _click(qtbot, widget.panel.run_button)
    (sample,) = open_dataset(folder, "curated")
    assert sample.name == "b"
    assert sample.classes == {**smear.classes, 1: "basophil"}
    np.testing.assert_array_equal(sample.read_labels(), smear.labels)


CRASH = """
    import os, sys
    import napari, numpy as np
    from qtpy.QtCore import QSettings
    from napari_sgcldff import session
    from napari_sgcldff.cell_edits import delete_cell
    session.settings = lambda: QSettings({settings!r}, QSettings.Format.IniFormat)
    viewer = napari.Viewer(show=False)
    viewer.add_image(np.load({image!r}), name="field")
    viewer.add_labels(np.load({labels!r}), name="field cells")
    _, widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Correct cells")
    widget.panel.run_button.click()
    correction = widget.correction
    for label in (1, 2):
        correction.look_at(label)
        correction.name_cell("basophil")
    while correction.autosave.busy:
        pass
    correction.do(delete_cell, 3)
    os._exit(9)
"""


def test_after_a_crash_the_work_is_offered_and_goes_on(
    qtbot: QtBot, make_napari_viewer: Callable[..., Any], folder: Path, tmp_path: Path, smear: Smear
) -> None:
    np.save(tmp_path / "image.npy", smear.image)
    np.save(tmp_path / "labels.npy", smear.labels)
    session.settings().sync()
    code = textwrap.dedent(CRASH).format(
        settings=session.settings().fileName(),
        image=str(tmp_path / "image.npy"),
        labels=str(tmp_path / "labels.npy"),
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr

    viewer = make_napari_viewer()
    _, widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Correct cells")
    assert widget.banner.isVisibleTo(widget)
    assert widget.banner.text.text().startswith("napari ended before your work on “field” of ")
    _click(qtbot, widget.banner.restore)
    assert not widget.banner.isVisibleTo(widget)
    assert widget.panel.message.text() == "Your work is back; undo begins anew from here."
    cells = viewer.layers["field cells"]
    np.testing.assert_array_equal(viewer.layers["field"].data, smear.image)
    features = cells.features.set_index("index")
    assert features["class"].loc[[1, 2]].tolist() == ["basophil"] * 2
    assert features["curated"].loc[[1, 2]].all()
    expected = np.where(smear.labels == 3, 0, smear.labels)
    lost = not np.array_equal(cells.data, expected)  # the last edit may be lost, no other
    np.testing.assert_array_equal(cells.data, smear.labels if lost else expected)

    _click(qtbot, widget.panel.run_button)
    (sample,) = open_dataset(folder, "curated")
    assert sample.classes == {1: "basophil", 2: "basophil"}
    np.testing.assert_array_equal(sample.read_labels(), cells.data)
    assert not (folder / UNSAVED).exists()


REAL = """
    import json, sys, time
    import napari, numpy as np
    from qtpy.QtCore import QSettings
    from qtpy.QtWidgets import QApplication
    from napari_sgcldff import session
    session.settings = lambda: QSettings({settings!r}, QSettings.Format.IniFormat)

    def draw_until(done, seconds):
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            QApplication.processEvents()
            time.sleep(0.01)

    viewer = napari.Viewer(show=True)
    viewer.open_sample("napari-sgcldff", "synthetic_field")
    draw_until(lambda: False, 1)
    layer = viewer.layers["synthetic field truth"]
    truth = layer.data.copy()
    _, widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Correct cells")
    widget.panel.run_button.click()
    correction = widget.correction
    said = []
    for label in np.unique(truth)[1:]:
        row = correction.curation.table.loc[label].to_dict()
        correction.choose("delete")
        correction._clicked(row["centroid_y"], row["centroid_x"])
        correction.choose("add")
        correction._clicked(row["centroid_y"], row["centroid_x"])
        draw_until(lambda: not widget.panel.running, 400)
        new = correction.label
        mask, own = layer.data == new, truth == label
        iou = float((mask & own).sum() / (mask | own).sum()) if new else 0.0
        said.append((iou, correction.curation.table.loc[new, "class"] if new else None, row["class"]))
    widget.panel.run_button.click()
    print(json.dumps(said))
    viewer.close()
"""


def test_a_click_finds_the_cells_of_the_synthetic_field_with_the_shipped_model(qapp: Any, folder: Path) -> None:
    session.settings().sync()
    code = textwrap.dedent(REAL).format(settings=session.settings().fileName())
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found) >= 8
    assert np.mean([iou > 0.6 for iou, _, _ in found]) > 0.7, found
    assert all(name for iou, name, _ in found if iou)
    (sample,) = open_dataset(folder, "curated")
    assert len(sample.classes) == sum(iou > 0 for iou, _, _ in found)


def test_what_was_left_behind_can_be_discarded(
    qtbot: QtBot, make_napari_viewer: Callable[..., Any], folder: Path, smear: Smear
) -> None:
    from napari_sgcldff.edited_rows import as_table
    from napari_sgcldff.unsaved_work import UnsavedWork

    viewer = make_napari_viewer()
    labels = viewer.add_labels(smear.labels)
    UnsavedWork(folder / UNSAVED / "a").begin({"image": "field"}, smear.labels, as_table(labels.features))
    _, widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Correct cells")
    _click(qtbot, widget.banner.discard)
    assert not widget.banner.isVisibleTo(widget)
    assert list((folder / UNSAVED).glob("a*")) == []
    assert [layer.name for layer in viewer.layers] == [labels.name]


def test_opening_the_widget_needs_no_torch_and_no_scipy() -> None:
    code = (
        "import sys, time, numpy as np, napari\n"
        "viewer = napari.Viewer(show=False)\n"
        "viewer.add_image(np.zeros((32, 32, 3), np.uint8))\n"
        "viewer.add_labels(np.zeros((32, 32), np.int32))\n"
        "before = set(sys.modules)\n"
        "begun = time.process_time()\n"
        "viewer.window.add_plugin_dock_widget('napari-sgcldff', 'Correct cells')\n"
        "print(time.process_time() - begun)\n"
        "assert 'torch' not in sys.modules\n"
        "new = set(sys.modules) - before\n"
        "assert not {'scipy.spatial', 'skimage.segmentation', 'sgcldff_core.cells'} & new, new\n"
        "viewer.close()\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 1
