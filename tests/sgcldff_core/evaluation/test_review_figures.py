"""Figures of a review, by hand; and that what judges a cell has not seen its image."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation import review_figures
from sgcldff_core.evaluation.review_figures import auroc, bootstrap_by_group, caught, cross_fitted, risk_coverage
from sgcldff_core.model.review_rule import DOUBTS, RiskScore

ERRORS = np.array([0.0, 1.0, 0.0, 1.0, 0.0])
SCORE = np.array([0.1, 0.9, 0.8, 0.7, 0.2])


def test_figures_by_hand() -> None:
    assert auroc(ERRORS, SCORE) == pytest.approx(5 / 6)  # of six pairs one is in the wrong order
    assert caught(ERRORS, SCORE, 0.2) == 0.5
    assert caught(ERRORS, SCORE, 0.6) == 1.0
    np.testing.assert_allclose(risk_coverage(ERRORS, SCORE), [0, 0, 1 / 3, 1 / 4, 2 / 5])
    assert np.isnan(auroc(0 * ERRORS, SCORE))
    assert np.isnan(caught(0 * ERRORS, SCORE))


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=30))
def test_auroc_is_scikit_learns(pairs: list[tuple[bool, int]]) -> None:
    errors, score = np.array(pairs, float).T
    if 0 < errors.sum() < len(errors):
        assert auroc(errors, score) == pytest.approx(roc_auc_score(errors, score))


def test_an_interval_holds_the_figure_and_knows_groups() -> None:
    many, groups = np.tile(ERRORS, 20), np.repeat(np.arange(20), 5).astype(object)
    found = bootstrap_by_group(many, np.tile(SCORE, 20), groups, auroc, draws=50)
    assert found.low == found.value == found.high == pytest.approx(5 / 6)  # all groups are alike
    loose = bootstrap_by_group(many, np.tile(SCORE, 20), np.arange(100).astype(object), auroc, draws=50)
    assert loose.low < loose.value < loose.high
    with pytest.raises(ConfigError, match="one each is needed"):
        bootstrap_by_group(ERRORS, SCORE, np.zeros(3, object), auroc)


def test_nothing_is_judged_by_its_own_image(monkeypatch: pytest.MonkeyPatch) -> None:
    table = pd.DataFrame({name: np.zeros(20) for name in (*DOUBTS, "wrong", "bad")})
    table["group"] = [f"g{i // 2}" for i in range(20)]
    used: list[set[str]] = []

    def fit(cells: pd.DataFrame, target: str, before: object) -> RiskScore:
        used.append(set(cells["group"]))
        zero = dict.fromkeys(DOUBTS, 0.0)
        return RiskScore(zero, dict.fromkeys(DOUBTS, 1.0), zero, 0.0)

    monkeypatch.setattr(review_figures, "fit_risk", fit)
    found = cross_fitted(table, pd.concat([table, table.assign(group="other")]))
    assert [len(groups) for groups in used] == [9] * 10  # eight of the ten and the other, for each of two targets
    left_out = [set(table["group"]) - groups for groups in used[::2]]
    assert set().union(*left_out) == set(table["group"])
    assert (found["risk"] == 0.75).all()
