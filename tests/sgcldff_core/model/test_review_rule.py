"""A review rule computed by hand, on disk, and refused where it makes no sense."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgcldff_core.errors import ConfigError
from sgcldff_core.model.review_rule import DOUBTS, ReviewRule, RiskScore, doubts_of

FINE = {
    **{"confidence": 0.9, "lead": 2.0, "entropy": 0.2, "energy": 0.9, "pointing": 1.0},
    **{"overlap": 0.4, "rank": 0.5, "stability": 0.97, "firmness": 0.95, "solidity": 0.96, "nucleus": 0.5},
    **{"size": 1.0, "border": 0.0, "stain": 0.4},
}
SCORES = ("wrong_class", "bad_mask")
NONE = dict.fromkeys(DOUBTS, 0.0)
ONE = dict.fromkeys(DOUBTS, 1.0)


def cell(**given: float) -> dict[str, np.ndarray]:
    return {name: np.array([value]) for name, value in (FINE | given).items()}


def score(bias: float = -2.0, **weights: float) -> RiskScore:
    centre = {name: float(x[0]) for name, x in doubts_of(cell()).items()}
    return RiskScore(centre, ONE, NONE | weights, bias)


def rule(**changed: object) -> ReviewRule:
    usual = dict.fromkeys(DOUBTS, 5.0)
    return replace(ReviewRule(score(entropy=3.0), score(-3.0, size=2.0), 0.3, usual), **changed)  # type: ignore[arg-type]


def test_a_probability_is_that_of_the_logistic_curve() -> None:
    at_centre = score().probability(cell())
    assert at_centre == pytest.approx(1 / (1 + np.exp(2.0)))
    assert score(entropy=3.0).probability(cell(entropy=0.7)) == pytest.approx(1 / (1 + np.exp(2.0 - 3.0 * 0.5)))


def test_the_risk_is_that_either_is_wrong() -> None:
    p, q = 1 / (1 + np.exp(2.0)), 1 / (1 + np.exp(3.0))
    assert rule().risk(cell()) == pytest.approx(1 - (1 - p) * (1 - q))


def test_what_is_not_known_adds_nothing() -> None:
    told = score(stain=2.0, stability=0.5)
    assert told.probability(cell(stain=np.nan, stability=np.nan)) == pytest.approx(told.probability(cell()))


@settings(deadline=None)
@given(st.sampled_from(sorted(DOUBTS)), st.floats(0.01, 0.3))
def test_more_doubt_is_never_safer(name: str, more: float) -> None:
    """In every direction in which evidence can become worse."""
    worse = {"size": 1 + more, "nucleus": 0.3 - more}.get(
        name,
        FINE[name] + more if name in ("entropy", "border", "stain") else FINE[name] - more,
    )
    judged = score(**dict.fromkeys(DOUBTS, 0.5))
    assert judged.probability(cell(**{name: worse})) > judged.probability(cell())


def test_small_and_large_are_alike_and_much_nucleus_is_no_doubt() -> None:
    assert doubts_of(cell(size=0.5))["size"] == pytest.approx(doubts_of(cell(size=2.0))["size"])
    assert doubts_of(cell(nucleus=0.9))["nucleus"] == doubts_of(cell(nucleus=0.5))["nucleus"]


def test_a_rule_comes_back_from_json() -> None:
    kept = json.loads(json.dumps(rule().to_dict()))
    assert ReviewRule.from_dict(kept) == rule()


def test_a_rule_of_version_1_judges_without_the_doubts_that_are_no_more() -> None:
    told = json.loads(json.dumps(rule().to_dict())) | {"version": 1}
    for part in (told["usual"], *(told[score][name] for score in SCORES for name in ("centre", "scale", "weight"))):
        part |= {"disagreement": 0.5, "kinship": 0.5}
    assert ReviewRule.from_dict(told) == rule()
    with pytest.raises(ConfigError, match="usual by a review rule has"):
        ReviewRule.from_dict(told | {"usual": 3})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"version": 3}, "version 3"),
        ({"cutoff": 1.5}, "cut-off"),
        ({"cutoff": None}, "cut-off"),
        ({"usual": {}}, "usual by a review rule has"),
        ({"wrong_class": {}}, "a risk score has"),
        ({"usual": NONE | {"size": float("inf")}}, "usual by a review rule has numbers"),
        ({"bad_mask": {"centre": NONE, "scale": ONE, "weight": ONE | {"size": -1.0}, "bias": 0.0}}, "not below 0"),
        ({"bad_mask": {"centre": NONE, "scale": NONE, "weight": ONE, "bias": 0.0}}, "scales above 0"),
        ({"bad_mask": {"centre": NONE, "scale": ONE, "weight": ONE, "bias": float("nan")}}, "finite"),
        ({"bad_mask": {"centre": NONE, "scale": ONE, "weight": ONE, "bias": "a"}}, "no table of numbers"),
        ({"bad_mask": {"centre": {}, "scale": ONE, "weight": ONE, "bias": 0.0}}, "centre of a risk score has"),
        ({"surplus": 1}, "review rule has"),
    ],
)
def test_a_damaged_rule_is_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        ReviewRule.from_dict(rule().to_dict() | changed)
