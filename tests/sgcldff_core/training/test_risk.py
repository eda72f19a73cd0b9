"""A rule that is fitted finds the evidence that goes with errors, and promises the share it flags."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sgcldff_core.errors import ConfigError
from sgcldff_core.explain import EVIDENCE
from sgcldff_core.model.review_rule import DOUBTS
from sgcldff_core.training.risk import fit_risk, fit_rule


def cells(count: int = 400, seed: int = 0) -> pd.DataFrame:
    """Classes are wrong where the entropy is high, outlines where they are unstable; the rest is chance."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame({name: rng.random(count) for name in EVIDENCE})
    table["wrong"] = (rng.random(count) < 1 / (1 + np.exp(-8 * (table["entropy"] - 0.8)))).astype(float)
    table["bad"] = (rng.random(count) < 1 / (1 + np.exp(-20 * (0.15 - table["stability"])))).astype(float)
    return table.assign(group=[f"g{i // 2}" for i in range(count)], own=np.arange(count) < 200)


def test_the_evidence_that_tells_has_the_weight() -> None:
    wrong, bad = (fit_risk(cells(), target) for target in ("wrong", "bad"))
    assert max(wrong.weight, key=wrong.weight.__getitem__) == "entropy"
    assert max(bad.weight, key=bad.weight.__getitem__) == "stability"
    assert min(*wrong.weight.values(), *bad.weight.values()) >= 0
    judged = cells(seed=1)
    predicted = wrong.probability(judged)
    assert predicted.mean() == pytest.approx(judged["wrong"].mean(), abs=0.06)  # calibrated on average
    assert predicted[judged["wrong"] == 1].mean() > 2 * predicted[judged["wrong"] == 0].mean()


def test_the_cut_off_flags_the_share_of_the_own_cells() -> None:
    table = cells()
    for share in (0.1, 0.3):
        rule = fit_rule(table, share, {"networks": ["a"]})
        flagged = rule.risk(table[table["own"]]) >= rule.cutoff
        assert flagged.mean() == pytest.approx(share, abs=0.006)
        assert rule.fitted_on["share"] == share
        assert rule.fitted_on["networks"] == ["a"]
        assert rule.fitted_on["wrong_classes"] == int(table["wrong"].sum())


def test_a_wrong_class_is_told_from_entropy_alone() -> None:
    assert {name for name, weight in fit_risk(cells(), "wrong").weight.items() if weight} == {"entropy"}


def test_scores_expect_as_many_errors_as_cells_as_they_are_had() -> None:
    """Degraded cells, which the fit needs, are wrong far more often."""
    table = cells()
    degraded = table[~table["own"]].assign(wrong=1.0, bad=1.0)
    rule = fit_rule(pd.concat([table, degraded], ignore_index=True))
    own = table[table["own"]]
    for score, target in ((rule.wrong_class, "wrong"), (rule.bad_mask, "bad")):
        assert score.probability(own).mean() == pytest.approx((own[target].sum() + 0.5) / (len(own) + 1), abs=1e-6)


def test_what_is_not_known_of_any_cell_gets_no_weight() -> None:
    rule = fit_rule(cells().assign(stain=np.nan, stability=np.nan))
    assert {rule.wrong_class.weight[name] for name in ("stain", "stability")} == {0.0}
    assert set(rule.usual) == set(DOUBTS)
    assert np.isfinite(list(rule.usual.values())).all()


def test_a_score_with_too_few_errors_is_that_of_the_rule_before() -> None:
    before, table = fit_rule(cells(seed=1)), cells()
    good = table.assign(bad=(np.arange(len(table)) < 5).astype(float))
    rule = fit_rule(good, 0.2, None, before)
    assert rule.bad_mask.weight == before.bad_mask.weight
    assert rule.wrong_class.weight == fit_risk(table, "wrong").weight != before.wrong_class.weight
    assert rule.fitted_on["kept"] == ["bad_mask"]
    assert (rule.risk(good[good["own"]]) >= rule.cutoff).mean() == pytest.approx(0.2, abs=0.006)
    assert "kept" not in fit_rule(table, 0.2, None, before).fitted_on
    with pytest.raises(ConfigError, match="5 of 400 cells are bad"):
        fit_rule(good)
    with pytest.raises(ConfigError, match="0 of 400 cells are wrong"):
        fit_rule(good.assign(wrong=0.0), 0.2, None, before)


@pytest.mark.parametrize(
    ("table", "share", "said"),
    [
        (cells().assign(bad=0.0), 0.2, "0 of 400 cells are bad"),
        (cells().assign(wrong=np.nan), 0.2, "0 of 0 cells are wrong"),
        (cells().assign(own=False), 0.2, "none of the cells"),
        (cells(), 1.0, "between 0 and 1"),
    ],
)
def test_too_little_to_fit_is_refused(table: pd.DataFrame, share: float, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        fit_rule(table, share)
