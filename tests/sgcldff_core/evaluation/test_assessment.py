"""Assessment: what counts as right, what is left out, and what a missed cell costs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sgcldff_core.evaluation.assessment import MISSED, JudgedCell, assess_prediction, summarise
from sgcldff_core.inference import Prediction
from sgcldff_core.sample import Box, Point, Raster, Sample


def _labels(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    labels = np.zeros((40, 60), np.int32)
    for i, (y0, x0, y1, x1) in enumerate(boxes, start=1):
        labels[y0:y1, x0:x1] = i
    return labels


def _prediction(labels: np.ndarray, classes: list[str]) -> Prediction:
    rows = []
    for i, name in enumerate(classes, start=1):
        y, x = np.nonzero(labels == i)
        box = (y.min(), x.min(), y.max() + 1, x.max() + 1)
        rows.append((i, name, 0.9, *box))
    columns = ["label", "class", "confidence", "bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"]
    cells = pd.DataFrame(rows, columns=columns).assign(prob_monocyte=0.5, prob_basophil=0.5)
    blank = np.zeros(labels.shape, np.float32)
    return Prediction(labels, blank, labels > 0, None, cells, 20.0, "made", np.ones(len(cells), np.float32))


def _sample(labels: np.ndarray | None, **known) -> Sample:
    image = Raster.of(np.zeros((40, 60, 3), np.uint8))
    held = None if labels is None else Raster.of(labels)
    return Sample(name="s", image=image, source="made", group="s", labels=held, **known)


def _named(true: str) -> JudgedCell:
    return JudgedCell(true, true, 0.9, {"monocyte": 0.5, "basophil": 0.5})


A, B = (5, 5, 25, 25), (10, 35, 30, 55)


def test_a_perfect_prediction_is_perfect() -> None:
    truth = _labels(A, B)
    sample = _sample(truth, nucleus=Raster.of(truth > 0), classes={1: "monocyte", 2: "basophil"})
    figures = summarise([assess_prediction(sample, _prediction(truth, ["monocyte", "basophil"]))]).figures
    for name in ("iou", "cell_iou", "nucleus_iou", "right_count", "accuracy", "macro_f1"):
        assert figures[name] == 1
    assert figures["count_error"] == 0
    assert 0 < figures["disc_iou"] < 0.6


def test_a_missed_cell_costs_iou_count_and_class() -> None:
    sample = _sample(_labels(A, B), classes={1: "monocyte", 2: "basophil"})
    image = assess_prediction(sample, _prediction(_labels(A), ["monocyte"]))
    assert image.iou == 0.5
    assert image.cell_iou == 0.5
    assert image.classes == (_named("monocyte"), JudgedCell("basophil", MISSED, 0.0, {}))
    summary = summarise([image])
    assert summary.figures["right_count"] == 0
    assert summary.figures["accuracy"] == 0.5
    assert summary.labels == ("basophil", "monocyte")
    assert summary.confusion == ((0, 0, 1), (0, 1, 0))
    assert summary.figures["calibration_error"] == pytest.approx(0.1)


def test_a_box_in_which_the_mask_forgot_a_cell_is_not_held_against_the_model() -> None:
    box = Box(10, 35, 30, 55)
    sample = _sample(_labels(A), boxes=(Box(5, 5, 25, 25), box, Box(0, 0, 4, 4, "platelet")))
    image = assess_prediction(sample, _prediction(_labels(A, B), ["monocyte", "basophil"]))
    assert image.iou == 1
    assert image.cells == image.cells_found == 2
    assert image.boxes == (2, 0, 0)


def test_points_do_not_tell_a_count() -> None:
    """ALL-IDB1 marks blasts with points and leaves the other leukocytes unmarked."""
    sample = _sample(None, points=(Point(15, 15), Point(20, 45)))
    image = assess_prediction(sample, _prediction(_labels(A), ["monocyte"]))
    assert (image.cells, image.cells_found, image.iou) == (None, 1, None)


def test_a_cell_where_only_others_are_boxed_is_a_false_alarm() -> None:
    sample = _sample(None, boxes=(Box(0, 0, 4, 4, "platelet"),))
    image = assess_prediction(sample, _prediction(_labels(A), ["monocyte"]))
    assert image.boxes == (0, 1, 0)
    assert (image.cells, image.cells_found) == (0, 1)


def test_the_class_of_an_image_is_that_of_its_largest_cell() -> None:
    sample = _sample(None, image_class="basophil")
    found = _prediction(_labels((0, 0, 5, 5), B), ["monocyte", "basophil"])
    assert assess_prediction(sample, found).classes == (_named("basophil"),)
    assert assess_prediction(sample, _prediction(_labels(), [])).classes == (JudgedCell("basophil", MISSED, 0.0, {}),)


def test_classes_that_the_model_has_not_are_left_out() -> None:
    sample = _sample(_labels(A, B), classes={1: "blast", 2: "basophil"})
    image = assess_prediction(sample, _prediction(_labels(A, B), ["monocyte", "basophil"]))
    assert image.classes == (_named("basophil"),)


def test_what_nobody_knows_has_no_figure() -> None:
    figures = summarise([assess_prediction(_sample(None), _prediction(_labels(A), ["monocyte"]))]).figures
    assert dict(figures) == {}
