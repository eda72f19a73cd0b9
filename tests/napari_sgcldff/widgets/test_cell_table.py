"""The table of cells, in step with the viewer both ways."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Labels
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QFileDialog

from napari_sgcldff.metadata import KEY
from napari_sgcldff.session import session_of
from napari_sgcldff.view import camera_of
from napari_sgcldff.widgets.cell_table import CellTable
from sgcldff_core.cells import cell_columns

CLASSES = ["neutrophil", "lymphocyte"]
SCALE, TRANSLATE = (1.0, 0.5, 0.5), (0.0, 30.0, 10.0)


def _features() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "index": [1, 2, 3, 4],
            "image": ["a", "a", "b", "b"],
            "label": [1, 2, 3, 4],
            "class": ["neutrophil", "lymphocyte", "neutrophil", "neutrophil"],
            "confidence": [0.9, 0.5, 0.8, 0.4],
            "needs_review": [False, True, False, True],
            "review_reason": ["", "class uncertain", "", "mask unstable"],
            "centroid_y": [20.0, 60.0, 20.0, 60.0],
            "centroid_x": [25.0, 75.0, 75.0, 25.0],
        }
    )


@pytest.fixture
def cells() -> Labels:
    """Return a stack of two planes with two cells each."""
    data = np.zeros((2, 80, 100), np.int32)
    for _, row in _features().iterrows():
        y, x = int(row["centroid_y"]), int(row["centroid_x"])
        data[int(row["image"] == "b"), y - 8 : y + 9, x - 8 : x + 9] = row["index"]
    about = {"role": "cells", "classes": CLASSES, "planes": {"a": [0], "b": [1]}}
    return Labels(data, name="WBC", features=_features(), scale=SCALE, translate=TRANSLATE, metadata={KEY: about})


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any], cells: Labels) -> Any:
    """Return a viewer on whose canvas clicks can be made."""
    viewer = make_napari_viewer(show=True)
    viewer.add_image(np.zeros((2, 80, 100, 3), np.uint8), name="field", scale=SCALE, translate=TRANSLATE)
    viewer.add_layer(cells)
    return viewer


@pytest.fixture
def table(qtbot: QtBot, viewer: Any, cells: Labels) -> CellTable:
    """Return a table in the viewer's window that shows the cells."""
    table = CellTable(viewer)
    viewer.window.add_dock_widget(table, name="cells")
    session_of(viewer).cells = str(cells.unique_id)
    qtbot.waitUntil(lambda: table.model.rowCount() == 4)
    return table


def _click_row(qtbot: QtBot, table: CellTable, row: int) -> None:
    where = table.view.visualRect(table.model.index(row, 0)).center()
    qtbot.mouseClick(table.view.viewport(), Qt.MouseButton.LeftButton, pos=where)


def _click_cell(qtbot: QtBot, viewer: Any, layer: Labels, point: tuple[float, ...], drag: int = 0) -> None:
    """Press and let go the left button over a place of a layer, as a person would."""
    canvas = viewer.window._qt_window._qt_viewer.canvas
    world = np.array(layer.data_to_world(point))[-2:]
    camera = camera_of(viewer)
    y, x = (world - np.array(camera.center[-2:])) * camera.zoom + np.array(canvas.size) / 2
    native, start = canvas.native, QPoint(round(x), round(y))
    qtbot.mouseMove(native, start)
    qtbot.mousePress(native, Qt.MouseButton.LeftButton, pos=start)
    if drag:
        from qtpy.QtCore import QEvent, QPointF
        from qtpy.QtGui import QMouseEvent
        from qtpy.QtWidgets import QApplication

        moved = QPointF(start + QPoint(drag, drag))
        left = Qt.MouseButton.LeftButton
        QApplication.sendEvent(
            native,
            QMouseEvent(
                QEvent.Type.MouseMove, moved, native.mapToGlobal(moved), left, left, Qt.KeyboardModifier.NoModifier
            ),
        )
    qtbot.mouseRelease(native, Qt.MouseButton.LeftButton, pos=start + QPoint(drag, drag))


