"""Whether a cell resembles the remembered cells of its own class, or those of another."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from sgcldff_core.errors import CorruptModelError

__all__ = ["MEMORY", "RememberedCells", "read_memory"]

MEMORY = "memory.safetensors"
"""Beside the weights of a model that has one; `sgcldff_core.training.memory` writes it."""


@dataclass(frozen=True, slots=True, eq=False)
class RememberedCells:
    """Features of cells that a model learned from.

    Attributes
    ----------
    features : ndarray
        (N, F) float32, what the classification head's last layer is given.
    classes : tuple of str
        (N,) what these cells are.
    """

    features: NDArray[np.float32]
    classes: tuple[str, ...]

    def doubt(self, features: NDArray[np.float32], named: Sequence[str]) -> NDArray[np.float64]:
        """Return how much more a cell resembles another class than the one it was named.

        Resemblance is the cosine of features, each less the mean and over the spread of those
        remembered; to a class, that to its most similar cell.

        Parameters
        ----------
        features : ndarray
            (M, F) float32 of cells.
        named : sequence of str
            (M,) what they were called.

        Returns
        -------
        ndarray
            (M,) float64 from -2 to 2; NaN where no cell of the class, or of no other, is remembered.

        References
        ----------
        Jiang et al., To trust or not to trust a classifier, NeurIPS 2018 (ratio of distances there).
        """
        mean, spread = self.features.mean(axis=0), self.features.std(axis=0) + 1e-6
        known, asked = _directions((self.features - mean) / spread), _directions((features - mean) / spread)
        alike = (asked @ known.T).astype(np.float64)
        own = np.array(named, object)[:, None] == np.array(self.classes, object)[None]
        kin = np.where(own, alike, -np.inf).max(axis=1, initial=-np.inf)
        others = np.where(own, -np.inf, alike).max(axis=1, initial=-np.inf)
        told = np.isfinite(kin) & np.isfinite(others)
        return np.where(told, np.where(told, others, 0) - np.where(told, kin, 0), np.nan)


def read_memory(folder: Path, sha256: str) -> RememberedCells | None:
    """Return what a model remembers; None where it has none, or one of other weights.

    Parameters
    ----------
    folder : Path
        Of the model.
    sha256 : str
        Of its weights.

    Raises
    ------
    CorruptModelError
        If the file is damaged.
    """
    path = folder / MEMORY
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="np") as file:
            notes = json.loads(file.metadata()["notes"])
            features = file.get_tensor("features").astype(np.float32)
            classes, stale = tuple(map(str, notes["classes"])), notes["sha256"] != sha256
        if features.shape[:1] != (len(classes),):
            raise ValueError(f"{len(classes)} classes for features of shape {features.shape}")
    except (SafetensorError, KeyError, TypeError, ValueError) as broken:
        raise CorruptModelError(
            f"{path}: is no memory of a model ({broken}); delete it, or get the model again"
        ) from broken
    return None if stale or not len(classes) else RememberedCells(features, classes)


def _directions(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-6), np.float32)
