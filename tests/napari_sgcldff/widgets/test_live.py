"""Live mode: what is in view, found anew as the view moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt

from napari_sgcldff.metadata import KEY
from napari_sgcldff.session import session_of
from napari_sgcldff.view import camera_of, visible_box
from napari_sgcldff.widgets.segment import SegmentWidget
from sgcldff_core.errors import ModelNotFoundError
from sgcldff_core.smear import Smear


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any], smear: Smear, set_canvas: Callable[..., None]) -> Any:
    """Return a viewer that shows a part of the small field."""
    viewer = make_napari_viewer()
    viewer.add_image(smear.image, name="field", scale=(0.5, 0.5))
    set_canvas(viewer, (300, 400))
    camera_of(viewer).zoom = 6.0
    return viewer


@pytest.fixture
def widget(viewer: Any, fake_model: Any) -> SegmentWidget:
    """Return the widget as the menu opens it."""
    return viewer.window.add_plugin_dock_widget("napari-sgcldff", "Segment cells")[1]


def _switch(qtbot: QtBot, widget: SegmentWidget) -> None:
    qtbot.mouseClick(widget.live, Qt.MouseButton.LeftButton, pos=QPoint(8, widget.live.height() // 2))


def _settled(qtbot: QtBot, widget: SegmentWidget, calls: int, fake_model: Any) -> None:
    qtbot.waitUntil(lambda: len(fake_model.calls) >= calls and not widget.live.looking, timeout=10_000)
    qtbot.wait(30)


def _lies_on_the_truth(viewer: Any, smear: Smear) -> bool:
    y0, x0, y1, x1 = visible_box(viewer, viewer.layers["field"])
    cells = viewer.layers["field WBC (live)"]
    np.testing.assert_allclose(cells.translate, (0.5 * y0, 0.5 * x0))
    np.testing.assert_array_equal(cells.data, smear.labels[y0:y1, x0:x1])
    return True


def test_it_follows_the_view_in_one_layer(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any, smear: Smear
) -> None:
    _switch(qtbot, widget)
    assert widget.live.isChecked()
    assert widget.panel.run_button.toolTip() == "Live is on; switch it off for a whole run."
    _settled(qtbot, widget, 1, fake_model)
    assert _lies_on_the_truth(viewer, smear)
    cells = viewer.layers["field WBC (live)"]
    assert session_of(viewer).cells == str(cells.unique_id)
    assert widget.panel.message.text().startswith("Live: ")

    camera_of(viewer).center = (0, 40, 50)
    _settled(qtbot, widget, 2, fake_model)
    assert _lies_on_the_truth(viewer, smear)
    assert viewer.layers["field WBC (live)"] is cells
    assert [layer.name for layer in viewer.layers] == ["field", "field WBC (live)"]
    assert fake_model.calls[1]["diameter"] == 60.0  # not estimated at every move

    _switch(qtbot, widget)
    camera_of(viewer).center = (0, 70, 90)
    qtbot.wait(500)
    assert len(fake_model.calls) == 2
    assert widget.panel.run_button.isEnabled()


def test_a_look_that_is_overtaken_is_given_up(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any, smear: Smear
) -> None:
    fake_model.hold.clear()
    _switch(qtbot, widget)
    qtbot.waitUntil(lambda: len(fake_model.calls) == 1, timeout=5000)
    for x in (50, 60, 70):  # three moves in a row, one look
        camera_of(viewer).center = (0, 40, x)
        qtbot.wait(20)
    qtbot.waitUntil(lambda: not widget.live.looking, timeout=1000)
    assert "field WBC (live)" not in viewer.layers
    fake_model.hold.set()
    _settled(qtbot, widget, 2, fake_model)
    assert _lies_on_the_truth(viewer, smear)
    assert len(fake_model.calls) == 2


def test_the_result_of_a_run_is_not_touched(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any, smear: Smear
) -> None:
    qtbot.mouseClick(widget.panel.run_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(widget.panel.run_button.isEnabled, timeout=10_000)
    _switch(qtbot, widget)
    _settled(qtbot, widget, 2, fake_model)
    np.testing.assert_array_equal(viewer.layers["field WBC"].data, smear.labels)
    assert "field saliency" in viewer.layers
    assert viewer.layers["field WBC"].metadata[KEY]["role"] == "cells"


def test_an_error_switches_it_off_and_is_told(
    qtbot: QtBot, widget: SegmentWidget, fake_model: Any, notifications: list[Any]
) -> None:
    fake_model.error = ModelNotFoundError("no model 'x'")
    _switch(qtbot, widget)
    qtbot.waitUntil(lambda: bool(notifications), timeout=5000)
    qtbot.waitUntil(lambda: not widget.live.isChecked(), timeout=5000)
    assert widget.panel.message.text() == "Live was switched off: it failed, and the notification says why."
    assert widget.panel.run_button.isEnabled()


def test_it_waits_for_other_tasks(qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any) -> None:
    assert session_of(viewer).occupy("Train")
    _switch(qtbot, widget)
    qtbot.wait(600)
    assert fake_model.calls == []
    session_of(viewer).release()
    _settled(qtbot, widget, 1, fake_model)
    assert "field WBC (live)" in viewer.layers


def test_a_view_that_is_too_large_or_empty_is_not_looked_at(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sgcldff.widgets.live._MOST", 20)
    _switch(qtbot, widget)
    qtbot.waitUntil(lambda: widget.panel.message.text() == "Live: zoom in; the view is too large for a quick look.")
    camera_of(viewer).center = (0, 5000, 5000)
    qtbot.waitUntil(lambda: "is visible; move the view" in widget.panel.message.text())
    assert fake_model.calls == []
    assert widget.live.isChecked()


def test_the_small_model_is_preferred(
    qtbot: QtBot, widget: SegmentWidget, fake_model: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("napari_sgcldff.widgets.segment.available_models", lambda: {"leukocytes-small": tmp_path})
    _switch(qtbot, widget)
    _settled(qtbot, widget, 1, fake_model)
    assert fake_model.calls[0]["model"] == "leukocytes-small"
    assert not fake_model.calls[0]["mirror"]  # one look, to be quick
    assert "leukocytes-small" in widget.live.toolTip()


def test_the_plane_counts_as_part_of_the_view(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any, smear: Smear
) -> None:
    viewer.layers.clear()
    viewer.add_image(np.stack([smear.image] * 3), name="stack", rgb=True)
    _switch(qtbot, widget)
    _settled(qtbot, widget, 1, fake_model)
    first = fake_model.calls[-1]["name"]
    viewer.dims.set_current_step(0, 0 if first != "stack [0]" else 2)
    qtbot.waitUntil(lambda: fake_model.calls[-1]["name"] != first, timeout=5000)


def test_closing_the_widget_during_a_look_does_no_harm(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any
) -> None:
    fake_model.hold.clear()
    _switch(qtbot, widget)
    qtbot.waitUntil(lambda: len(fake_model.calls) == 1, timeout=5000)
    with qtbot.captureExceptions() as raised:
        viewer.window.remove_dock_widget(widget)
        widget.deleteLater()
        qtbot.waitUntil(lambda: not session_of(viewer).busy, timeout=5000)
        camera_of(viewer).center = (0, 40, 50)
        qtbot.wait(400)
    assert raised == []
    assert "field WBC (live)" not in viewer.layers
