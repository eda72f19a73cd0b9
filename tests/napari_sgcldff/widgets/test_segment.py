"""The main widget, driven as a person would."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from napari.layers import Labels
from napari.utils.progress import progress as napari_progress
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt, QTimer

from napari_sgcldff.layers import KEY, classes_of
from napari_sgcldff.session import session_of
from napari_sgcldff.view import camera_of, visible_box
from napari_sgcldff.widgets.segment import SegmentWidget
from sgcldff_core.errors import ModelNotFoundError
from sgcldff_core.smear import Smear


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any], smear: Smear) -> Any:
    """Return a viewer that shows the small field."""
    viewer = make_napari_viewer()
    viewer.add_image(smear.image, name="field", scale=(0.5, 0.5))
    return viewer


@pytest.fixture
def widget(viewer: Any, fake_model: Any) -> SegmentWidget:
    """Return the widget as the menu opens it."""
    _, widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Segment cells")
    return widget


def _click(qtbot: QtBot, button: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def _wait(qtbot: QtBot, widget: SegmentWidget) -> None:
    qtbot.waitUntil(widget.panel.run_button.isEnabled, timeout=10_000)


def _table(widget: SegmentWidget) -> list[tuple[str, ...]]:
    table = widget.differential
    return [tuple(table.item(row, column).text() for column in range(3)) for row in range(table.rowCount())]


def test_one_click_outlines_names_and_counts_the_cells(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any, smear: Smear
) -> None:
    assert not widget.differential.isVisibleTo(widget)
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget)

    cells = viewer.layers["field WBC"]
    assert isinstance(cells, Labels)
    assert viewer.layers.selection.active is cells
    assert cells.contour > 0
    assert classes_of(cells) == smear.classes
    np.testing.assert_array_equal(cells.scale, (0.5, 0.5))
    assert cells.metadata[KEY]["model"] == "leukocytes"
    assert cells.metadata[KEY]["diameter_given"] is False
    assert fake_model.calls == [
        {
            "name": "field",
            "shape": smear.image.shape,
            "dtype": np.uint8,
            "model": "leukocytes",
            "diameter": None,
            "explain": False,
            "tile": 640,
            "mirror": True,
        }
    ]
    rows = {name: (int(count), share) for name, count, share in _table(widget)}
    assert rows["all"] == (len(smear.classes), "100.0 %")
    for name in set(smear.classes.values()):
        count = list(smear.classes.values()).count(name)
        assert rows[name] == (count, f"{100 * count / len(smear.classes):.1f} %")
    assert widget.panel.message.text().startswith(f"{len(smear.classes)} cells in ")
    assert widget.panel.message.text().endswith("diameter 60 px; 1 to review")


def test_what_is_set_reaches_the_model_and_a_second_run_updates(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any
) -> None:
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget)
    widget.diameter.value.setValue(85)
    widget.tile.setValue(330)
    widget.tile.editingFinished.emit()
    widget.device.setCurrentText("cpu")
    widget.explain.setChecked(True)
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget)

    assert fake_model.calls[1] | {"diameter": 85.0, "explain": True, "tile": 320} == fake_model.calls[1]
    assert [layer.name for layer in viewer.layers] == ["field", "field saliency", "field WBC", "field Grad-CAM"]
    assert viewer.layers["field WBC"].metadata[KEY]["diameter"] == 85.0


def test_while_it_runs_it_shows_progress_and_no_second_run_starts(
    qtbot: QtBot, widget: SegmentWidget, fake_model: Any
) -> None:
    fake_model.hold.clear()
    _click(qtbot, widget.panel.run_button)
    qtbot.waitUntil(lambda: widget.panel.progress.value() == 3, timeout=5000)
    assert widget.panel.progress.isVisibleTo(widget)
    assert "finding cells" in widget.panel.progress.text()
    assert len(napari_progress._all_instances) == 1
    _click(qtbot, widget.panel.run_button)
    widget.run()
    fake_model.hold.set()
    _wait(qtbot, widget)
    assert len(fake_model.calls) == 1
    assert not widget.panel.progress.isVisibleTo(widget)
    assert not widget.panel.cancel_button.isEnabled()
    assert not napari_progress._all_instances


def test_cancel_acts_within_a_second_and_leaves_the_viewer_as_it_was(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any
) -> None:
    fake_model.hold.clear()
    _click(qtbot, widget.panel.run_button)
    qtbot.waitUntil(lambda: bool(fake_model.calls), timeout=5000)
    begun = time.perf_counter()
    _click(qtbot, widget.panel.cancel_button)
    _wait(qtbot, widget)
    assert time.perf_counter() - begun < 1
    assert [layer.name for layer in viewer.layers] == ["field"]
    assert widget.panel.message.text() == "Stopped; nothing was changed."
    assert not napari_progress._all_instances

    fake_model.hold.set()
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget)
    assert "field WBC" in viewer.layers


def test_the_visible_part_lies_on_the_picture(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, smear: Smear, set_canvas: Callable[..., None]
) -> None:
    set_canvas(viewer, (300, 400))
    camera_of(viewer).zoom = 6.0
    y0, x0, y1, x1 = visible_box(viewer, viewer.layers["field"])
    assert 0 < y0 < y1 < smear.labels.shape[0]
    widget.region.setCurrentText("Visible part")
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget)
    cells = viewer.layers["field WBC"]
    np.testing.assert_array_equal(cells.data, smear.labels[y0:y1, x0:x1])
    np.testing.assert_allclose(cells.translate, (0.5 * y0, 0.5 * x0))
    assert cells.metadata[KEY]["origin"] == [y0, x0]


def test_all_planes_of_a_stack_become_one_layer(qtbot: QtBot, viewer: Any, widget: SegmentWidget, smear: Smear) -> None:
    assert not widget.planes.isVisibleTo(widget)
    viewer.layers.clear()
    viewer.add_image(np.stack([smear.image] * 3), name="stack", rgb=True)
    assert widget.planes.isVisibleTo(widget)
    widget.planes.setCurrentText("All planes")
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget)
    cells = viewer.layers["stack WBC"]
    assert cells.data.shape == (3, *smear.labels.shape)
    assert len(cells.features) == 3 * len(smear.classes)
    assert cells.features["image"].unique().tolist() == ["stack [0]", "stack [1]", "stack [2]"]
    assert session_of(viewer).cells == str(cells.unique_id)
    qtbot.waitUntil(lambda: widget.cells.model.rowCount() == len(cells.features))
    widget.cells.view.selectRow(0)
    assert viewer.dims.current_step[0] == 0
    widget.cells.view.selectRow(len(cells.features) - 1)
    assert viewer.dims.current_step[0] == 2


def test_cells_that_were_corrected_by_hand_are_kept(qtbot: QtBot, viewer: Any, widget: SegmentWidget) -> None:
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget)
    mine = viewer.layers["field WBC"]
    mine.features = mine.features.assign(curated=[True] + [False] * (len(mine.features) - 1))
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget)
    assert mine.name == "field WBC corrected"
    assert mine in viewer.layers
    assert viewer.layers["field WBC"] is not mine


def test_an_error_is_told_and_the_next_run_is_free(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any, notifications: list[Any]
) -> None:
    fake_model.error = ModelNotFoundError("no model 'x'; known: leukocytes")
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget)
    assert [n.message for n in notifications] == ["no model 'x'; known: leukocytes"]
    assert widget.panel.message.text() == "Failed; the notification says why."
    assert [layer.name for layer in viewer.layers] == ["field"]
    assert not napari_progress._all_instances


def test_the_choice_follows_the_viewer(viewer: Any, widget: SegmentWidget, smear: Smear) -> None:
    def names() -> list[str]:
        return [widget.image_choice.itemText(i) for i in range(widget.image_choice.count())]

    viewer.add_image(smear.labels, name="grey")
    viewer.add_image(smear.image, name="other")
    assert names() == ["field", "other"]
    widget.image_choice.setCurrentIndex(1)
    viewer.layers["other"].name = "renamed"
    assert widget.image_choice.currentText() == "renamed"
    viewer.layers.remove("field")
    assert names() == ["renamed"]
    viewer.layers.clear()
    assert names() == []
    assert not widget.panel.run_button.isEnabled()
    assert widget.panel.run_button.toolTip() == "Open a colour image of a stained smear first."


def test_an_image_that_is_removed_meanwhile_does_no_harm(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any
) -> None:
    fake_model.hold.clear()
    _click(qtbot, widget.panel.run_button)
    qtbot.waitUntil(lambda: bool(fake_model.calls), timeout=5000)
    viewer.layers.clear()
    fake_model.hold.set()
    qtbot.waitUntil(lambda: bool(widget.panel.message.text()), timeout=5000)
    assert widget.panel.message.text() == "field was removed; its result was dropped."
    assert len(viewer.layers) == 0


def test_a_widget_that_is_closed_meanwhile_does_no_harm(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any, smear: Smear
) -> None:
    fake_model.hold.clear()
    _click(qtbot, widget.panel.run_button)
    qtbot.waitUntil(lambda: bool(fake_model.calls), timeout=5000)
    with qtbot.captureExceptions() as raised:
        viewer.window.remove_dock_widget(widget)
        widget.deleteLater()
        qtbot.waitUntil(lambda: not napari_progress._all_instances, timeout=5000)
        viewer.add_image(smear.image, name="later")
        qtbot.wait(50)
    assert raised == []
    assert [layer.name for layer in viewer.layers] == ["field", "later"]


def test_a_closed_widget_is_forgotten(qtbot: QtBot, viewer: Any, fake_model: Any) -> None:
    widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Segment cells")[1]
    _click(qtbot, widget.panel.run_button)
    _wait(qtbot, widget)
    gone = weakref.ref(widget)
    viewer.window.remove_dock_widget(widget)
    widget.deleteLater()
    del widget
    qtbot.wait(50)
    gc.collect()
    assert gone() is None


def test_the_window_does_not_freeze(qtbot: QtBot, widget: SegmentWidget, fake_model: Any) -> None:
    gaps = []
    for _ in range(3):  # the best of three, because the machine may be busy with something else
        fake_model.hold.clear()
        ticks = [time.perf_counter()]
        timer = QTimer()
        timer.timeout.connect(partial(_tick, ticks))
        timer.start(5)
        _click(qtbot, widget.panel.run_button)
        qtbot.wait(300)
        timer.stop()
        fake_model.hold.set()
        _wait(qtbot, widget)
        gaps.append(np.diff(ticks).max())
    assert min(gaps) < 0.1


def _tick(ticks: list[float]) -> None:
    ticks.append(time.perf_counter())


def test_opening_the_widget_needs_no_torch() -> None:
    code = (
        "import sys, time, numpy as np, napari\n"
        "viewer = napari.Viewer(show=False)\n"
        "viewer.add_image(np.zeros((32, 32, 3), np.uint8))\n"
        "begun = time.process_time()\n"
        "viewer.window.add_plugin_dock_widget('napari-sgcldff', 'Segment cells')\n"
        "print(time.process_time() - begun)\n"
        "assert 'torch' not in sys.modules\n"
        "viewer.close()\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 1
