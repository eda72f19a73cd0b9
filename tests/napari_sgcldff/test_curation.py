"""Labels, features and colours stay in step whatever is edited, and each edit is one step to undo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from napari.components import ViewerModel
from napari.layers import Labels
from numpy.typing import NDArray

from napari_sgcldff.cell_edits import (
    accept_cells,
    add_cell,
    delete_cell,
    fill_holes,
    merge_cells,
    set_class,
    smooth_outline,
    split_cell,
)
from napari_sgcldff.curation import Curation
from napari_sgcldff.edited_rows import in_review_order
from napari_sgcldff.step_making import editable
from sgcldff_core.cells import cell_shapes
from sgcldff_core.errors import ConfigError
from sgcldff_core.taxonomy import LEUKOCYTES, colour_of

CLASSES = tuple(c.name for c in LEUKOCYTES)


def _disc(y: float, x: float, radius: float, shape: tuple[int, int] = (80, 120)) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    return np.asarray((rows - y) ** 2 + (columns - x) ** 2 < radius**2)


def _field() -> NDArray[np.int32]:
    """Return a lone cell 1, the pair 2 that was taken for one, and cell 5 with a hole."""
    labels = np.zeros((80, 120), np.int32)
    labels[_disc(20, 20, 12)] = 1
    labels[_disc(30, 60, 13) | _disc(30, 82, 12)] = 2
    labels[_disc(62, 30, 12) & ~_disc(62, 30, 4)] = 5
    return labels


def _layer(**attributes: Any) -> Labels:
    features = pd.DataFrame(
        {
            "index": [1, 2, 5],
            "class": ["neutrophil", "monocyte", "lymphocyte"],
            "confidence": [0.9, 0.4, 0.8],
            "prob_neutrophil": [0.9, 0.3, 0.1],
            "prob_monocyte": [0.1, 0.4, 0.1],
            "prob_lymphocyte": [0.0, 0.3, 0.8],
            "saliency_consistency": [0.9, 0.5, 0.7],
            "needs_review": [False, True, False],
            "review_reason": ["", "low confidence", ""],
        }
    )
    layer = ViewerModel().add_labels(_field(), features=features, **attributes)
    assert isinstance(layer, Labels)
    return layer


def _check(curation: Curation) -> None:
    """Check that labels, table, features and colours say the same."""
    layer = curation.layer
    features = layer.features
    present = [int(n) for n in np.unique(layer.data) if n]
    assert features["index"].tolist() == present
    assert curation.table.index.tolist() == present
    np.testing.assert_array_equal(curation.labels, layer.data)
    shapes = cell_shapes(np.asarray(layer.data))
    for name in shapes:
        np.testing.assert_allclose(features[name].to_numpy(float), shapes[name].to_numpy(float), err_msg=name)
    for label, name in zip(features["index"], features["class"], strict=True):
        shown = layer.get_color(label)[:3]
        assert shown == pytest.approx([c / 255 for c in colour_of(name, CLASSES)] if name else [0.63] * 3, abs=0.01)


@pytest.fixture
def curation() -> Curation:
    return Curation(_layer(), classes=CLASSES)


def test_what_is_not_known_of_a_cell_is_added_at_the_start() -> None:
    layer = ViewerModel().add_labels(_field())
    curation = Curation(layer, image_name=lambda plane: "field")
    _check(curation)
    assert layer.features["class"].isna().all()
    assert layer.features["image"].tolist() == ["field"] * 3
    assert not layer.features["curated"].any()
    assert layer.features["area_px"].tolist() == [int((layer.data == n).sum()) for n in (1, 2, 5)]


def test_rows_of_cells_that_are_not_there_go_and_columns_of_the_user_stay() -> None:
    features = pd.DataFrame({"index": [1, 2, 5, 9], "class": ["a"] * 4, "mine": [1, 2, 3, 4]})
    layer = ViewerModel().add_labels(_field(), features=features)
    curation = Curation(layer)
    _check(curation)
    delete_cell(curation, 2)
    layer.selected_label = 12
    layer.paint((70, 100), 12)
    _check(curation)
    assert layer.features["mine"].tolist()[:2] == [1, 3]
    assert np.isnan(layer.features["mine"].tolist()[2])


def test_brush_eraser_and_fill_are_followed(curation: Curation) -> None:
    layer = curation.layer
    layer.brush_size = 6
    layer.paint((20, 34), 1)
    _check(curation)
    row = curation.table.loc[1]
    assert (row["class"], row["curated"], row["confidence"]) == ("neutrophil", True, 0.9)
    layer.paint((60, 100), 6)
    _check(curation)
    assert curation.table.loc[6, "class"] is None
    assert curation.table.loc[6, "review_reason"] == "it has no class yet"
    layer.fill((20, 20), 0)
    _check(curation)
    layer.fill((62, 30), 5)
    _check(curation)
    assert [step.done.what for step in curation.steps.taken] == [
        "painted cell 1",
        "painted cell 6",
        "painted cell 1",
        "painted cell 5",
    ]


def test_a_stroke_is_one_step(curation: Curation) -> None:
    before = curation.layer.data.copy()
    with curation.layer.block_history():
        for x in range(90, 110, 4):
            curation.layer.paint((60, x), 7)
    assert len(curation.steps.taken) == 1
    assert curation.undo()
    np.testing.assert_array_equal(curation.layer.data, before)
    _check(curation)


def test_a_painted_cell_has_the_class_that_was_chosen(curation: Curation) -> None:
    curation.new_class = "basophil"
    curation.layer.paint((60, 100), 6)
    assert curation.table.loc[6, "class"] == "basophil"
    assert not curation.table.loc[6, "needs_review"]


def test_delete(curation: Curation) -> None:
    delete_cell(curation, 2)
    _check(curation)
    assert curation.table.index.tolist() == [1, 5]
    curation.undo()
    _check(curation)
    assert curation.table.loc[2, "review_reason"] == "low confidence"
    assert not curation.table.loc[2, "curated"]


def test_split_along_a_line_and_by_shape(curation: Curation) -> None:
    for line in (np.array([[10.0, 71], [50, 72]]), None):
        new = split_cell(curation, 2, line)
        _check(curation)
        left, right = curation.cell_at(30, 60), curation.cell_at(30, 82)
        assert (left, right) == (2, new)
        assert curation.table.loc[new, "class"] == "monocyte"
        assert curation.table.loc[new, "needs_review"]
        assert curation.table.loc[new, "review_reason"] == "it was split from cell 2; is its class right?"
        curation.undo()
        _check(curation)
    with pytest.raises(ConfigError, match="does not cross"):
        split_cell(curation, 2, np.array([[2.0, 100], [4, 110]]))
    with pytest.raises(ConfigError, match="no waist"):
        split_cell(curation, 1)


def test_merge(curation: Curation) -> None:
    new = split_cell(curation, 2)
    merge_cells(curation, 2, new)
    _check(curation)
    np.testing.assert_array_equal(curation.layer.data, _field())
    with pytest.raises(ConfigError, match="same cell"):
        merge_cells(curation, 2, 2)


def test_holes_are_filled_and_outlines_smoothed_within_their_own_cell(curation: Curation) -> None:
    curation.layer.brush_size = 3
    curation.layer.paint((62, 30), 9)  # a small cell in the hole
    fill_holes(curation, 5)
    _check(curation)
    assert curation.cell_at(62, 30) == 9
    delete_cell(curation, 9)
    fill_holes(curation, 5)
    assert curation.table.loc[5, "area_px"] == _disc(62, 30, 12).sum()
    with pytest.raises(ConfigError, match="nothing to change"):
        fill_holes(curation, 5)
    curation.layer.brush_size = 1
    curation.layer.paint((62, 43), 5)
    rough = curation.table.loc[5, "solidity"]
    smooth_outline(curation, 5)
    _check(curation)
    assert curation.table.loc[5, "solidity"] >= rough
    assert curation.cell_at(62, 43) == 0


def test_a_class_is_set_taken_back_and_set_again(curation: Curation) -> None:
    set_class(curation, 2, "neutrophil")
    _check(curation)
    row = curation.table.loc[2]
    assert (row["class"], row["confidence"], row["curated"], row["needs_review"]) == ("neutrophil", 0.3, True, False)
    curation.undo()
    _check(curation)
    assert curation.table.loc[2, ["class", "confidence"]].tolist() == ["monocyte", 0.4]
    curation.redo()
    _check(curation)
    assert curation.table.loc[2, "class"] == "neutrophil"
    curation.classes.append("Smudge cell")
    set_class(curation, 2, "Smudge cell")
    assert np.isnan(curation.table.loc[2, "confidence"])
    with pytest.raises(ConfigError, match="no cell 77"):
        set_class(curation, 77, "neutrophil")


def test_accepting_takes_a_cell_from_the_queue(curation: Curation) -> None:
    assert in_review_order(curation.table) == [2, 5, 1]
    accept_cells(curation, [2])
    assert in_review_order(curation.table) == [5, 1]
    assert curation.table.loc[2, "review_reason"] == ""
    accept_cells(curation, in_review_order(curation.table))
    assert in_review_order(curation.table) == []
    assert len(curation.steps.taken) == 2
    curation.undo()
    assert in_review_order(curation.table) == [5, 1]
    curation.layer.paint((60, 100), 6)
    with pytest.raises(ConfigError, match="cell 6 has no class yet"):
        accept_cells(curation, [6])


def test_a_proposed_cell_leaves_others_alone(curation: Curation) -> None:
    mask = np.ones((30, 30), bool)
    label = add_cell(curation, mask, (10, 10), {"class": "eosinophil", "confidence": 0.7, "prob_neutrophil": 0.1})
    _check(curation)
    assert label == 6
    assert curation.cell_at(20, 20) == 1
    assert curation.table.loc[6, ["class", "confidence"]].tolist() == ["eosinophil", 0.7]
    curation.undo()
    _check(curation)
    assert add_cell(curation, mask, (10, 10), {"class": "basophil"}) == 7  # a number is never used twice


def test_saliency_and_nucleus_are_measured_where_they_are_known() -> None:
    nucleus = _disc(30, 60, 5)
    curation = Curation(_layer(), saliency=np.where(_field() == 2, 0.5, 0.0), nucleus=nucleus)
    new = split_cell(curation, 2)
    table = curation.table
    assert table.loc[2, "nucleus_area_px"] == nucleus.sum()
    assert table.loc[2, "nc_ratio"] == pytest.approx(nucleus.sum() / table.loc[2, "area_px"])
    assert np.isnan(table.loc[new, "nucleus_area_px"])
    assert table.loc[new, "mean_saliency"] == pytest.approx(0.5)


def test_napari_undo_takes_the_features_along(curation: Curation) -> None:
    layer = curation.layer
    delete_cell(curation, 2)
    layer.undo()
    _check(curation)
    assert curation.table.loc[2, "review_reason"] == "low confidence"
    layer.redo()
    _check(curation)
    assert 2 not in curation.table.index
    assert (len(curation.steps.taken), len(curation.steps.taken_back)) == (1, 0)
    curation.undo()
    set_class(curation, 2, "basophil")
    layer.paint((60, 100), 6)
    set_class(curation, 1, "basophil")
    layer.undo()  # napari knows of no classes: the stroke goes, the class stays
    _check(curation)
    assert 6 not in curation.table.index
    assert curation.table.loc[1, "class"] == "basophil"
    for _ in range(4):
        assert curation.undo()
        _check(curation)
    assert not curation.undo()
    np.testing.assert_array_equal(layer.data, _field())
    assert curation.table["class"].tolist() == ["neutrophil", "monocyte", "lymphocyte"]


def test_a_stroke_that_makes_what_undo_or_redo_would_make_is_a_step_of_its_own(curation: Curation) -> None:
    layer = curation.layer
    delete_cell(curation, 2)
    with layer.block_history():
        layer.data_setitem(np.nonzero(_field() == 2), 2)
    layer.events.paint(value=[])
    assert (len(curation.steps.taken), len(curation.steps.taken_back)) == (2, 0)
    assert curation.undo()
    assert not (layer.data == 2).any()  # only the stroke is gone
    assert curation.undo()
    np.testing.assert_array_equal(layer.data, _field())
    with layer.block_history():
        layer.data_setitem(np.nonzero(_field() == 2), 0)
    layer.events.paint(value=[])
    assert (len(curation.steps.taken), len(curation.steps.taken_back)) == (1, 0)
    _check(curation)


def test_more_steps_than_napari_remembers_are_taken_back(curation: Curation) -> None:
    for i in range(110):
        curation.layer.paint((70, i), 6)
    while curation.undo():
        pass
    _check(curation)
    np.testing.assert_array_equal(curation.layer.data, _field())
    while curation.redo():
        pass
    _check(curation)
    assert curation.cell_at(70, 109) == 6


def test_planes_of_a_stack_are_edited_each_by_itself() -> None:
    stack = np.stack([_field(), np.where(_field() > 0, _field() + 10, 0)])
    viewer = ViewerModel()
    layer = viewer.add_labels(stack)
    viewer.dims.set_current_step(0, 0)
    curation = Curation(layer, image_name=lambda plane: f"image {plane[0]}", plane=(0,))
    assert curation.table.index.tolist() == [1, 2, 5]
    delete_cell(curation, 1)
    viewer.dims.set_current_step(0, 1)
    curation.show_plane((1,))
    assert curation.table["image"].tolist() == ["image 0"] * 2 + ["image 1"] * 3
    layer.paint((1, 60, 100), 30)
    delete_cell(curation, 12)
    assert sorted(curation.table.index) == [2, 5, 11, 15, 30]
    assert curation.next_label() == 31
    for _ in range(3):
        curation.undo()
    np.testing.assert_array_equal(layer.data, stack)


def test_other_data_end_the_curation(curation: Curation) -> None:
    said: list[str] = []
    curation.ended.connect(said.append)
    curation.layer.data = np.zeros((10, 10), np.int32)
    assert said == ["Labels got other data"] or said == [f"{curation.layer.name} got other data"]
    curation.layer.paint((5, 5), 1)
    assert curation.steps.taken == []


def test_features_that_others_set_are_kept(curation: Curation) -> None:
    curation.layer.features = curation.layer.features.assign(note=["a", "b", "c"])
    set_class(curation, 1, "basophil")
    assert curation.layer.features["note"].tolist() == ["a", "b", "c"]


def test_labels_become_editable() -> None:
    import dask.array as da

    lazy = editable(da.ones((4, 4), dtype=np.int32))
    assert isinstance(lazy, np.ndarray)
    lazy[0] = 5
    assert editable(np.zeros((4, 4), bool)).dtype == np.int32
    frozen = np.zeros((4, 4), np.uint16)
    assert editable(frozen) is frozen
    frozen.flags.writeable = False
    assert editable(frozen).flags.writeable


class Editing(RuleBasedStateMachine):
    """Any mixture of edits, strokes, class changes, undo and redo against whole states that were kept."""

    def __init__(self) -> None:
        super().__init__()
        self.curation = Curation(_layer(), classes=CLASSES)
        self.past: list[tuple[NDArray[Any], dict[int, Any]]] = []
        self.future: list[tuple[NDArray[Any], dict[int, Any]]] = []
        self.now = self._state()

    def _state(self) -> tuple[NDArray[Any], dict[int, Any]]:
        table = self.curation.table
        rows = zip(table["class"], table["curated"], table["needs_review"], table["area_px"], strict=True)
        return self.curation.layer.data.copy(), dict(zip(table.index, rows, strict=True))

    def _did(self) -> None:
        state = self._state()
        if not np.array_equal(state[0], self.now[0]) or state[1] != self.now[1]:
            self.past.append(self.now)
            self.future.clear()
            self.now = state

    def _label(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(self.curation.table.index.tolist()))

    @initialize(size=st.integers(2, 15))
    def choose_brush(self, size: int) -> None:
        self.curation.layer.brush_size = size

    @rule(y=st.integers(0, 79), x=st.integers(0, 119), label=st.integers(0, 8))
    def stroke(self, y: int, x: int, label: int) -> None:
        with self.curation.layer.block_history():
            self.curation.layer.paint((y, x), label)
            self.curation.layer.paint((min(y + 3, 79), x), label)
        self._did()

    @rule(y=st.integers(0, 79), x=st.integers(0, 119), label=st.integers(0, 8))
    def bucket(self, y: int, x: int, label: int) -> None:
        self.curation.layer.fill((y, x), label)
        self._did()

    @precondition(lambda self: len(self.curation.table))
    @rule(data=st.data(), name=st.sampled_from(CLASSES))
    def name(self, data: st.DataObject, name: str) -> None:
        label = self._label(data)
        before = self.now
        set_class(self.curation, label, name)
        self._did()
        if self.now is before:  # the same class again is a step of its own all the same
            self.past.append(before)
            self.future.clear()

    @precondition(lambda self: len(self.curation.table))
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        delete_cell(self.curation, self._label(data))
        self._did()

    @precondition(lambda self: len(self.curation.table) > 1)
    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        first = self._label(data)
        others = [n for n in self.curation.table.index if n != first]
        merge_cells(self.curation, first, data.draw(st.sampled_from(others)))
        self._did()

    @precondition(lambda self: len(self.curation.table))
    @rule(data=st.data(), x=st.integers(-6, 6))
    def split(self, data: st.DataObject, x: int) -> None:
        label = self._label(data)
        y0, y1, middle = self.curation.table.loc[label, ["bbox_y0", "bbox_y1", "centroid_x"]]
        try:
            split_cell(self.curation, label, np.array([[y0 - 2, middle + x], [y1 + 2, middle - x]]))
        except ConfigError:
            return
        self._did()

    @rule()
    def undo(self) -> None:
        assert self.curation.undo() == bool(self.past)
        if self.past:
            self.future.append(self.now)
            self.now = self.past.pop()
        self._same()

    @rule()
    def redo(self) -> None:
        assert self.curation.redo() == bool(self.future)
        if self.future:
            self.past.append(self.now)
            self.now = self.future.pop()
        self._same()

    def _same(self) -> None:
        pixels, rows = self._state()
        np.testing.assert_array_equal(pixels, self.now[0])
        assert rows == self.now[1]

    @invariant()
    def in_step(self) -> None:
        _check(self.curation)


TestEditing = Editing.TestCase
TestEditing.settings = settings(
    max_examples=8, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
