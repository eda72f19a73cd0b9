"""An explanation in words."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest

from napari_sgcldff.explaining import model_and_diameter
from napari_sgcldff.explanation_words import evidence_in_words, figures_of, why_in_words
from napari_sgcldff.figures import Verdict


def _cell(first: float = 0.9, second: float = 0.1, **changed: Any) -> Any:
    """Return a cell of 4 x 4 px in a window of 6 x 6, its nucleus the upper half."""
    inside, nucleus = np.zeros((6, 6), bool), np.zeros((6, 6), bool)
    inside[1:5, 1:5], nucleus[1:3, 1:5] = True, True
    values: dict[str, Any] = {
        "probabilities": {"eosinophil": first, "neutrophil": second},
        "named": "eosinophil",
        "runner_up": "neutrophil",
        "inside": inside,
        "nucleus": nucleus,
        "activation": {"eosinophil": (inside & ~nucleus) * 1.0, "neutrophil": nucleus * 1.0},
        **dict.fromkeys(("energy", "overlap", "rank", "stability", "consistency"), 1.0),
        "pointing": True,
        "reason": "",
    }
    return types.SimpleNamespace(**values | changed)


def test_evidence_is_told_by_the_parts_of_the_cell() -> None:
    cell = _cell()
    assert evidence_in_words(cell, "eosinophil") == "cytoplasm 100 %"
    assert evidence_in_words(cell, "neutrophil") == "nucleus 100 %"
    cell.activation["eosinophil"] = np.ones((6, 6))
    assert evidence_in_words(cell, "eosinophil") == "nucleus 22 %, cytoplasm 22 %, around 56 %"
    cell.activation["eosinophil"] = np.zeros((6, 6))
    assert evidence_in_words(cell, "eosinophil") == "nothing speaks for it"


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (0.9, 0.1, "Eosinophil is 9 times as likely as neutrophil."),
        (0.5, 0.4, "Neutrophil is almost as likely as eosinophil."),
        (0.99, 0.001, "Neutrophil comes next, but hardly anything speaks for it."),
    ],
)
def test_why_not_the_next_class_is_told_by_its_lead(first: float, second: float, told: str) -> None:
    assert why_in_words(_cell(first, second)).startswith(told)


def test_why_not_the_next_class_is_told_by_the_places() -> None:
    assert why_in_words(_cell()).endswith("The two are argued from different places: compare them.")
    one = _cell().activation["eosinophil"]
    alike = _cell(activation={"eosinophil": one, "neutrophil": one})
    assert why_in_words(alike).endswith("Both are argued from the same place: its texture decides.")
    nothing = _cell(activation={"eosinophil": one, "neutrophil": 0 * one})
    assert why_in_words(nothing) == "Eosinophil is 9 times as likely as neutrophil."
    assert why_in_words(_cell(runner_up=None)) == "The model knows no other class than eosinophil."


def test_what_the_review_asks_a_look_for_is_poor() -> None:
    """The bounds of `review_reasons`."""
    at_bound = {
        "energy": 0.19,
        "pointing": False,
        "stability": 0.84,
        "reason": "mask unstable",
        "overlap": 0.01,
        "rank": 0.0,
    }
    assert {figure.verdict for figure in figures_of(_cell(**at_bound))} == {Verdict.POOR}
    assert {figure.verdict for figure in figures_of(_cell())} == {Verdict.GOOD}
    fair = figures_of(_cell(energy=0.5, stability=0.9, consistency=0.7, overlap=0.06, rank=0.2))
    assert [figure.verdict.value for figure in fair] == ["fair", "good", "fair", "fair", "fair", "fair"]
    assert len({figure.title for figure in fair}) == 6


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({}, ("mine", 50.0)),
        ({"model": "leukocytes", "diameter": 77.5}, ("leukocytes", 77.5)),
        ({"model": "mine", "diameter": 77.5}, ("mine", 77.5)),
    ],
)
def test_the_model_is_the_one_that_made_the_cells(about: dict[str, Any], expected: tuple[str, float]) -> None:
    assert model_and_diameter(about, "mine", 50.0) == expected
    assert model_and_diameter({"model": "mine"}, "/models/mine", 0)[0] == "/models/mine"
