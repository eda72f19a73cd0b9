"""Which annotated classes are likely wrong, as told by models that had not learned from those cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sgcldff_core.errors import FormatError
from sgcldff_core.evaluation.trial import JUDGED, read_trial

if TYPE_CHECKING:
    from sgcldff_core.evaluation.assessment import ImageAssessment
    from sgcldff_core.evaluation.named_cells import CellKey, NamedCells

__all__ = ["Doubt", "SourceDoubts", "confident_joint", "doubt_table", "find_doubts", "read_judged"]

_COLUMNS = ("name", "source", "cell", "annotated", "suggested", "self_confidence", "suggested_confidence", "rank")


@dataclass(frozen=True, slots=True)
class Doubt:
    """One cell whose annotated class is likely wrong.

    Attributes
    ----------
    key : CellKey
        Which cell.
    annotated, suggested : str
        Class as annotated, and as the models would have it.
    self_confidence, suggested_confidence : float
        Probability of either, 0 to 1.
    rank : int
        From 1 within the source, the least self-confident first.
    """

    key: CellKey
    annotated: str
    suggested: str
    self_confidence: float
    suggested_confidence: float
    rank: int


@dataclass(frozen=True, slots=True, eq=False)
class SourceDoubts:
    """What confident learning says of the annotation of one source.

    A model that is wrong with confidence looks just like an annotation that is wrong: rates are as
    good as the models, and each doubt is a question to a person, not an answer.

    Attributes
    ----------
    source : str
        The data set.
    classes : tuple of str
        Of the rows and columns of `joint`.
    cells : ndarray
        (classes,) int64, how many are annotated with each class.
    joint : ndarray
        (classes, classes) float64 that sums to 1: estimated share of cells of each annotated
        (rows) and true (columns) class. Rows sum to what is annotated.
    doubts : tuple of Doubt
        In the order of their rank.
    """

    source: str
    classes: tuple[str, ...]
    cells: NDArray[np.int64]
    joint: NDArray[np.float64]
    doubts: tuple[Doubt, ...]

    @property
    def noise_rate(self) -> float:
        """Estimated share of cells whose annotated class is wrong."""
        return float(1 - np.trace(self.joint))

    @property
    def noise_rates(self) -> Mapping[str, float]:
        """The same among the cells annotated with each class that occurs."""
        share = self.joint.sum(1)
        return {name: float(1 - self.joint[i, i] / share[i]) for i, name in enumerate(self.classes) if share[i] > 0}


def confident_joint(
    annotated: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count cells by annotated class and by the class that they are confidently of.

    A cell is confidently of the most probable class among those whose probability reaches the
    class's threshold: the mean of that probability over all cells annotated with it. So a class
    that the model is never sure of is held to what can be had. The threshold is never below
    chance, which it could be for a class of a few cells that were all named something else.

    Parameters
    ----------
    annotated : ndarray
        (N,) int64, index of the class.
    probabilities : ndarray
        (N, classes) float64, of models that have not learned from the cell.

    Returns
    -------
    counts : ndarray
        (classes, classes) int64, rows annotated, columns confident.
    confident : ndarray
        (N,) int64, the class that each cell is confidently of; -1 for none.

    References
    ----------
    Northcutt, Jiang and Chuang, Confident learning: estimating uncertainty in dataset labels,
    Journal of Artificial Intelligence Research 70 (2021), equations 1 and 2.
    """
    classes = probabilities.shape[1]
    counts = np.zeros((classes, classes), np.int64)
    threshold = np.full(classes, np.inf)  # nothing can be said of a class that nobody annotated
    for index in np.unique(annotated):
        threshold[index] = max(probabilities[annotated == index, index].mean(), 1 / classes)
    reached = probabilities >= threshold - 1e-9
    confident = np.where(reached.any(1), np.where(reached, probabilities, -1).argmax(1), -1)
    np.add.at(counts, (annotated[confident >= 0], confident[confident >= 0]), 1)
    return counts, confident


def find_doubts(cells: NamedCells) -> tuple[SourceDoubts, ...]:
    """Look for likely wrong classes, in each source for itself.

    Parameters
    ----------
    cells : NamedCells
        Judged by models that have not learned from them.

    Returns
    -------
    tuple of SourceDoubts
        In the order of the sources' names.
    """
    sources = np.array([key.source for key in cells.keys], object)
    return tuple(_of_source(str(source), cells.where(sources == source)) for source in np.unique(sources))


def read_judged(run: Path | str) -> list[ImageAssessment]:
    """Read every finished trial in a folder, at any depth.

    Parameters
    ----------
    run : Path or str
        Of a cross-validation.

    Raises
    ------
    FormatError
        If there is none, or one is damaged.
    """
    files = sorted(Path(run).rglob(JUDGED))
    if not files:
        raise FormatError(run, f"holds no {JUDGED}", "give the folder that 'sgcldff crossval' wrote")
    return [image for file in files for image in read_trial(file.parent).images]


def doubt_table(sources: Iterable[SourceDoubts]) -> pd.DataFrame:
    """Put all doubts into one table.

    Parameters
    ----------
    sources : iterable of SourceDoubts
        One for each data set.

    Returns
    -------
    DataFrame
        Columns ``name, source, cell`` (from 1 among the image's judged cells), ``annotated,
        suggested, self_confidence, suggested_confidence, rank`` (within the source).
    """
    rows = [
        asdict(doubt) | {"name": doubt.key.name, "source": doubt.key.source, "cell": doubt.key.position + 1}
        for source in sources
        for doubt in source.doubts
    ]
    return pd.DataFrame(rows, columns=list(_COLUMNS))


def _of_source(source: str, cells: NamedCells) -> SourceDoubts:
    annotated, classes = cells.annotated, cells.classes
    counts, confident = confident_joint(annotated, cells.probabilities)
    rows = np.arange(len(annotated))
    self_confidence = cells.probabilities[rows, annotated]
    wrong = np.flatnonzero((confident >= 0) & (confident != annotated))
    doubts = tuple(
        Doubt(
            cells.keys[i],
            classes[annotated[i]],
            classes[confident[i]],
            float(self_confidence[i]),
            float(cells.probabilities[i, confident[i]]),
            rank,
        )
        for rank, i in enumerate(wrong[np.argsort(self_confidence[wrong], kind="stable")], start=1)
    )
    occurring = np.bincount(annotated, minlength=len(classes))
    return SourceDoubts(source, classes, occurring, _calibrated(counts, occurring), doubts)


def _calibrated(counts: NDArray[np.int64], occurring: NDArray[np.int64]) -> NDArray[np.float64]:
    """Scale each row of the confident joint to the cells annotated with its class, and all to 1."""
    sums = counts.sum(1, keepdims=True)
    # Where no cell of a class is confidently anything, there is nothing to hold against it.
    shares = np.where(sums > 0, counts / np.maximum(sums, 1), np.eye(len(counts)))
    return np.asarray(shares * occurring[:, None] / max(occurring.sum(), 1))
