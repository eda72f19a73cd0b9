"""The diameter, in step with the session, and its ring."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_sgcldff import session
from napari_sgcldff.session import session_of
from napari_sgcldff.widgets.segment import SegmentWidget
from sgcldff_core.smear import Smear


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any], smear: Smear) -> Any:
    """Return a viewer that shows the small field."""
    viewer = make_napari_viewer(show=True)
    viewer.add_image(smear.image, name="field", scale=(0.5, 0.5))
    return viewer


@pytest.fixture
def widget(viewer: Any, fake_model: Any) -> SegmentWidget:
    """Return the widget as the menu opens it."""
    return viewer.window.add_plugin_dock_widget("napari-sgcldff", "Segment cells")[1]


def _estimate(qtbot: QtBot, widget: SegmentWidget) -> None:
    qtbot.mouseClick(widget.diameter.estimate, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(widget.panel.run_button.isEnabled, timeout=10_000)


def test_an_estimate_is_written_remembered_and_drawn(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any, smear: Smear
) -> None:
    assert not widget.diameter.ring.isEnabled()
    assert widget.diameter.ring.toolTip() == "Set or estimate a diameter first."
    _estimate(qtbot, widget)
    assert widget.diameter.value.text() == "62 px"
    assert session_of(viewer).diameter == 62
    assert fake_model.calls == [{"estimate": smear.image.shape[:2], "model": "leukocytes", "tile": 640}]
    ring = viewer.layers["cell diameter"]
    assert ring.size.tolist() == [62]
    np.testing.assert_array_equal(ring.scale, (0.5, 0.5))
    assert widget.panel.message.text() == "A typical cell is 62 px across, as the ring in the view."


def test_the_ring_follows_the_number_and_goes_with_the_button(qtbot: QtBot, viewer: Any, widget: SegmentWidget) -> None:
    session_of(viewer).diameter = 40
    assert widget.diameter.value.value() == 40
    assert "cell diameter" not in viewer.layers
    qtbot.mouseClick(widget.diameter.ring, Qt.MouseButton.LeftButton)
    assert "cell diameter" in viewer.layers
    widget.diameter.value.stepUp()
    assert session_of(viewer).diameter == 45
    assert viewer.layers["cell diameter"].size.tolist() == [45]
    qtbot.mouseClick(widget.diameter.ring, Qt.MouseButton.LeftButton)
    assert "cell diameter" not in viewer.layers
    qtbot.mouseClick(widget.diameter.ring, Qt.MouseButton.LeftButton)
    widget.diameter.value.setValue(0)
    assert "cell diameter" not in viewer.layers
    assert widget.diameter.value.text() == "estimated in each run"


def test_the_ring_is_not_left_behind(qtbot: QtBot, viewer: Any, widget: SegmentWidget) -> None:
    _estimate(qtbot, widget)
    dock = widget.parent()
    dock.hide()
    qtbot.waitUntil(lambda: "cell diameter" not in viewer.layers)
    dock.show()
    qtbot.waitUntil(lambda: "cell diameter" in viewer.layers)
    viewer.layers.remove("field")
    assert "cell diameter" not in viewer.layers
    viewer.add_image(np.zeros((50, 50, 3), np.uint8), name="other")
    assert "cell diameter" in viewer.layers
    viewer.window.remove_dock_widget(widget)
    widget.deleteLater()
    qtbot.wait(50)
    assert [layer.name for layer in viewer.layers] == ["other"]


def test_a_diameter_of_another_image_is_not_used_without_a_word(
    qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any
) -> None:
    stale = widget.diameter.stale
    assert not stale.isVisible()
    widget.diameter.value.setValue(240)
    assert not stale.isVisible()
    other = viewer.add_image(np.zeros((50, 50, 3), np.uint8), name="slide")
    widget.image_choice.choose(other)
    assert stale.isVisible()
    assert stale.text.text().startswith("⚠ 240 px was set for “field”.")
    widget.image_choice.choose(viewer.layers["field"])
    assert not stale.isVisible()
    widget.image_choice.choose(other)
    qtbot.mouseClick(stale.estimate, Qt.MouseButton.LeftButton)
    assert not stale.estimate.isEnabled()
    qtbot.waitUntil(widget.panel.run_button.isEnabled, timeout=10_000)
    assert [call["estimate"] for call in fake_model.calls] == [(50, 50)]
    assert (widget.diameter.value.value(), session_of(viewer).measured_name) == (62, "slide")
    assert not stale.isVisible()
    widget.image_choice.choose(viewer.layers["field"])
    qtbot.mouseClick(stale.keep, Qt.MouseButton.LeftButton)
    assert not stale.isVisible()
    widget.image_choice.choose(other)
    widget.diameter.value.setValue(0)
    assert not stale.isVisible()


def test_a_diameter_that_was_remembered_from_before_is_of_another_image(
    qtbot: QtBot, make_napari_viewer: Callable[..., Any], smear: Smear, fake_model: Any
) -> None:
    session.settings().setValue("diameter", 240.0)
    viewer = make_napari_viewer(show=True)
    viewer.add_image(smear.image, name="field")
    widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Segment cells")[1]
    assert widget.diameter.stale.text.text().startswith("⚠ 240 px was set for another image.")
    qtbot.waitUntil(widget.diameter.stale.isVisible)


def test_an_estimate_can_be_cancelled(qtbot: QtBot, viewer: Any, widget: SegmentWidget, fake_model: Any) -> None:
    fake_model.hold.clear()
    qtbot.mouseClick(widget.diameter.estimate, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(fake_model.calls), timeout=5000)
    assert not widget.diameter.estimate.isEnabled()
    assert widget.diameter.estimate.toolTip() == "A run is on."
    qtbot.mouseClick(widget.panel.cancel_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(widget.diameter.estimate.isEnabled, timeout=1000)
    assert session_of(viewer).diameter == 0
    assert "cell diameter" not in viewer.layers
