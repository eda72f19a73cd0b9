"""Whether sets of classes hold what they promise, on cells that had no part in fitting them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sgcldff_core.cells import prediction_sets
from sgcldff_core.errors import ConfigError
from sgcldff_core.training.conformal import conformal_threshold

if TYPE_CHECKING:
    from sgcldff_core.evaluation.named_cells import NamedCells

__all__ = ["SetCoverage", "cross_coverage"]


@dataclass(frozen=True, slots=True)
class SetCoverage:
    """How sets of classes did.

    Attributes
    ----------
    nominal : float
        Share of cells that was to be covered.
    coverage : float
        Share of cells whose annotated class was in their set.
    size : float
        Mean number of classes in a set.
    single : float
        Share of sets with one class.
    by_class : mapping of str to float
        Coverage of the cells annotated with each class. Only the share over all is promised.
    thresholds : tuple of float
        Of each fold.
    """

    nominal: float
    coverage: float
    size: float
    single: float
    by_class: Mapping[str, float]
    thresholds: tuple[float, ...]


def cross_coverage(folds: Sequence[NamedCells], nominal: float) -> SetCoverage:
    """Fit the threshold on all folds but one, check it on that one, and do so for each.

    Parameters
    ----------
    folds : sequence of NamedCells
        Cells of each fold, judged by the model that had not learned from them. At least two.
    nominal : float
        Share of cells to be covered.

    Returns
    -------
    SetCoverage
        Over the cells of all folds together.

    Raises
    ------
    ConfigError
        If there are fewer than two folds with cells, or their models know different classes.
    """
    folds = [fold for fold in folds if fold.keys]
    if len(folds) < 2 or len({fold.classes for fold in folds}) > 1:
        raise ConfigError("coverage takes at least two folds with named cells, of models with the same classes")
    covered, sizes, thresholds = [], [], []
    for number, judged in enumerate(folds):
        others = [fold for k, fold in enumerate(folds) if k != number]
        probabilities = np.concatenate([fold.probabilities for fold in others])
        threshold = conformal_threshold(probabilities, np.concatenate([fold.annotated for fold in others]), nominal)
        inside = prediction_sets(judged.probabilities, threshold)
        covered.append(inside[np.arange(len(inside)), judged.annotated])
        sizes.append(inside.sum(1))
        thresholds.append(threshold)
    held, size = np.concatenate(covered), np.concatenate(sizes)
    annotated = np.concatenate([fold.annotated for fold in folds])
    by_class = {folds[0].classes[i]: float(held[annotated == i].mean()) for i in np.unique(annotated)}
    return SetCoverage(
        nominal, float(held.mean()), float(size.mean()), float((size == 1).mean()), by_class, tuple(thresholds)
    )