def test_choosing_a_row_looks_at_its_cell_in_its_plane(
    qtbot: QtBot, viewer: Any, table: CellTable, cells: Labels
) -> None:
    camera_of(viewer).zoom = 4.0
    _click_row(qtbot, table, 3)
    np.testing.assert_allclose(camera_of(viewer).center[-2:], (60, 22.5))
    assert viewer.dims.current_step[0] == 1
    assert camera_of(viewer).zoom == 4.0
    assert session_of(viewer).label == cells.selected_label == 4
    _click_row(qtbot, table, 0)
    assert viewer.dims.current_step[0] == 0
    assert session_of(viewer).label == cells.selected_label == 1


def test_clicking_a_cell_chooses_its_row_and_leaves_the_view(
    qtbot: QtBot, viewer: Any, table: CellTable, cells: Labels
) -> None:
    viewer.layers.selection.active = viewer.layers["field"]
    before = tuple(camera_of(viewer).center)
    viewer.dims.set_current_step(0, 0)
    _click_cell(qtbot, viewer, cells, (0, 60, 75))
    assert session_of(viewer).label == 2
    assert [index.row() for index in table.view.selectionModel().selectedRows()] == [1]
    assert tuple(camera_of(viewer).center) == before
    _click_cell(qtbot, viewer, cells, (0, 20, 25))
    assert session_of(viewer).label == 1
    _click_cell(qtbot, viewer, cells, (0, 2, 2))  # beside any cell
    assert session_of(viewer).label == 1


def test_dragging_and_painting_choose_nothing(qtbot: QtBot, viewer: Any, table: CellTable, cells: Labels) -> None:
    viewer.dims.set_current_step(0, 0)
    _click_cell(qtbot, viewer, cells, (0, 60, 75), drag=30)
    assert session_of(viewer).label == 0
    viewer.reset_view()
    viewer.layers.selection.active = cells
    cells.mode = "erase"
    _click_cell(qtbot, viewer, cells, (0, 60, 75))
    assert session_of(viewer).label == 0


def test_what_others_choose_is_chosen_here(viewer: Any, table: CellTable, cells: Labels) -> None:
    before = tuple(camera_of(viewer).center)
    session_of(viewer).label = 3
    assert [index.row() for index in table.view.selectionModel().selectedRows()] == [2]
    assert cells.selected_label == 3
    cells.selected_label = 2  # napari's own controls, or its picker
    assert session_of(viewer).label == 2
    cells.selected_label = 77  # a new label, not a cell yet
    assert session_of(viewer).label == 2
    assert tuple(camera_of(viewer).center) == before


def test_edited_features_refresh_table_and_count(qtbot: QtBot, table: CellTable, cells: Labels) -> None:
    count = table.differential
    assert [count.item(row, 1).text() for row in range(count.rowCount())] == ["3", "1", "4"]
    features = cells.features.copy()
    features.loc[features["index"] == 4, "class"] = "blast"
    features = pd.concat([features, pd.DataFrame({"index": [9], "class": ["lymphocyte"]})])
    table._session.label = 3
    cells.features = features
    qtbot.waitUntil(lambda: table.model.rowCount() == 5)
    names = [count.item(row, 0).text() for row in range(count.rowCount())]
    assert names == ["neutrophil", "lymphocyte", "blast", "all"]
    assert [count.item(row, 1).text() for row in range(count.rowCount())] == ["2", "2", "1", "5"]
    assert table.model.row_of(9) == 4
    assert table.model.label_at(table.view.selectionModel().selectedRows()[0].row()) == 3
    assert [table.kind.itemText(i) for i in range(table.kind.count())] == ["All classes", *names[:3]]


def test_filters_show_what_is_asked_for(qtbot: QtBot, table: CellTable) -> None:
    qtbot.mouseClick(table.review, Qt.MouseButton.LeftButton, pos=QPoint(8, table.review.height() // 2))
    assert table.review.isChecked()
    assert table.model.labels() == [2, 4]
    assert table.summary.text() == "2 of 4 cells shown"
    table.kind.setCurrentText("neutrophil")
    assert table.model.labels() == [4]
    table.review.setChecked(False)
    assert table.model.labels() == [1, 3, 4]
    table.confidence.setValue(80)
    assert table.model.labels() == [3, 4]
    table.kind.setCurrentIndex(0)
    assert table.model.labels() == [2, 3, 4]


def test_a_click_on_a_heading_sorts_and_the_chosen_cell_stays_chosen(qtbot: QtBot, table: CellTable) -> None:
    table._session.label = 3
    header = table.view.horizontalHeader()
    column = table.model.columns.index("confidence")
    where = QPoint(header.sectionViewportPosition(column) + 15, header.height() // 2)
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=where)
    first = table.model.labels()
    qtbot.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert sorted([first, table.model.labels()]) == [[1, 3, 2, 4], [4, 2, 3, 1]]
    chosen = table.view.selectionModel().selectedRows()
    assert [table.model.label_at(index.row()) for index in chosen] == [3]


def test_the_cells_that_are_shown_are_exported(
    qtbot: QtBot, table: CellTable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, notifications: list[Any]
) -> None:
    file = tmp_path / "out.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(file), ""))
    table.review.setChecked(True)
    qtbot.mouseClick(table.export_button, Qt.MouseButton.LeftButton)
    written = pd.read_csv(file)
    assert list(written.columns) == cell_columns(CLASSES)
    assert written["label"].tolist() == [2, 4]
    assert table.summary.text() == "Wrote 2 cells to out.csv."
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(blocked / "out.csv"), ""))
    qtbot.mouseClick(table.export_button, Qt.MouseButton.LeftButton)
    assert "choose another folder" in notifications[0].message


