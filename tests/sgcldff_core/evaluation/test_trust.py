"""What was held out from a model, as far as its folder tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.crossval import FOLDS
from sgcldff_core.evaluation.folds import Folds, write_folds
from sgcldff_core.evaluation.trust import held_out_cells, held_out_groups, with_review
from sgcldff_core.explain import EVIDENCE
from sgcldff_core.model import Model, ModelConfig, build_network


@pytest.fixture
def model() -> Model:
    config = ModelConfig()
    return replace(Model("m", config, build_network(config)), training={"validation_groups": ["b"]})


@pytest.mark.parametrize(("name", "expected"), [("fold1", {"c"}), ("fold0", {"a", "b"}), ("fold", {"b"}), ("1", {"b"})])
def test_a_trial_of_a_cross_validation_held_its_fold_out(
    name: str, expected: set[str], model: Model, tmp_path: Path
) -> None:
    """What chose its best epoch, "b", is noted in model.json, but another fold is what it did not see."""
    write_folds(Folds(2, {"a": 0, "b": 0, "c": 1}), tmp_path / FOLDS)
    assert held_out_groups(tmp_path / "seed0" / name, model) == expected


def test_any_other_model_held_out_what_it_notes(model: Model, tmp_path: Path) -> None:
    assert held_out_groups(tmp_path / "seed0" / "fold1", model) == {"b"}
    assert held_out_groups(tmp_path, replace(model, training={})) == set()


def test_without_anything_held_out_no_review_can_be_fitted(model: Model) -> None:
    with pytest.raises(ConfigError, match="did not learn from, and m notes none"):
        held_out_cells(model, [(model, {"a"})], [])
    with pytest.raises(ConfigError, match="none is given"):
        held_out_cells(model, [], [])


def test_a_rule_names_the_images_that_it_must_not_be_judged_on(model: Model) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: rng.random(120) for name in EVIDENCE})
    errors = (np.arange(120) % 6 == 0).astype(float)
    table = table.assign(wrong=errors, bad=errors, own=True, network="n", group=[f"g{k % 40}" for k in range(120)])
    rule = with_review(model, table).review
    assert rule is not None
    assert rule.fitted_on["groups"] == 40
    assert rule.fitted_on["group_names"] == sorted(f"g{k}" for k in range(40))
