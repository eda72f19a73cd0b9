"""Reasons by a fitted rule: each has its evidence, and no flag is without a reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgcldff_core.explain import EVIDENCE, UNLIKE_THE_STAIN, reasons_by_rule
from sgcldff_core.model.review_rule import DOUBTS, ReviewRule, RiskScore, doubts_of

CLASSES = ("neutrophil", "eosinophil", "monocyte")
FINE = {
    **{"confidence": 0.95, "lead": 3.4, "entropy": 0.2, "energy": 0.9, "pointing": 1.0},
    **{"overlap": 0.4, "rank": 0.5, "stability": 0.97, "firmness": 0.95, "solidity": 0.96, "nucleus": 0.5},
    **{"size": 1.0, "border": 0.0, "stain": 0.4},
}


def rule() -> ReviewRule:
    """Any doubt that is a half more than that of a fine cell makes it one to look at, and is named from 0.2 on."""
    centre = {name: float(x[0]) for name, x in doubts_of(pd.DataFrame([FINE])).items()}
    score = RiskScore(centre, dict.fromkeys(DOUBTS, 1.0), dict.fromkeys(DOUBTS, 4.0), -3.0)
    cutoff = 1 - (1 - 1 / (1 + np.exp(1.0))) ** 2
    return ReviewRule(score, score, float(cutoff), {name: x + 0.2 for name, x in centre.items()})


def reasons(p: tuple[float, float] = (0.95, 0.03), by: ReviewRule | None = None, **given: float) -> str:
    probabilities = np.array([[p[1], p[0], 1 - sum(p)]], np.float32)
    (found,) = reasons_by_rule(by or rule(), CLASSES, probabilities, pd.DataFrame([FINE | given]))
    return found


def test_a_fine_cell_needs_nobody() -> None:
    assert reasons() == ""


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"p": (0.5, 0.45), "lead": 0.1}, "two classes close: eosinophil or neutrophil"),
        ({"p": (0.55, 0.2), "confidence": 0.3}, "class uncertain"),
        ({"entropy": 0.9}, "class uncertain"),
        ({"energy": 0.1}, "looks outside the cell"),
        ({"pointing": 0.0}, "looks outside the cell"),
        ({"overlap": -0.2}, "explanation inconsistent"),
        ({"rank": -0.2}, "explanation inconsistent"),
        ({"stability": 0.7}, "mask unstable"),
        ({"firmness": 0.7}, "mask unstable"),
        ({"solidity": 0.7}, "unusual outline"),
        ({"nucleus": 0.0}, "no nucleus found"),
        ({"size": 0.45}, "unusually small"),
        ({"size": 1.68}, "unusually large"),
        ({"size": 1.24, "energy": 0.1}, "looks outside the cell; scale uncertain"),
        ({"size": 1.8}, "unusually large, perhaps two cells"),
        ({"size": 0.45, "border": 1.0}, "touches the border"),
        ({"border": 1.0}, "touches the border"),
        ({"stain": 1.5}, UNLIKE_THE_STAIN),
    ],
)
def test_each_doubt_is_named(given: dict[str, float], reason: str) -> None:
    assert reasons(**given) == reason  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"stain": 7.0}, UNLIKE_THE_STAIN),
        ({"nucleus": 0.05}, "no nucleus found"),
        ({"size": 0.4}, "unusually small"),
        ({"size": 1.9}, "unusually large, perhaps two cells"),
    ],
)
def test_what_is_grave_is_flagged_whatever_the_risk(given: dict[str, float], reason: str) -> None:
    trusting = replace(rule(), cutoff=1.0, usual=dict.fromkeys(DOUBTS, 99.0))
    assert reasons(by=trusting, **given) == reason


def test_several_small_doubts_are_told_by_the_largest() -> None:
    """None is unusual by itself, together they pass the cut-off."""
    told = replace(rule(), usual=dict.fromkeys(DOUBTS, 99.0))
    assert reasons(by=told, entropy=0.4, energy=0.5, rank=0.4) == "looks outside the cell"


EVIDENCED = {
    "two classes close": ("confidence", "lead", "entropy"),
    "class uncertain": ("confidence", "lead", "entropy"),
    "looks outside the cell": ("energy", "pointing"),
    "explanation inconsistent": ("overlap", "rank"),
    "mask unstable": ("stability", "firmness"),
    "unusual outline": ("solidity",),
    "no nucleus found": ("nucleus",),
    "little nucleus": ("nucleus",),
    "unusually small": ("size",),
    "scale uncertain": ("size",),
    "unusually large": ("size",),
    "unusually large, perhaps two cells": ("size",),
    "touches the border": ("border", "size"),
    UNLIKE_THE_STAIN: ("stain",),
}


@settings(deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries({name: st.floats(0, 1) for name in EVIDENCE if name not in ("size", "stain", "lead")}),
        max_size=4,
    ),
    st.floats(0.3, 2.2),
    st.floats(0, 8),
    st.floats(0, 8),
)
def test_no_flag_without_reason_and_no_reason_without_evidence(
    cells: list[dict[str, float]], size: float, stain: float, lead: float
) -> None:
    """A cell is flagged by its risk or by what is grave; what is named is more in doubt than with a fine cell."""
    table = pd.DataFrame([c | {"size": size, "stain": stain, "lead": lead} for c in cells], columns=list(EVIDENCE))
    table = table.astype(float)
    probabilities = np.full((len(table), 3), 1 / 3, np.float32)
    judge, doubts = rule(), doubts_of(table)
    for i, told in enumerate(reasons_by_rule(judge, CLASSES, probabilities, table)):
        if judge.risk(table)[i] >= judge.cutoff:
            assert told
        for reason in filter(None, told.split("; ")):
            names = EVIDENCED[reason.split(":")[0]]
            assert any(doubts[name][i] > judge.wrong_class.centre[name] for name in names)
