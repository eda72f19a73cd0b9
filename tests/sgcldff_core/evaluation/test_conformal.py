"""Coverage across folds: who is held to whose threshold."""

from __future__ import annotations

import numpy as np
import pytest

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.conformal import cross_coverage
from sgcldff_core.evaluation.named_cells import CellKey, NamedCells


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