def test_a_layer_that_is_renamed_or_removed_does_no_harm(
    qtbot: QtBot, viewer: Any, table: CellTable, cells: Labels
) -> None:
    cells.name = "mine"
    _click_row(qtbot, table, 1)
    assert session_of(viewer).label == 2
    viewer.layers.remove(cells)
    qtbot.waitUntil(lambda: table.model.rowCount() == 0)
    assert table.layer is None
    assert (session_of(viewer).cells, session_of(viewer).label) == ("", 0)
    assert table.summary.text() == "No cells yet: run Segment, or select a layer of named cells."
    assert not table.export_button.isEnabled()
    cells.features = cells.features.iloc[:2]  # nobody listens any more
    qtbot.wait(20)
    viewer.add_layer(cells)
    viewer.layers.selection.active = None
    viewer.layers.selection.active = cells
    qtbot.waitUntil(lambda: table.model.rowCount() == 2)


def test_a_layer_without_classes_is_not_taken(qtbot: QtBot, viewer: Any, table: CellTable, cells: Labels) -> None:
    plain = viewer.add_labels(np.zeros((10, 10), np.int32), name="plain")
    viewer.layers.selection.active = plain
    assert session_of(viewer).cells == str(cells.unique_id)


def test_ten_thousand_rows_stay_quick(qtbot: QtBot, viewer: Any, table: CellTable, cells: Labels) -> None:
    n = 10_000
    rng = np.random.default_rng(1)
    many = pd.DataFrame(
        {
            "index": np.arange(1, n + 1),
            "class": rng.choice(CLASSES, n),
            "confidence": rng.random(n),
            "needs_review": rng.random(n) < 0.1,
            "review_reason": rng.choice(["", "class uncertain"], n),
            "centroid_y": rng.uniform(0, 80, n),
            "centroid_x": rng.uniform(0, 100, n),
        }
    )
    cells.features = many
    qtbot.waitUntil(lambda: table.model.rowCount() == n)
    spent = {}
    for name, act in {
        "refresh": table.refresh,
        "sort": lambda: table.view.sortByColumn(1, Qt.SortOrder.DescendingOrder),
        "filter": lambda: table.review.setChecked(True),
        "unfilter": lambda: table.review.setChecked(False),
        "choose": lambda: setattr(session_of(viewer), "label", 5000),
        "draw": lambda: table.view.grab(),
    }.items():
        begun = time.thread_time()
        act()
        spent[name] = time.thread_time() - begun
    assert max(spent.values()) < 0.25, spent


def test_a_closed_table_is_forgotten(qtbot: QtBot, viewer: Any, cells: Labels) -> None:
    table = CellTable(viewer)
    viewer.window.add_dock_widget(table, name="cells")
    callbacks = len(viewer.mouse_drag_callbacks)
    session_of(viewer).cells = str(cells.unique_id)
    qtbot.wait(20)
    gone = weakref.ref(table)
    viewer.window.remove_dock_widget(table)
    table.deleteLater()
    del table
    qtbot.wait(50)
    gc.collect()
    assert gone() is None
    assert len(viewer.mouse_drag_callbacks) == callbacks - 1
    with qtbot.captureExceptions() as raised:
        session_of(viewer).label = 2
        cells.features = cells.features.iloc[:2]
        cells.selected_label = 1
        viewer.layers.remove(cells)
        qtbot.wait(20)
    assert raised == []
