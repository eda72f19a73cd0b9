"""Cells of known class with what a model that had not learned from them made of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.assessment import MISSED

if TYPE_CHECKING:
    from sgcldff_core.evaluation.assessment import ImageAssessment

__all__ = ["CellKey", "NamedCells", "named_cells"]


@dataclass(frozen=True, slots=True, order=True)
class CellKey:
    """Which cell it is.

    Attributes
    ----------
    source, name : str
        Of its sample.
    position : int
        From 0, among the cells of the sample that were judged. They come in the order of the
        sample's `classes`.
    """

    source: str
    name: str
    position: int


@dataclass(frozen=True, slots=True, eq=False)
class NamedCells:
    """N cells that were found, and whose class is annotated.

    Attributes
    ----------
    classes : tuple of str
        Of the model.
    keys : tuple of CellKey
        Which cells, in ascending order.
    annotated : ndarray
        (N,) int64, index of the annotated class.
    probabilities : ndarray
        (N, classes) float64, calibrated; rows sum to 1.
    missed : int
        Annotated cells that were not found, and so are not here.
    """

    classes: tuple[str, ...]
    keys: tuple[CellKey, ...]
    annotated: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    missed: int = 0

    def where(self, chosen: NDArray[np.bool_]) -> NamedCells:
        """Return some of the cells; `missed` is not known of them, and 0.

        Parameters
        ----------
        chosen : ndarray of bool, shape (N,)
            Which of the cells to keep.
        """
        keys = tuple(key for key, kept in zip(self.keys, chosen, strict=True) if kept)
        return NamedCells(self.classes, keys, self.annotated[chosen], self.probabilities[chosen])


def named_cells(images: Iterable[ImageAssessment]) -> NamedCells:
    """Gather the cells of judged images.

    Parameters
    ----------
    images : iterable of ImageAssessment
        As cross-validation leaves them. A cell that several models judged, as with several seeds,
        counts once, with the mean of its probabilities.

    Returns
    -------
    NamedCells
        Without any cell, also without classes.

    Raises
    ------
    ConfigError
        If the models know different classes.
    """
    seen: dict[CellKey, list[Mapping[str, float]]] = {}
    annotated: dict[CellKey, str] = {}
    for image in images:
        for position, cell in enumerate(image.classes):
            key = CellKey(image.source, image.name, position)
            annotated[key] = cell.true
            seen.setdefault(key, [])
            if cell.found != MISSED:
                seen[key].append(cell.probabilities)
    found = {key: views for key, views in sorted(seen.items()) if views}
    known = {tuple(probabilities) for views in found.values() for probabilities in views}
    if len({frozenset(names) for names in known}) > 1:
        listed = "; ".join(sorted(", ".join(names) for names in known))
        raise ConfigError(f"the models that judged these cells know different classes: {listed}")
    classes = min(known, default=())
    rows = [[np.mean([view[name] for view in views]) for name in classes] for views in found.values()]
    return NamedCells(
        classes,
        tuple(found),
        np.array([classes.index(annotated[key]) for key in found], np.int64),
        np.array(rows, np.float64).reshape(len(found), len(classes)),
        len(seen) - len(found),
    )
