"""Explaining cells, driven as a person would."""

from __future__ import annotations

import gc
import threading
import time
import types
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from napari.utils.interactions import mouse_move_callbacks, mouse_press_callbacks, mouse_release_callbacks
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_sgcldff.explaining import Answer, Question
from napari_sgcldff.layers import KEY, Source, prediction_layers, show_layers
from napari_sgcldff.session import session_of
from napari_sgcldff.widgets.explain import ExplainWidget
from sgcldff_core.errors import ConfigError
from sgcldff_core.smear import Smear
from sgcldff_core.taxonomy import LEUKOCYTES

CLASSES = tuple(c.name for c in LEUKOCYTES)


@dataclass
class FakeExplainer:
    """Reads what it is given, and finds evidence everywhere in each cell; can be held and made to fail."""

    smear: Smear
    error: Exception | None = None
    hold: threading.Event = field(default_factory=threading.Event)
    asked: list[Question] = field(default_factory=list)

    def answer(self, question: Question, report: Callable[[str, int, int], None]) -> Answer:
        self.asked.append(question)
        report("explaining cells", 0, 2)
        while not self.hold.wait(0.02):
            report("explaining cells", 1, 2)
        if self.error is not None:
            raise self.error
        image, labels, corner = question.picture.read(question.label)
        numbers = np.unique(labels[labels > 0]) if question.label is None else [question.label]
        cells = [self._cell(labels, int(number), question.kind) for number in numbers]
        return Answer(question, cells, image, corner, CLASSES, question.model or "leukocytes", question.diameter)

    def _cell(self, labels: Any, number: int, kind: str) -> Any:
        rows, columns = np.nonzero(labels == number)
        window = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        inside = labels[window] == number
        named = self.smear.classes[number]
        other = next(name for name in CLASSES if name != named)
        names = dict.fromkeys([named, other, *([kind] if kind else [])])
        return types.SimpleNamespace(
            label=number,
            probabilities={named: 0.55, other: 0.45, **{name: 0.0 for name in CLASSES if name not in (named, other)}},
            window=window,
            activation={name: inside.astype(np.float32) * (1 - 0.1 * i) for i, name in enumerate(names)},
            inside=inside,
            nucleus=self.smear.nucleus[window] & inside,
            named=named,
            runner_up=other,
            energy=0.99,
            pointing=True,
            overlap=0.06,
            rank=0.3,
            stability=0.5,
            consistency=0.7,
            reason="mask unstable" if number == 2 else "",
        )


@pytest.fixture
def explainer(monkeypatch: pytest.MonkeyPatch, smear: Smear) -> FakeExplainer:
    fake = FakeExplainer(smear)
    fake.hold.set()
    monkeypatch.setattr("napari_sgcldff.widgets.explain.answer", fake.answer)
    return fake


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any], smear: Smear, predict: Callable[..., Any]) -> Any:
    """Return a viewer that shows the small field and its cells as a run has left them."""
    viewer = make_napari_viewer(show=True)
    image = viewer.add_image(smear.image, name="field", scale=(0.5, 0.5), translate=(3, 4))
    run = {"model": "leukocytes", "diameter": 60.0}
    show_layers(viewer, prediction_layers(predict(), Source.of(image), run, CLASSES))
    viewer.layers.selection.active = viewer.layers["field WBC"]
    return viewer


@pytest.fixture
def widget(viewer: Any, explainer: FakeExplainer) -> ExplainWidget:
    return viewer.window.add_plugin_dock_widget("napari-sgcldff", "Explain cells")[1]


def _wait(qtbot: QtBot, widget: ExplainWidget) -> None:
    qtbot.waitUntil(lambda: not widget.panel.running and not widget._again, timeout=10_000)


def _click(viewer: Any, position: tuple[float, float], *, drag: bool = False) -> None:
    event = types.SimpleNamespace(
        position=position,
        pos=(50, 50),
        view_direction=None,
        dims_displayed=[0, 1],
        type="mouse_press",
        modifiers=(),
        handled=False,
        is_dragging=False,
        button=1,
    )
    mouse_press_callbacks(viewer, event)
    if drag:
        event.type, event.is_dragging, event.pos = "mouse_move", True, (50, 60)
        mouse_move_callbacks(viewer, event)
    event.type = "mouse_release"
    mouse_release_callbacks(viewer, event)


