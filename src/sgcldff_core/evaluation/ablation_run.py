"""One trial of an ablation, from its row's settings to what its network makes of the prior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sgcldff_core.evaluation.ablation import row_config
from sgcldff_core.evaluation.ablation_guidance import measured_guidance
from sgcldff_core.evaluation.ablation_plan import PlannedTrial, few_with_masks
from sgcldff_core.evaluation.trial import Trial, run_trial

if TYPE_CHECKING:
    from sgcldff_core.training import TrainingConfig

__all__ = ["run_planned"]


def run_planned(
    trial: PlannedTrial,
    config: TrainingConfig,
    out: Path,
    *,
    few: int | None = None,
    report: Callable[[str, float], None] | None = None,
) -> Trial:
    """Train and judge one network; what is done already is not done again.

    Parameters
    ----------
    trial : PlannedTrial
        Row, seed and images.
    config : TrainingConfig
        The whole recipe; its seed is not used.
    out : Path
        The ablation's folder.
    few : int, optional
        Learn from so many of the images with masks and from no other. With one seed all rows learn
        from the same ones.
    report : callable, optional
        As for `run_trial`.

    Returns
    -------
    Trial
        As judged.

    Raises
    ------
    ConfigError
        If the row is not possible, or there are not so many images with masks.
    """
    settings = row_config(trial.row, replace(config, seed=trial.seed))
    learned = trial.part.learned if few is None else few_with_masks(trial.part.learned, few, trial.seed)
    done = run_trial(learned, trial.part.judged, settings, trial.folder(out), report=report)
    if any(s.labels is not None for s in trial.part.judged):
        measured_guidance(done.folder, trial.part.judged)
    return done
