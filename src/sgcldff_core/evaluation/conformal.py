"""Sets of classes from cross-validation: fitted for a model, and held to what they promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sgcldff_core.cells import prediction_sets
from sgcldff_core.errors import ConfigError
from sgcldff_core.training.conformal import conformal_threshold, fit_conformal

if TYPE_CHECKING:
    from sgcldff_core.evaluation.named_cells import NamedCells
    from sgcldff_core.model import Model

__all__ = ["SetCoverage", "cross_coverage", "with_class_sets"]


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


def with_class_sets(model: Model, cells: NamedCells) -> Model:
    """Return a model that holds thresholds for sets of classes, fitted on cells of a cross-validation.

    A model that learned from every image has no cells left to be fitted on. Those that its sisters
    of the cross-validation judged, which learned from fewer images, stand in for them.

    Parameters
    ----------
    model : Model
        Stays as it is.
    cells : NamedCells
        Judged by models of the same recipe that had not learned from them.

    Returns
    -------
    Model
        The same, but for ``conformal_<share>`` in its calibration.

    Raises
    ------
    ConfigError
        If the cells were judged by models of other classes.
    """
    if set(cells.classes) != set(model.config.classes):
        known, judged = ", ".join(model.config.classes), ", ".join(cells.classes) or "none"
        raise ConfigError(f"the model knows the classes {known}, but the cells were judged among {judged}")
    earlier = {name: value for name, value in model.calibration.items() if not name.startswith("conformal_")}
    return replace(model, calibration=earlier | fit_conformal(cells.probabilities, cells.annotated))