def _inside(smear: Smear, label: int) -> tuple[float, float]:
    """Return a point of a cell in the world of the viewer."""
    points = np.argwhere(smear.labels == label)
    y, x = points[len(points) // 2]
    return 3 + 0.5 * float(y), 4 + 0.5 * float(x)


def _rows(widget: ExplainWidget) -> dict[str, tuple[str, str]]:
    table = widget.view.figures
    return {
        table.item(row, 0).text(): (table.item(row, 1).text(), table.item(row, 2).text())
        for row in range(table.rowCount())
    }


def test_a_click_on_a_cell_explains_it(
    qtbot: QtBot, viewer: Any, widget: ExplainWidget, explainer: FakeExplainer, smear: Smear
) -> None:
    assert not widget.panel.run_button.isEnabled()
    assert widget.panel.run_button.toolTip() == "Click a cell in the image first."
    assert not widget.view.isVisibleTo(widget)
    _click(viewer, _inside(smear, 2))
    _wait(qtbot, widget)

    (asked,) = explainer.asked
    assert (asked.label, asked.kind, asked.level, asked.model, asked.diameter) == (2, "", None, "leukocytes", 60.0)
    session = session_of(viewer)
    assert (session.label, session.cells) == (2, str(viewer.layers["field WBC"].unique_id))
    shown = viewer.layers["field Grad-CAM"]
    assert shown.blending == "translucent"
    assert "turbo" in shown.colormap.name
    rows, columns = np.nonzero(smear.labels == 2)
    np.testing.assert_allclose(shown.translate, (3 + 0.5 * rows.min(), 4 + 0.5 * columns.min()))
    box = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    np.testing.assert_array_equal(shown.data > 0, (smear.labels == 2)[box])
    assert shown.get_value(_inside(smear, 2), world=True) == 1
    names = [layer.name for layer in viewer.layers]
    assert names.index("field Grad-CAM") < names.index("field WBC")
    assert viewer.layers.selection.active is viewer.layers["field WBC"]
    assert widget.view.isVisibleTo(widget)
    assert widget.view.title.text().startswith(f"<b>Cell 2: {smear.classes[2]}</b>")
    assert widget.view.review.text() == "Look again: mask unstable"
    assert "almost as likely as" in widget.view.why.text()
    assert "55 %" in widget.view.maps.named.title.text()
    assert "45 %" in widget.view.maps.other.title.text()
    assert _rows(widget)["Outline is firm"] == ("50 %", "● poor")
    assert _rows(widget)["Cell covered"] == ("6 %", "● fair")
    assert _rows(widget)["Evidence in the cell"] == ("99 %", "● good")


def test_a_drag_and_the_background_choose_no_cell(
    qtbot: QtBot, viewer: Any, widget: ExplainWidget, explainer: FakeExplainer, smear: Smear
) -> None:
    _click(viewer, _inside(smear, 1), drag=True)
    background = np.argwhere(smear.labels == 0)[0]
    _click(viewer, (3 + 0.5 * background[0], 4 + 0.5 * background[1]))
    viewer.layers["field WBC"].mode = "paint"
    _click(viewer, _inside(smear, 1))
    assert session_of(viewer).label == 0
    assert explainer.asked == []


def test_another_class_and_level_are_explained_at_once(
    qtbot: QtBot, viewer: Any, widget: ExplainWidget, explainer: FakeExplainer, smear: Smear
) -> None:
    session_of(viewer).label = 1
    _wait(qtbot, widget)
    assert [widget.class_choice.itemText(i) for i in range(widget.class_choice.count())] == [
        "the name that it got",
        *CLASSES,
    ]
    kind = next(name for name in reversed(CLASSES) if name != smear.classes[1])
    widget.class_choice.setCurrentText(kind)
    _wait(qtbot, widget)
    widget.level_choice.setCurrentIndex(widget.level_choice.findData(16))
    _wait(qtbot, widget)
    assert [(q.kind, q.level) for q in explainer.asked] == [("", None), (kind, None), (kind, 16)]
    about = viewer.layers["field Grad-CAM"].metadata[KEY]
    assert (about["class"], about["level"], about["cells"]) == (kind, 16, [1])
    assert kind in widget.view.maps.other.title.text()
    assert "stride 16" in widget.view.title.text()
    assert sum("Grad-CAM" in layer.name for layer in viewer.layers) == 1
    assert "field WBC" in viewer.layers


def test_all_cells_at_once_then_a_click_shows_the_figures_of_one(
    qtbot: QtBot, viewer: Any, widget: ExplainWidget, explainer: FakeExplainer, smear: Smear
) -> None:
    qtbot.mouseClick(widget.all_cells, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(widget.panel.run_button, Qt.MouseButton.LeftButton)
    _wait(qtbot, widget)
    count = len(smear.classes)
    assert widget.panel.message.text() == f"{count} cells explained, 1 to look at again. Click one for its figures."
    shown = viewer.layers["field Grad-CAM"]
    for label in smear.classes:
        assert shown.get_value(_inside(smear, label), world=True) == 1
    assert np.isnan(shown.data).any()
    assert widget.view.title.text().startswith("<b>Cell 2: ")  # the one to look at
    _click(viewer, _inside(smear, 3))
    assert widget.view.title.text().startswith("<b>Cell 3: ")
    assert widget.view.review.text() == "No reason to look again"
    assert len(explainer.asked) == 1


def test_the_last_of_quick_clicks_counts(
    qtbot: QtBot, viewer: Any, widget: ExplainWidget, explainer: FakeExplainer, smear: Smear
) -> None:
    explainer.hold.clear()
    for label in (1, 2, 3):
        _click(viewer, _inside(smear, label))
        qtbot.wait(30)
    explainer.hold.set()
    _wait(qtbot, widget)
    assert explainer.asked[-1].label == 3
    assert widget.view.title.text().startswith("<b>Cell 3: ")


def test_cancel_acts_within_a_second_and_leaves_the_viewer_as_it_was(
    qtbot: QtBot, viewer: Any, widget: ExplainWidget, explainer: FakeExplainer
) -> None:
    explainer.hold.clear()
    before = list(viewer.layers)
    session_of(viewer).label = 1
    qtbot.waitUntil(lambda: bool(explainer.asked), timeout=5000)
    begun = time.perf_counter()
    qtbot.mouseClick(widget.panel.cancel_button, Qt.MouseButton.LeftButton)
    _wait(qtbot, widget)
    assert time.perf_counter() - begun < 1
    assert list(viewer.layers) == before
    assert not session_of(viewer).busy


def test_an_error_is_told_and_the_next_cell_is_free(
    qtbot: QtBot, viewer: Any, widget: ExplainWidget, explainer: FakeExplainer, notifications: list[Any]
) -> None:
    explainer.error = ConfigError("cell 1 is too small to be seen")
    session_of(viewer).label = 1
    _wait(qtbot, widget)
    assert [n.message for n in notifications] == ["cell 1 is too small to be seen"]
    explainer.error = None
    session_of(viewer).label = 2
    _wait(qtbot, widget)
    assert widget.view.isVisibleTo(widget)


def test_cells_of_another_origin_take_the_model_and_diameter_of_the_session(
    qtbot: QtBot, viewer: Any, widget: ExplainWidget, explainer: FakeExplainer, smear: Smear
) -> None:
    session = session_of(viewer)
    painted = viewer.add_labels(smear.labels, name="painted", scale=(0.5, 0.5), translate=(3, 4))
    widget.cells_choice.choose(painted)
    assert session.cells == str(painted.unique_id)
    session.model, session.diameter = "mine", 77.0
    assert widget.model_text.text() == "mine, 77 px"
    session.label = 1
    _wait(qtbot, widget)
    assert (explainer.asked[-1].model, explainer.asked[-1].diameter) == ("mine", 77.0)


def test_labels_that_lie_beside_the_image_are_refused_in_words(
    qtbot: QtBot, viewer: Any, widget: ExplainWidget, explainer: FakeExplainer, smear: Smear
) -> None:
    askew = viewer.add_labels(smear.labels, name="askew", scale=(0.7, 0.7))
    widget.cells_choice.choose(askew)
    session_of(viewer).label = 1
    assert explainer.asked == []
    assert widget.panel.message.text() == (
        "The pixels of 'askew' are not those of 'field'; choose the image that it was made from."
    )


def test_an_image_that_is_removed_meanwhile_does_no_harm(
    qtbot: QtBot, viewer: Any, widget: ExplainWidget, explainer: FakeExplainer
) -> None:
    explainer.hold.clear()
    session_of(viewer).label = 1
    qtbot.waitUntil(lambda: bool(explainer.asked), timeout=5000)
    viewer.layers.clear()
    explainer.hold.set()
    _wait(qtbot, widget)
    assert widget.panel.message.text() == "field was removed; its explanation was dropped."
    assert len(viewer.layers) == 0
    assert widget.panel.run_button.toolTip() == "Segment an image first, or open a labels layer of outlined cells."


def test_a_closed_widget_is_forgotten_and_listens_no_more(
    qtbot: QtBot, viewer: Any, explainer: FakeExplainer, smear: Smear
) -> None:
    before = list(viewer.mouse_drag_callbacks)
    widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Explain cells")[1]
    session_of(viewer).label = 1
    _wait(qtbot, widget)
    gone = weakref.ref(widget)
    viewer.window.remove_dock_widget(widget)
    widget.deleteLater()
    del widget
    qtbot.wait(50)
    gc.collect()
    assert gone() is None
    assert viewer.mouse_drag_callbacks == before
    with qtbot.captureExceptions() as raised:
        session_of(viewer).label = 2
    assert raised == []


def test_the_shipped_model_explains_what_it_segmented(
    qtbot: QtBot, make_napari_viewer: Callable[..., Any], smear: Smear
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(smear.image, name="field")
    viewer.add_labels(smear.labels, name="truth")
    _, widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Explain cells")
    session_of(viewer).label = 1
    qtbot.waitUntil(lambda: widget._answer is not None and not widget.panel.running, timeout=300_000)
    shown = viewer.layers["field Grad-CAM"]
    inside = [shown.get_value(tuple(p), world=True) for p in np.argwhere(smear.labels == 1)]
    assert max(inside) == pytest.approx(1)
    assert widget._answer.diameter == pytest.approx(60, rel=0.3)
    assert _rows(widget)["Strongest point"] == ("in the cell", "● good")
    assert set(widget._answer.cells[0].probabilities) == set(CLASSES)
