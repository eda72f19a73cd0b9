"""Which samples are learned from and which are held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from sgcldff_core.datasets.known_duplicates import shown_first
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

__all__ = ["split_samples", "without_copies"]


def without_copies(samples: Sequence[Sample]) -> list[Sample]:
    """Drop samples without masks that show cells of which another sample has the masks.

    The crops that are published beside fields are such copies: their classes came to the cells of
    the field when that was read.

    Parameters
    ----------
    samples : sequence of Sample
        Of all data sets that are learned from.
    """
    masked = {s.group for s in samples if s.labels is not None}
    return [s for s in samples if s.labels is not None or s.boxes is not None or s.group not in masked]


def split_samples(samples: Sequence[Sample], share: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Hold out whole groups, alike in source and class.

    A source that names its own validation split keeps it; its test split is never touched. Of the
    others about `share` of the groups is held out, at least one. Photographs of one cell that are
    known as such stay on one side.

    Parameters
    ----------
    samples : sequence of Sample
        All that there is.
    share : float
        Share to hold out, below 1. With 0 nothing is held out, not even published validation splits.
    seed : int
        Of the draw.

    Returns
    -------
    training, validation : list of Sample
        In the order of `samples`; no group is in both.

    Raises
    ------
    ConfigError
        If there are fewer than two groups, so that nothing can be held out.
    """
    usable = [s for s in samples if s.split != "test"]
    if share == 0:
        return usable, []
    published = {s.source for s in usable if s.split == "val"}
    scene = {s.group: shown_first(s.group) for s in usable}
    held = {scene[s.group] for s in usable if s.split == "val"}
    rest = [s for s in usable if s.source not in published]
    if len(set(scene.values())) < 2:
        raise ConfigError("there are fewer than two images that may be learned from; one is needed to validate on")
    groups = sorted({scene[s.group] for s in rest} - held)
    if groups and not (held and len(groups) < 2):
        held |= _draw({scene[s.group]: s.stratum for s in rest}, groups, share, seed)
    training = [s for s in usable if scene[s.group] not in held]
    return training, [s for s in usable if scene[s.group] in held]


def _draw(stratum: Mapping[str, str], groups: Sequence[str], share: float, seed: int) -> set[str]:
    strata = np.array([stratum[g] for g in groups])
    folds = min(10, len(groups))
    wanted = min(max(1, round(share * folds)), folds - 1)
    # A stratum with fewer groups than folds cannot be in every fold: those join one common stratum.
    names, counts = np.unique(strata, return_counts=True)
    rare = np.isin(strata, names[counts < folds])
    strata = np.where(rare, "rare", strata)
    if rare.sum() < folds:
        strata = np.where(rare, names[counts.argmax()], strata)
    if len(groups) < 2 * folds:
        strata = np.full(len(groups), "all")
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    parts = [chosen for _, chosen in splitter.split(strata, strata, groups=list(groups))]
    return {groups[i] for part in parts[:wanted] for i in part}
