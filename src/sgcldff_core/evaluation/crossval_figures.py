"""The figures of a cross-validation: for each source and over all, with what they would vary by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sgcldff_core.evaluation.assessment import MISSED, ImageAssessment, summarise
from sgcldff_core.evaluation.intervals import Interval, bootstrap_interval, class_intervals
from sgcldff_core.evaluation.result_tables import ALL

if TYPE_CHECKING:
    from sgcldff_core.evaluation.crossval import CrossValidation

__all__ = ["Scope", "Spread", "scopes"]


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation of a figure over folds, or over seeds.

    Attributes
    ----------
    mean : float
        Over those that can tell the figure.
    deviation : float
        Of a sample (n - 1); NaN for a single one.
    """

    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class Scope:
    """The figures of one source, or of all.

    Attributes
    ----------
    name : str
        The source, or `ALL`.
    images : int
        Judged, each once by every seed.
    figures : mapping of str to Interval
        Pooled over the images of all folds, mean over seeds, interval from resampling images.
    folds, seeds : mapping of str to Spread
        How the same figures vary: fold by fold (each the mean over seeds), and seed by seed.
    classes : mapping of str to mapping of str to Interval
        Precision, recall and F1 of each annotated class.
    cells : mapping of str to int
        Annotated cells of each class.
    labels : tuple of str
        Rows of `confusion`; its columns are these, other classes that were found, and `MISSED`.
    columns : tuple of str
        Columns of `confusion`.
    confusion : tuple of tuple of int
        Rows true, columns found; the sum over seeds.
    """

    name: str
    images: int
    figures: Mapping[str, Interval]
    folds: Mapping[str, Spread]
    seeds: Mapping[str, Spread]
    classes: Mapping[str, Mapping[str, Interval]]
    cells: Mapping[str, int]
    labels: tuple[str, ...]
    columns: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types; what could not be told (NaN) is None."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def scopes(result: CrossValidation, *, draws: int = 1000) -> list[Scope]:
    """Work out every figure for each source and, where there are several, for all together.

    Parameters
    ----------
    result : CrossValidation
        Finished trials.
    draws : int
        Of the bootstrap.

    Returns
    -------
    list of Scope
        Sources in alphabetical order, then `ALL`; none if nothing was judged.
    """
    sources = sorted({i.source for run in result.runs for i in run})
    found = [_scope(result, source, draws) for source in sources]
    return found if len(found) < 2 else [*found, _scope(result, ALL, draws)]


def _scope(result: CrossValidation, name: str, draws: int) -> Scope:
    runs = [_of(name, run) for run in result.runs]
    together = summarise([i for run in runs for i in run])
    cells = [c.true for i in runs[0] for c in i.classes]
    # The labels of `summarise` go on after the annotated classes with others that were found.
    columns = (*together.labels, MISSED) if together.confusion else ()
    return Scope(
        name=name,
        images=len(runs[0]),
        figures=bootstrap_interval(runs, draws=draws),
        folds=_over_folds(result, name),
        seeds=_spread([summarise(run).figures for run in runs]),
        classes=class_intervals(runs, draws=draws),
        cells={c: cells.count(c) for c in sorted(set(cells))},
        labels=together.labels[: len(together.confusion)],
        columns=columns,
        confusion=together.confusion,
    )


def _of(name: str, images: Sequence[ImageAssessment]) -> list[ImageAssessment]:
    return [i for i in images if name in (ALL, i.source)]


def _over_folds(result: CrossValidation, name: str) -> dict[str, Spread]:
    means: list[Mapping[str, float]] = []
    for fold in sorted({fold for _, fold in result.trials}):
        images = [_of(name, trial.images) for (_, k), trial in result.trials.items() if k == fold]
        seeds = [summarise(own).figures for own in images if own]
        known = dict.fromkeys(figure for figures in seeds for figure in figures)
        means.append({figure: float(np.mean([f[figure] for f in seeds if figure in f])) for figure in known})
    return _spread(means)


def _spread(each: Sequence[Mapping[str, float]]) -> dict[str, Spread]:
    spreads = {}
    for name in dict.fromkeys(name for figures in each for name in figures):
        values = [figures[name] for figures in each if name in figures]
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
        spreads[name] = Spread(float(np.mean(values)), deviation)
    return spreads


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and np.isnan(value) else value
