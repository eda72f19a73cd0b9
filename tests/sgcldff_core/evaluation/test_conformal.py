"""Coverage across folds: who is held to whose threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.conformal import cross_coverage, with_class_sets
from sgcldff_core.evaluation.named_cells import CellKey, NamedCells
from sgcldff_core.model import Model, ModelConfig, build_network, load_model, save_model
from sgcldff_core.training.conformal import kept_threshold


def _fold(of_true: list[float], number: int) -> NamedCells:
    keys = tuple(CellKey("made", f"{number}-{i}", 0) for i in range(len(of_true)))
    p = np.array(of_true)
    return NamedCells(("monocyte", "basophil"), keys, np.zeros(len(p), np.int64), np.stack([p, 1 - p], 1))


def test_each_fold_is_held_to_the_threshold_of_the_others() -> None:
    easy, hard = _fold([0.9, 0.8, 0.7], 0), _fold([0.6, 0.3, 0.2], 1)
    found = cross_coverage([easy, hard], 0.5)
    assert found.thresholds == pytest.approx((0.3, 0.8))  # place ceil(4 * 0.5) of the other fold
    # easy: all true classes in, the other one at 0.3 too; hard: only its first, and one class a set.
    assert found.coverage == pytest.approx(4 / 6)
    assert found.size == pytest.approx((1 + 1 + 2 + 1 + 1 + 1) / 6)
    assert found.single == pytest.approx(5 / 6)
    assert found.by_class == {"monocyte": pytest.approx(4 / 6)}


def test_folds_of_the_same_kind_are_covered() -> None:
    rng = np.random.default_rng(0)
    folds = [_fold(list(rng.beta(2, 1, 100)), k) for k in range(5)]
    found = cross_coverage(folds, 0.9)
    assert 0.87 < found.coverage < 0.93
    assert 1 < found.size < 2


def test_one_fold_has_nothing_to_be_held_to() -> None:
    with pytest.raises(ConfigError, match="at least two folds"):
        cross_coverage([_fold([0.9], 0), _fold([], 1)], 0.9)


def test_a_model_keeps_its_thresholds_on_disk(tmp_path: Path) -> None:
    config = ModelConfig(classes=("monocyte", "basophil"), swin=False)
    calibration = {"temperature": 1.5, "conformal_0.99": 0.2}  # of an earlier fit, on more cells
    model = Model("made", config, build_network(config), calibration=calibration)
    cells = _fold(list(np.linspace(0.99, 0.1, 40)), 0)
    save_model(with_class_sets(model, cells), tmp_path / "made")
    kept = load_model(tmp_path / "made").calibration
    assert set(kept) == {"temperature", "conformal_0.9", "conformal_0.95"}
    assert kept_threshold(kept, 0.95) == pytest.approx(np.linspace(0.99, 0.1, 40)[38])
    assert model.calibration == calibration


def test_cells_of_other_classes_do_not_fit_a_model() -> None:
    config = ModelConfig(classes=("monocyte", "blast"), swin=False)
    model = Model("made", config, build_network(config))
    with pytest.raises(ConfigError, match="knows the classes monocyte, blast, but the cells were judged among"):
        with_class_sets(model, _fold([0.9], 0))
