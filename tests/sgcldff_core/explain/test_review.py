"""Each reason to look again, alone and in words."""

from __future__ import annotations

import numpy as np
import pytest

from sgcldff_core.explain import Agreement, review_reasons

CLASSES = ("neutrophil", "eosinophil", "monocyte")


def reasons(**given: float) -> str:
    """Reasons for one cell that is fine but for what is given."""
    cell = {"first": 0.95, "second": 0.03, "energy": 0.8, "pointing": True, "stability": 0.97, "consistency": 0.8}
    cell |= {"size": 1.0, "nucleus": 0.5, "border": False} | given
    rest = 1 - cell["first"] - cell["second"]
    one = {
        name: np.array([cell[name]], np.float32) for name in ("energy", "stability", "consistency", "size", "nucleus")
    }
    looked = Agreement(one["energy"], np.array([cell["pointing"]], bool), one["energy"], one["energy"])
    found = review_reasons(
        CLASSES,
        np.array([[cell["second"], cell["first"], rest]], np.float32),
        looked,
        one["stability"],
        one["consistency"],
        one["size"],
        one["nucleus"],
        np.array([cell["border"]], bool),
    )
    assert len(found) == 1
    return found[0]


def test_a_clear_cell_needs_nobody() -> None:
    assert reasons() == ""


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"first": 0.5, "second": 0.45}, "two classes close: eosinophil or neutrophil"),
        ({"first": 0.55, "second": 0.25}, "class uncertain"),
        ({"energy": 0.0}, "looks outside the cell"),
        ({"pointing": False}, "looks outside the cell"),
        ({"consistency": 0.2}, "explanation inconsistent"),
        ({"stability": 0.5}, "mask unstable"),
        ({"nucleus": 0.01}, "no nucleus found"),
        ({"size": 0.4}, "unusually small"),
        ({"size": 2.0}, "unusually large, perhaps two cells"),
        ({"border": True}, "touches the border"),
        ({"border": True, "size": 0.4}, "touches the border"),
        ({"stability": 0.5, "border": True}, "mask unstable; touches the border"),
    ],
)
def test_a_doubtful_cell_says_why(given: dict[str, float], reason: str) -> None:
    assert reasons(**given) == reason


def test_no_cells_no_reasons() -> None:
    none = np.zeros(0, np.float32)
    looked = Agreement(none, none.astype(bool), none, none)
    assert (
        review_reasons(CLASSES, np.zeros((0, 3), np.float32), looked, none, none, none, none, none.astype(bool)) == []
    )
