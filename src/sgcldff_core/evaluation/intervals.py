"""How sure a figure is: the bootstrap over images, of one set of predictions and of two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.assessment import ImageAssessment
from sgcldff_core.evaluation.tally import tally

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Difference",
    "Interval",
    "bootstrap_interval",
    "class_intervals",
    "common_images",
    "paired_difference",
]

Statistic: TypeAlias = Callable[[Sequence[ImageAssessment]], Mapping[str, float]]
Judged: TypeAlias = Sequence[ImageAssessment] | Sequence[Sequence[ImageAssessment]]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure, and where it would probably be on other images of the same kind.

    Attributes
    ----------
    value : float
        On the images as they are.
    low, high : float
        Ends of the percentile interval.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How much larger a figure is for one set of predictions than for another.

    Attributes
    ----------
    value : float
        First minus second, on the images as they are.
    low, high : float
        Ends of the percentile interval.
    p : float
        Two-sided: how often resampling takes the difference to the other side of zero. No smaller
        than about 2 / draws.
    """

    value: float
    low: float
    high: float
    p: float


def bootstrap_interval(
    images: Judged,
    statistic: Statistic | None = None,
    *,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Give figures with their intervals, from resampling images.

    Parameters
    ----------
    images : sequence of ImageAssessment, or several such
        Several runs (seeds) judge the same images: their figures are averaged, and an image is
        drawn for all runs at once.
    statistic : callable, optional
        Makes named figures of images; called once for each draw and run. By default the figures
        of `summarise`, which are resampled a thousand times in well under a second.
    level : float
        Coverage, between 0 and 1.
    draws : int
        Number of resampled sets of images.
    seed : int
        Of the draws.

    Returns
    -------
    dict of str to Interval
        Draws that cannot tell a figure, such as one without any box, do not count for it.

    Raises
    ------
    ConfigError
        If there is no image, runs judged different images, or a setting is out of range.

    References
    ----------
    Efron and Tibshirani, An introduction to the bootstrap, 1993, chapter 13.
    """
    runs = _runs(images)
    weights = _draws(runs, level, draws, seed)
    return {name: _interval(v, level) for name, v in _mean_figures(runs, statistic, weights).items()}


def class_intervals(
    images: Judged, *, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> dict[str, dict[str, Interval]]:
    """Give precision, recall and F1 of each annotated class with their intervals.

    Parameters
    ----------
    images, level, draws, seed
        As for `bootstrap_interval`.

    Returns
    -------
    dict of str to dict of str to Interval
        Class, then ``precision``, ``recall``, ``f1``.

    Raises
    ------
    ConfigError
        As `bootstrap_interval` does.
    """
    runs = _runs(images)
    weights = _draws(runs, level, draws, seed)
    each = [tally(run).class_figures(weights) for run in runs]
    return {
        name: {k: _interval(np.mean([e[name][k] for e in each], 0), level) for k in figures}
        for name, figures in each[0].items()
    }


def paired_difference(
    first: Judged,
    second: Judged,
    statistic: Statistic | None = None,
    *,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, Difference]:
    """Compare two sets of predictions of the same images, image drawn against same image.

    Parameters
    ----------
    first, second : sequence of ImageAssessment, or several such
        Of the same images, in any order. The figures of several runs (seeds) are averaged; the two
        may have different numbers of runs.
    statistic, level, draws, seed
        As for `bootstrap_interval`.

    Returns
    -------
    dict of str to Difference
        Figures that both can tell.

    Raises
    ------
    ConfigError
        If the images differ, there is none, or a setting is out of range.

    References
    ----------
    Efron and Tibshirani, An introduction to the bootstrap, 1993, chapters 13 and 16.
    """
    one, other = _runs(first), _runs(second)
    together = _runs([*one, *other])
    weights = _draws(together, level, draws, seed)
    minuend = _mean_figures(together[: len(one)], statistic, weights)
    subtrahend = _mean_figures(together[len(one) :], statistic, weights)
    return {name: _difference(v - subtrahend[name], level) for name, v in minuend.items() if name in subtrahend}


def common_images(runs: Sequence[Sequence[ImageAssessment]]) -> list[list[ImageAssessment]]:
    """Leave out of every run what is not in all: what one network could not judge, the trials name.

    Parameters
    ----------
    runs : sequence of sequence of ImageAssessment
        Judged images of each network, in any order.
    """
    names = [{(i.source, i.name) for i in run} for run in runs]
    common = set.intersection(*names) if names else set()
    return [[i for i in run if (i.source, i.name) in common] for run in runs]


def _runs(images: Judged) -> list[list[ImageAssessment]]:
    """Return runs whose images stand in one order."""
    if not images:
        raise ConfigError("there is no image to make figures of")
    runs = [[i] if isinstance(i, ImageAssessment) else list(i) for i in images]
    if isinstance(images[0], ImageAssessment):
        runs = [[i for run in runs for i in run]]
    keyed = [{(i.source, i.name): i for i in run} for run in runs]
    for run, keys in zip(runs, keyed, strict=True):
        if len(keys) != len(run):
            twice = next(
                i.name for n, i in enumerate(run) if (i.source, i.name) in {(j.source, j.name) for j in run[:n]}
            )
            raise ConfigError(f"a run judged the image {twice} twice; give each run by itself")
        strange = sorted(keys.keys() ^ keyed[0].keys())
        if strange:
            raise ConfigError(
                f"the runs did not judge the same images: {len(strange)} are not in all, such as {strange[0][1]}; "
                "leave those out"
            )
    if not keyed[0]:
        raise ConfigError("there is no image to make figures of")
    return [[keys[key] for key in keyed[0]] for keys in keyed]


def _draws(runs: Sequence[Sequence[ImageAssessment]], level: float, draws: int, seed: int) -> NDArray[np.float64]:
    """Return how often each image is in each set: first all images once, then the draws."""
    if not 0 < level < 1:
        raise ConfigError(f"level is {level}; it is between 0 and 1, such as 0.95")
    if draws < 1:
        raise ConfigError(f"draws is {draws}; at least 1 is needed, and 1000 are usual")
    count = len(runs[0])
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    return np.vstack([np.ones(count), drawn])


def _mean_figures(
    runs: Sequence[Sequence[ImageAssessment]], statistic: Statistic | None, weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    each = [tally(r).figures(weights) if statistic is None else _called(r, statistic, weights) for r in runs]
    return {name: np.mean([e[name] for e in each], 0) for name in each[0] if all(name in e for e in each)}


def _called(
    images: Sequence[ImageAssessment], statistic: Statistic, weights: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    results = [statistic([i for i, n in zip(images, row, strict=True) for _ in range(int(n))]) for row in weights]
    return {name: np.array([r.get(name, np.nan) for r in results], float) for name in results[0]}


def _interval(values: NDArray[np.float64], level: float) -> Interval:
    low, high = _percentiles(values[1:], level)
    return Interval(float(values[0]), low, high)


def _difference(values: NDArray[np.float64], level: float) -> Difference:
    low, high = _percentiles(values[1:], level)
    drawn = values[1:][~np.isnan(values[1:])]
    # The images as they are count as one draw, so that p is never 0.
    tail = (1 + min((drawn <= 0).sum(), (drawn >= 0).sum())) / (1 + len(drawn))
    return Difference(float(values[0]), low, high, float(min(1.0, 2 * tail)))


def _percentiles(drawn: NDArray[np.float64], level: float) -> tuple[float, float]:
    if np.isnan(drawn).all():
        return float("nan"), float("nan")
    low, high = np.nanpercentile(drawn, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)
