"""Confident learning: a noise matrix made up is found again, and the doubts are the flipped labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError, FormatError
from sgcldff_core.evaluation.assessment import MISSED, ImageAssessment, JudgedCell
from sgcldff_core.evaluation.doubts import confident_joint, doubt_table, find_doubts, read_judged
from sgcldff_core.evaluation.named_cells import CellKey, NamedCells, named_cells

CLASSES = ("neutrophil", "lymphocyte", "eosinophil")
# Rows annotated, columns true: one in five "eosinophils" is a neutrophil, and so on.
NOISE = np.array([[0.45, 0.0, 0.05], [0.0, 0.30, 0.0], [0.04, 0.0, 0.16]])


def _annotated_with_noise(
    count: int, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return annotated and true classes drawn from `NOISE`, and probabilities that know the true ones well."""
    rng = np.random.default_rng(seed)
    pairs = rng.choice(9, count, p=NOISE.ravel())
    annotated, true = pairs // 3, pairs % 3
    scores = 4 * np.eye(3)[true] + rng.normal(size=(count, 3))
    likely = np.exp(scores)
    return annotated, true, likely / likely.sum(1, keepdims=True)


def _cells(annotated: NDArray[np.int64], probabilities: NDArray[np.float64], source: str = "made") -> NamedCells:
    keys = tuple(CellKey(source, f"{i:05}", 0) for i in range(len(annotated)))
    return NamedCells(CLASSES, keys, annotated, probabilities)


def test_the_noise_matrix_is_found_again() -> None:
    annotated, _, probabilities = _annotated_with_noise(4000)
    (found,) = find_doubts(_cells(annotated, probabilities))
    np.testing.assert_allclose(found.joint, NOISE, atol=0.02)
    assert found.noise_rate == pytest.approx(0.09, abs=0.02)
    assert found.noise_rates == pytest.approx({"neutrophil": 0.1, "lymphocyte": 0.0, "eosinophil": 0.2}, abs=0.03)
    assert found.joint.sum(1) * 4000 == pytest.approx(np.bincount(annotated))


def test_doubts_are_the_wrong_labels_the_least_likely_first() -> None:
    annotated, true, probabilities = _annotated_with_noise(1000)
    (found,) = find_doubts(_cells(annotated, probabilities))
    listed = np.array([int(d.key.name) for d in found.doubts])
    wrong = set(np.flatnonzero(annotated != true))
    assert len(wrong & set(listed)) > 0.9 * len(wrong)
    assert len(wrong & set(listed)) > 0.9 * len(listed)
    assert [d.rank for d in found.doubts] == list(range(1, len(listed) + 1))
    confidence = [d.self_confidence for d in found.doubts]
    assert confidence == sorted(confidence)
    named = [(CLASSES[annotated[i]], CLASSES[true[i]]) for i in listed[:20]]
    assert [(d.annotated, d.suggested) for d in found.doubts[:20]] == named


def test_the_joint_by_hand() -> None:
    """Thresholds 0.6 and 0.65: the third cell reaches the other class's, the second reaches none."""
    annotated = np.array([0, 0, 0, 1, 1])
    of_first = np.array([0.95, 0.55, 0.3, 0.4, 0.3])
    counts, confident = confident_joint(annotated, np.stack([of_first, 1 - of_first], 1))
    assert confident.tolist() == [0, -1, 1, -1, 1]
    assert counts.tolist() == [[1, 1], [0, 1]]


def test_a_class_that_was_always_named_otherwise_is_no_magnet() -> None:
    """One basophil at p = 0.01 would set a threshold of 0.01, which any cell reaches."""
    probabilities = np.array([[0.97, 0.03], [0.6, 0.4], [0.99, 0.01]])
    counts, confident = confident_joint(np.array([0, 0, 1]), probabilities)
    assert confident.tolist() == [0, -1, 0]
    assert counts.tolist() == [[1, 0], [1, 0]]


def test_sources_are_judged_each_for_itself() -> None:
    """A laboratory whose cells the model is unsure of is held to what can be had there."""
    clean, _, sure = _annotated_with_noise(200)
    cells = [_cells(clean, sure, "one"), _cells(clean, (sure + 1) / 4, "two")]
    keys = cells[0].keys + cells[1].keys
    both = NamedCells(CLASSES, keys, np.tile(clean, 2), np.concatenate([c.probabilities for c in cells]))
    one, two = find_doubts(both)
    assert (one.source, two.source) == ("one", "two")
    assert [d.key.name for d in one.doubts] == [d.key.name for d in two.doubts]


def test_no_cells_no_doubts() -> None:
    assert find_doubts(named_cells([])) == ()
    table = doubt_table([])
    assert table.columns[:6].tolist() == ["name", "source", "cell", "annotated", "suggested", "self_confidence"]


def _image(name: str, *classes: JudgedCell) -> ImageAssessment:
    return ImageAssessment(name, "made", None, None, None, None, None, 1, None, classes, 50.0)


def _judged(true: str, neutrophil: float) -> JudgedCell:
    found = "neutrophil" if neutrophil > 0.5 else "eosinophil"
    return JudgedCell(true, found, 0.5, {"neutrophil": neutrophil, "eosinophil": 1 - neutrophil})


def test_cells_of_several_seeds_count_once_with_their_mean() -> None:
    missed = JudgedCell("eosinophil", MISSED, 0.0, {})
    seeds = [
        [_image("b", missed, _judged("eosinophil", 0.9)), _image("a", missed)],
        [_image("b", _judged("neutrophil", 0.2), _judged("eosinophil", 0.7)), _image("a", missed)],
    ]
    cells = named_cells(seeds[0] + seeds[1])
    assert cells.keys == (CellKey("made", "b", 0), CellKey("made", "b", 1))
    assert cells.annotated.tolist() == [0, 1]
    np.testing.assert_allclose(cells.probabilities, [[0.2, 0.8], [0.8, 0.2]])
    assert cells.missed == 1


def test_models_of_different_classes_are_not_mixed() -> None:
    other = JudgedCell("blast", "blast", 0.9, {"blast": 0.9, "healthy": 0.1})
    with pytest.raises(ConfigError, match="know different classes: blast, healthy; neutrophil, eosinophil"):
        named_cells([_image("a", other), _image("b", _judged("neutrophil", 0.9))])


def test_a_folder_without_trials_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"holds no judged.json; give the folder that 'sgcldff crossval' wrote"):
        read_judged(tmp_path)
