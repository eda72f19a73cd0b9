"""Cross-validation: one trial a fold and seed, each restartable, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sgcldff_core.errors import ConfigError, FormatError
from sgcldff_core.evaluation.folds import read_folds, write_folds
from sgcldff_core.evaluation.intervals import common_images
from sgcldff_core.evaluation.run_settings import note_settings, shared_settings
from sgcldff_core.evaluation.trial import JUDGED, Trial, read_trial, run_trial, unexpected_images

if TYPE_CHECKING:
    from sgcldff_core.evaluation.assessment import ImageAssessment
    from sgcldff_core.evaluation.folds import Folds
    from sgcldff_core.sample import Sample
    from sgcldff_core.training import TrainingConfig

__all__ = ["FOLDS", "SETTINGS", "CrossValidation", "Plan", "finished", "run_trials"]

FOLDS, SETTINGS = "folds.json", "settings.json"
"""Files in the folder that say which images are judged when, and how the networks are trained."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides how a cross-validation comes out.

    Attributes
    ----------
    samples : tuple of Sample
        What is judged once by each seed, and learned from otherwise.
    folds : Folds
        Of every group in `samples`.
    config : TrainingConfig
        How each network is trained; its seed is the first one.
    folder : Path
        Of the whole; trials are in ``seed<S>/fold<K>``.
    seeds : int
        How many networks judge each image, at least 1.
    diameter : float or None
        Of a typical cell in px; None: estimated for each image.
    flips : bool
        Test-time augmentation when judging.
    """

    samples: tuple[Sample, ...]
    folds: Folds
    config: TrainingConfig
    folder: Path
    seeds: int = 1
    diameter: float | None = None
    flips: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises
        ------
        ConfigError
            If there are no seeds.
        """
        if self.seeds < 1:
            raise ConfigError(f"seeds is {self.seeds}; at least 1 is needed")

    @property
    def trials(self) -> list[tuple[int, int]]:
        """Seed and fold of every trial, in the order in which they are run."""
        return [(self.config.seed + s, fold) for s in range(self.seeds) for fold in range(self.folds.count)]

    def folder_of(self, seed: int, fold: int) -> Path:
        """Return where a trial is kept.

        Parameters
        ----------
        seed : int
            The trial's seed.
        fold : int
            The fold that it judges, from 0.
        """
        return self.folder / f"seed{seed}" / f"fold{fold}"


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """The trials that are finished.

    Attributes
    ----------
    trials : mapping of (int, int) to Trial
        By seed and fold.
    complete : bool
        Whether all that were planned are there.
    """

    trials: Mapping[tuple[int, int], Trial]
    complete: bool

    @property
    def runs(self) -> list[list[ImageAssessment]]:
        """The images of all finished folds together, once for each seed.

        An image that one seed could not use, or has not come to, is left out of all.
        """
        pooled: dict[int, list[ImageAssessment]] = {}
        for (seed, _), trial in sorted(self.trials.items()):
            pooled.setdefault(seed, []).extend(trial.images)
        return common_images(list(pooled.values()))

    @property
    def failures(self) -> tuple[str, ...]:
        """What could not be used in some trial, each once."""
        return tuple(dict.fromkeys(f for trial in self.trials.values() for f in trial.failures))


def run_trials(
    plan: Plan,
    only: Collection[int] = (),
    *,
    report: Callable[[int, int, str, float], None] | None = None,
) -> Iterator[tuple[int, int, Trial]]:
    """Run the trials one after the other; those that are done are read back.

    Parameters
    ----------
    plan : Plan
        What to do. Its folds and settings are noted in its folder first.
    only : collection of int
        Do these folds and no others; all by default.
    report : callable, optional
        Called with seed, fold, what is being done and the share of it that is done.

    Yields
    ------
    seed, fold : int
        Of the trial.
    trial : Trial
        As it came out.

    Raises
    ------
    ConfigError
        If a fold is not there, or the folder holds a cross-validation with other folds or settings.
    """
    for fold in only:
        plan.folds.split((), fold)  # refuses one that is not there
    plan.folds.split(plan.samples, 0)  # and samples that are in no fold
    _note(plan)
    for seed, fold in plan.trials:
        if only and fold not in only:
            continue
        training, judged = plan.folds.split(plan.samples, fold)
        trial = run_trial(
            training,
            judged,
            replace(plan.config, seed=seed),
            plan.folder_of(seed, fold),
            diameter=plan.diameter,
            flips=plan.flips,
            report=None if report is None else partial(report, seed, fold),
        )
        _check(trial, judged)
        yield seed, fold, trial


def finished(plan: Plan) -> CrossValidation:
    """Read the trials that are done, whichever process or machine ran them.

    Parameters
    ----------
    plan : Plan
        Samples, folds, seeds and the folder of all trials.

    Raises
    ------
    FormatError
        If one is damaged, or judged other images than its fold has.
    """
    trials = {}
    for seed, fold in plan.trials:
        folder = plan.folder_of(seed, fold)
        if (folder / JUDGED).is_file():
            trials[seed, fold] = read_trial(folder)
            _check(trials[seed, fold], plan.folds.split(plan.samples, fold)[1])
    return CrossValidation(trials, len(trials) == len(plan.trials))


def _check(trial: Trial, judged: Sequence[Sample]) -> None:
    strange = unexpected_images(trial, judged)
    if strange:
        raise FormatError(
            trial.folder / JUDGED,
            f"judged {len(strange)} images that are not in this fold, such as {strange[0]}",
            "delete the folder to run the trial again, or give the data sets and folds that it was run with",
        )


def _note(plan: Plan) -> None:
    """Write down folds and settings, or refuse to mix with what another plan left."""
    noted = plan.folder / FOLDS
    if noted.exists():
        if dict(read_folds(noted).fold_of_group) != dict(plan.folds.fold_of_group):
            raise ConfigError(f"{plan.folder} holds a cross-validation with other folds; choose another folder")
    else:
        write_folds(plan.folds, noted)
    settings = shared_settings(plan.config) | {"diameter": plan.diameter, "flips": plan.flips}
    different = note_settings(plan.folder / SETTINGS, settings)
    if different:
        raise ConfigError(
            f"{plan.folder} holds a cross-validation with other settings ({', '.join(different)}); "
            "give those, or choose another folder"
        )
