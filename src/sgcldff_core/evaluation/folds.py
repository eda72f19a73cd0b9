"""Folds: which images are judged by a network that learned from the others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from sgcldff_core.datasets.known_duplicates import shown_first
from sgcldff_core.errors import ConfigError, FormatError
from sgcldff_core.files import write_json

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

__all__ = ["Folds", "make_folds", "read_folds", "write_folds"]

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Folds:
    """The fold of every group of images.

    Attributes
    ----------
    count : int
        How many folds there are, at least 2.
    fold_of_group : mapping of str to int
        Counted from 0. Forms of one field and copies of one image share a group.
    """

    count: int
    fold_of_group: Mapping[str, int]

    def split(self, samples: Sequence[Sample], fold: int) -> tuple[list[Sample], list[Sample]]:
        """Return what is learned from and what is judged in one fold.

        Parameters
        ----------
        samples : sequence of Sample
            Samples whose groups are in the folds.
        fold : int
            The fold to judge, from 0.

        Raises
        ------
        ConfigError
            If there is no such fold, or a sample is in none.
        """
        if not 0 <= fold < self.count:
            raise ConfigError(f"there is no fold {fold}; they are 0 to {self.count - 1}")
        strange = sorted({s.group for s in samples} - set(self.fold_of_group))
        if strange:
            raise ConfigError(
                f"the folds do not say where {len(strange)} groups belong, such as {strange[0]}; "
                "make new ones, or leave out the data set that came later"
            )
        judged = [s for s in samples if self.fold_of_group[s.group] == fold]
        return [s for s in samples if self.fold_of_group[s.group] != fold], judged


def make_folds(samples: Sequence[Sample], count: int, seed: int = 0) -> Folds:
    """Share out groups so that every fold is alike in source and class.

    Photographs of one cell that are known as such are in one fold, whatever their groups.

    Parameters
    ----------
    samples : sequence of Sample
        Everything; test splits that a data set publishes are not touched and belong left out before.
    count : int
        Number of folds.
    seed : int
        Of the draw.

    Raises
    ------
    ConfigError
        If there are fewer groups than folds.
    """
    scene = {s.group: shown_first(s.group) for s in samples}
    stratum = {scene[s.group]: s.stratum for s in samples}
    groups = sorted(stratum)
    if not 2 <= count <= len(groups):
        raise ConfigError(f"{len(groups)} independent images cannot be shared by {count} folds")
    # Strata with fewer groups than folds are dealt out one after the other: the splitter would
    # warn, and put them anywhere. A rare class is then in as many folds as it has images.
    names, sizes = np.unique([stratum[g] for g in groups], return_counts=True)
    large = {str(n) for n, size in zip(names, sizes, strict=True) if size >= count}
    common = [g for g in groups if stratum[g] in large]
    rare = sorted((g for g in groups if stratum[g] not in large), key=lambda g: (stratum[g].split("/")[1], g))
    folds: dict[str, int] = {g: i % count for i, g in enumerate(rare)}
    if common:
        splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        strata = [stratum[g] for g in common]
        for fold, (_, chosen) in enumerate(splitter.split(strata, strata, groups=common)):
            folds |= {common[i]: fold for i in chosen}
    return Folds(count, {group: folds[first] for group, first in scene.items()})


def read_folds(path: Path | str) -> Folds:
    """Read folds from a JSON file.

    Parameters
    ----------
    path : Path or str
        Written by `write_folds`.

    Raises
    ------
    FormatError
        If the file is missing or is none.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        version, folds = content["version"], content["folds"]
        fold_of_group = {str(group): i for i, groups in enumerate(folds) for group in groups}
    except (OSError, ValueError, KeyError, TypeError) as broken:
        raise FormatError(path, f"does not hold folds ({broken})", "make it with 'sgcldff crossval'") from broken
    if version != _VERSION or len(folds) < 2 or len(fold_of_group) != sum(map(len, folds)):
        raise FormatError(path, "holds folds of another version, too few, or a group in two", "make new ones")
    return Folds(len(folds), fold_of_group)


def write_folds(folds: Folds, path: Path | str) -> None:
    """Write folds to a JSON file, one list of groups for each.

    Parameters
    ----------
    folds : Folds
        Where each group belongs.
    path : Path or str
        Appears whole or not at all, and replaces what was there.
    """
    lists = [sorted(g for g, f in folds.fold_of_group.items() if f == fold) for fold in range(folds.count)]
    write_json(path, {"version": _VERSION, "folds": lists})
