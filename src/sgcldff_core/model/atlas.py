"""An atlas: measured cells of known class, which name a cell by those that measure alike.

A network learns its few hundred cells by heart and is sure of itself. What can be measured of a cell
(`sgcldff_core.model.cell_measures`) is few figures, which a kernel classifier tells apart about as
well, but it errs on other cells; and the less a cell is like any in the atlas, the more it leaves to the network.

References
----------
Suykens and Vandewalle, Least squares support vector machine classifiers, Neural Processing Letters 9
(1999). Rifkin and Klautau, In defense of one-vs-all classification, JMLR 5 (2004), for the closed form
of what a cell would be called if it were not in the atlas. Genest and Zidek, Combining probability
distributions, Statistical Science 1 (1986), for the logarithmic pool.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist
from scipy.special import softmax

from sgcldff_core.errors import ConfigError, CorruptModelError
from sgcldff_core.files import written_atomically
from sgcldff_core.model.cell_measures import MEASURES

__all__ = ["ATLAS", "CellAtlas", "read_atlas", "save_atlas"]

ATLAS = "atlas.safetensors"
"""Beside the weights of a model that has one."""

_VERSION = 1
_SHARE = 0.5  # of the say at most: neither is better by itself
_STRANGE = 0.05  # of the atlas's own cells are further from all others: from there on, to twice as far, it falls silent
_WIDTH = 0.8  # of the kernel: exp(-width * mean squared difference of standardised measures)
_RIDGE = 0.1
_MOST = 4.0  # spreads from the mean: further out is no more telling
_SHARPEST = 30.0
_LEAST = 1e-3  # probability: neither may rule a class out
_FEWEST = 2  # cells of a class, below which the atlas says nothing of it


@dataclass(frozen=True, eq=False)
class CellAtlas:
    """Cells whose class is known, by what was measured of them.

    Attributes
    ----------
    measures : ndarray
        (N, `MEASURES`) float32, at the canonical scale of the model that outlined them.
    classes : tuple of str
        (N,) what these cells are.
    """

    measures: NDArray[np.float32]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.measures.shape != (len(self.classes), len(MEASURES)) or not np.isfinite(self.measures).all():
            raise ConfigError(
                f"an atlas has {len(MEASURES)} finite measures of each cell, not {self.measures.shape} of "
                f"{len(self.classes)} cells"
            )

    def joined(self, newer: CellAtlas) -> CellAtlas:
        """Return the cells of both.

        Parameters
        ----------
        newer : CellAtlas
            Such as cells that a person corrected.
        """
        return CellAtlas(np.concatenate([self.measures, newer.measures]), (*self.classes, *newer.classes))

    def opinion(
        self, measures: NDArray[np.float32], probabilities: NDArray[np.float32], classes: Sequence[str]
    ) -> NDArray[np.float32]:
        """Return what network and atlas together say of cells: ``p ~ p_network^(1 - w) p_atlas^w``.

        Parameters
        ----------
        measures : ndarray
            (M, `MEASURES`) float32 of cells.
        probabilities : ndarray
            (M, classes) float32, as the network has it; rows sum to 1.
        classes : sequence of str
            Of the columns. One that the atlas does not know keeps the probability that it has.

        Returns
        -------
        ndarray
            (M, classes) float32; rows sum to 1.
        """
        shared = [name for name in self.known if name in classes]
        if len(shared) < 2 or not len(measures):
            return probabilities
        columns, own = [classes.index(name) for name in shared], [self.known.index(name) for name in shared]
        network = probabilities[:, columns].astype(np.float64)
        known_mass = network.sum(axis=1, keepdims=True)
        named, share = self.name(measures)
        logits = share[:, None] * np.log(named[:, own] + _LEAST)
        logits += (1 - share[:, None]) * np.log(network / known_mass.clip(1e-12) + _LEAST)
        told = probabilities.copy()
        told[:, columns] = softmax(logits, axis=1) * known_mass
        return told

    def name(self, measures: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what the atlas by itself says of cells, and how much of a say it has.

        Its share is a half. For a cell that is further from all of its own than 19 of 20 of these are from
        each other it is less, and nothing from twice as far on.

        Parameters
        ----------
        measures : ndarray
            (M, `MEASURES`) float32 of cells.

        Returns
        -------
        probabilities : ndarray
            (M, `known`) float64; rows sum to 1.
        share : ndarray
            (M,) float64 in [0, 0.5].
        """
        apart = _apart(self._standard(measures), self._cells[0])
        weights, sharpness, _ = self._fitted
        share = _SHARE * np.clip(2 - apart.min(axis=1) / self._usual, 0, 1)
        return softmax(sharpness * (_alike(apart) @ weights), axis=1), share

    @property
    def right_by_itself(self) -> float:
        """Share of its cells that it would name right if they were not in it, by a closed form."""
        return float((self._fitted[2].argmax(axis=1) == self._cells[1]).mean())

    @cached_property
    def known(self) -> tuple[str, ...]:
        """Return the classes of which it has cells enough to say anything, by name."""
        return tuple(sorted({name for name in self.classes if self.classes.count(name) >= _FEWEST}))

    @cached_property
    def _cells(self) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        rows = [i for i, name in enumerate(self.classes) if name in self.known]
        numbers = np.array([self.known.index(self.classes[i]) for i in rows], np.intp)
        return self._standard(self.measures[rows]), numbers

    @cached_property
    def _scale(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        measures = self.measures.astype(np.float64)
        return measures.mean(axis=0), measures.std(axis=0) + 1e-6

    @cached_property
    def _fitted(self) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
        """Weights of the cells; how sharp scores are, which makes them honest; scores of cells left out."""
        numbers, count = self._cells[1], len(self.known)
        # A rare class may not be drowned: its cells are held to their names the closer.
        ridge = _RIDGE * np.sqrt(count * np.bincount(numbers, minlength=count)[numbers] / len(numbers))
        inverse = np.linalg.inv(_alike(self._own_distances) + np.diag(ridge))
        wanted = np.eye(count)[numbers] - 1 / count
        weights = inverse @ wanted
        scores = wanted - weights / np.diag(inverse)[:, None]

        def unlikelihood(sharpness: float) -> float:
            own = softmax(sharpness * scores, axis=1)[np.arange(len(numbers)), numbers]
            return -float(np.log(own + 1e-9).mean())

        sharpness = float(minimize_scalar(unlikelihood, bounds=(0.1, _SHARPEST), method="bounded").x)
        return weights, sharpness, scores

    @cached_property
    def _usual(self) -> float:
        """How far a cell of the atlas is from the one most like it, but for the strangest."""
        others = self._own_distances + np.diag(np.full(len(self._cells[0]), np.inf))
        return float(np.quantile(others.min(axis=1), 1 - _STRANGE)) + 1e-9

    @property
    def _own_distances(self) -> NDArray[np.float64]:
        """Not kept: it grows with the square of the cells, and is asked for twice."""
        return _apart(self._cells[0], self._cells[0])

    def _standard(self, measures: NDArray[np.float32]) -> NDArray[np.float64]:
        mean, spread = self._scale
        return np.clip((measures - mean) / spread, -_MOST, _MOST)


def save_atlas(atlas: CellAtlas | None, folder: Path) -> None:
    """Write an atlas beside the weights of its model.

    Parameters
    ----------
    atlas : CellAtlas or None
        Stored in half precision; None deletes that of a model which was in the folder before.
    folder : Path
        Of the model.
    """
    if atlas is None:
        (folder / ATLAS).unlink(missing_ok=True)
        return
    notes = {"version": _VERSION, "classes": list(atlas.classes)}
    with written_atomically(folder / ATLAS) as draft:
        save_file({"measures": atlas.measures.astype(np.float16)}, draft, metadata={"notes": json.dumps(notes)})


def read_atlas(folder: Path) -> CellAtlas | None:
    """Return the atlas of a model, None where it has none.

    Parameters
    ----------
    folder : Path
        Of the model.

    Raises
    ------
    CorruptModelError
        If the file is damaged, or of another release.
    """
    path = folder / ATLAS
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="np") as file:
            notes = json.loads(file.metadata()["notes"])
            if notes["version"] != _VERSION:
                raise ValueError(f"version {notes['version']!r}; this release reads {_VERSION}")
            return CellAtlas(file.get_tensor("measures").astype(np.float32), tuple(map(str, notes["classes"])))
    except (SafetensorError, ConfigError, KeyError, TypeError, ValueError) as broken:
        raise CorruptModelError(
            f"{path}: is no atlas of cells ({broken}); delete it, make it anew with 'sgcldff models atlas', or get "
            "the model again"
        ) from broken


def _apart(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean squared difference of each to each."""
    return np.asarray(cdist(one, other, "sqeuclidean") / one.shape[1])


def _alike(apart: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.exp(-_WIDTH * apart))
