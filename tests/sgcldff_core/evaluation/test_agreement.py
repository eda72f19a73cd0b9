"""Figures of agreement: known answers, and properties that hold for any labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sgcldff_core.evaluation.agreement import box_iou, calibration_error, mask_iou, match_boxes, match_labels

LABELS = arrays(np.int32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 4))


def test_mask_iou_by_hand() -> None:
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:2], b[1:3] = True, True
    assert mask_iou(a, b) == pytest.approx(4 / 12)
    known = np.ones((4, 4), bool)
    known[0] = False
    assert mask_iou(a, b, known) == pytest.approx(4 / 8)
    assert mask_iou(a & False, b & False) == 1


@settings(deadline=None, max_examples=30)
@given(LABELS)
def test_labels_match_themselves_entirely(labels) -> None:
    pairs = match_labels(labels, labels)
    assert [(a, b) for a, b, _ in pairs] == [(int(i), int(i)) for i in np.unique(labels) if i]
    assert all(iou == 1 for *_, iou in pairs)


def test_an_instance_is_in_one_pair_only() -> None:
    truth = np.zeros((10, 10), np.int32)
    truth[:, :5], truth[:, 5:] = 1, 2
    assert match_labels(np.ones((10, 10), np.int32), truth, least=0.3) == [(1, 1, 0.5)]
    assert match_labels(np.zeros((10, 10), np.int32), truth) == []


def test_box_iou_by_hand() -> None:
    assert box_iou([[0, 0, 2, 2]], [[1, 1, 3, 3], [0, 0, 2, 2], [5, 5, 6, 6]]).tolist() == [[1 / 7, 1.0, 0.0]]


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [
        ([], [], (0, 0, 0)),
        ([[0, 0, 4, 4]], [], (0, 1, 0)),
        ([], [[0, 0, 4, 4]], (0, 0, 1)),
        ([[0, 0, 4, 4], [0, 0, 4, 4]], [[0, 0, 4, 4]], (1, 1, 0)),
        ([[0, 0, 4, 4]], [[0, 0, 4, 3]], (1, 0, 0)),
    ],
)
def test_boxes_are_counted_once(found, truth, expected) -> None:
    assert match_boxes(found, truth) == expected


def test_calibration_error_by_hand() -> None:
    """Ten cells at 0.9 of which five are right are 0.4 off; a class that is always sure and right is not off."""
    assert calibration_error([0.9] * 10, [True, False] * 5) == pytest.approx(0.4)
    assert calibration_error([1.0] * 4, [True] * 4) == 0
    assert np.isnan(calibration_error([], []))
