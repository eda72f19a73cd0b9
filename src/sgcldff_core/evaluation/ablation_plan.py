"""What an ablation trains: which images are learned from and judged, by which row, with which seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.ablation import PAPER_ROWS
from sgcldff_core.evaluation.run_settings import note_settings

if TYPE_CHECKING:
    from sgcldff_core.evaluation.folds import Folds
    from sgcldff_core.sample import Sample

__all__ = ["Part", "PlannedTrial", "claim_folder", "few_with_masks", "parts_across", "parts_of_folds", "plan_trials"]

SETTINGS = "settings.json"
"""File in an ablation's folder with what all of its trials share."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Images to learn from, and others to judge.

    Attributes
    ----------
    name : str
        Of its folder: ``fold0``, or ``onto-zheng2`` where another source is judged.
    learned, judged : tuple of Sample
        No group is in both.
    """

    name: str
    learned: tuple[Sample, ...]
    judged: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PlannedTrial:
    """One network to train.

    Attributes
    ----------
    row : str
        Of the table.
    seed : int
        Of everything drawn at random.
    part : Part
        What it learns from and is judged on.
    """

    row: str
    seed: int
    part: Part

    def folder(self, out: Path) -> Path:
        """Return where it lies within the ablation's folder.

        Parameters
        ----------
        out : Path
            The ablation's folder.
        """
        return out / self.row / f"seed{self.seed}" / self.part.name


def parts_of_folds(samples: Sequence[Sample], folds: Folds, chosen: Sequence[int]) -> list[Part]:
    """Return the chosen folds as parts.

    Parameters
    ----------
    samples : sequence of Sample
        All of them; each fold judges its own and learns from the others.
    folds : Folds
        Where each group belongs.
    chosen : sequence of int
        Numbers of folds, from 0.

    Raises
    ------
    ConfigError
        If there is no such fold, or a sample is in none.
    """
    parts = []
    for fold in chosen:
        learned, judged = folds.split(samples, fold)
        parts.append(Part(f"fold{fold}", tuple(learned), tuple(judged)))
    return parts


def parts_across(samples: Sequence[Sample], judge_on: Sequence[str], learn_from: Sequence[str] = ()) -> list[Part]:
    """Return one part for each source to be judged, learned from images of other sources.

    Parameters
    ----------
    samples : sequence of Sample
        Of all sources.
    judge_on : sequence of str
        Sources, each of which is judged as a whole by networks that never saw it.
    learn_from : sequence of str, optional
        Sources to learn from; all but the judged one where it is empty.

    Raises
    ------
    ConfigError
        If there is no such source, or nothing is left to learn from.
    """
    sources = sorted({s.source for s in samples})
    unknown = sorted({*judge_on, *learn_from} - set(sources))
    if unknown:
        raise ConfigError(f"no image is of source {', '.join(unknown)}; there are {', '.join(sources)}")
    parts = []
    for source in judge_on:
        judged = tuple(s for s in samples if s.source == source)
        seen = {s.group for s in judged}
        allowed = set(learn_from or sources) - {source}
        learned = tuple(s for s in samples if s.source in allowed and s.group not in seen)
        if not learned:
            raise ConfigError(f"nothing is left to learn from when {source} is judged; name other sources")
        parts.append(Part(f"onto-{source}", learned, judged))
    return parts


def few_with_masks(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """Choose a few images with masks, as somebody would who may outline only so many.

    Sources and classes take turns, so that each is there as soon as there is room for it. Which
    image of them is chosen is drawn.

    Parameters
    ----------
    samples : sequence of Sample
        To choose from; those without masks are left out.
    count : int
        How many, at least 2, so that one can be held out.
    seed : int
        Of the draw. The same seed chooses the same images, and of more images also these.

    Returns
    -------
    list of Sample
        No two of the same group, in the order of `samples`.

    Raises
    ------
    ConfigError
        If there are not so many.
    """
    masked = {s.group: s for s in samples if s.labels is not None}
    if not 2 <= count <= len(masked):
        raise ConfigError(f"{count} images with masks were asked for; it can be 2 to {len(masked)} here")
    groups = sorted(masked)
    turns: dict[str, int] = defaultdict(int)
    order: list[tuple[int, int, str]] = []
    for i in np.random.default_rng(seed).permutation(len(groups)):
        sample = masked[groups[i]]
        order.append((turns[sample.stratum], len(order), sample.group))
        turns[sample.stratum] += 1
    chosen = {id(masked[group]) for _, _, group in sorted(order)[:count]}
    return [s for s in samples if id(s) in chosen]


def plan_trials(rows: Sequence[str], parts: Sequence[Part], seeds: int, paper_seeds: int) -> list[PlannedTrial]:
    """List the trials of an ablation, in the order in which they tell most soonest.

    Parameters
    ----------
    rows : sequence of str
        In order; a first seed of every row comes before a second one of any.
    parts : sequence of Part
        Each trained by itself.
    seeds, paper_seeds : int
        Networks a row and part; `paper_seeds` for rows in `PAPER_ROWS`, where it is larger.

    Raises
    ------
    ConfigError
        If there is to be less than one seed.
    """
    if min(seeds, paper_seeds) < 1:
        raise ConfigError(f"every row needs at least one seed, got {seeds} and {paper_seeds}")
    wanted = {row: max(seeds, paper_seeds) if row in PAPER_ROWS else seeds for row in rows}
    last = max(wanted.values(), default=0)
    return [
        PlannedTrial(row, seed, part) for seed in range(last) for row in rows if seed < wanted[row] for part in parts
    ]


def claim_folder(out: Path, settings: Mapping[str, Any]) -> None:
    """Note in a folder what all its trials share, or check that it is the same as noted there.

    Trials that are finished are not run again, so a folder must not mix two recipes or regimes.

    Parameters
    ----------
    out : Path
        Of the ablation; made if it is missing.
    settings : mapping
        Plain JSON types.

    Raises
    ------
    ConfigError
        If the folder belongs to an ablation with other settings; they are named.
    FormatError
        If its note cannot be read.
    """
    changed = note_settings(out / SETTINGS, settings)
    if changed:
        raise ConfigError(f"{out} holds an ablation with another {', '.join(changed)}; choose another --out")
