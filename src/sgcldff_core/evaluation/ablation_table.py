"""The figures of an ablation, made from the trials that are finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sgcldff_core.evaluation.ablation import FULL, ROWS
from sgcldff_core.evaluation.ablation_guidance import GUIDANCE, Guidance, read_guidance
from sgcldff_core.evaluation.assessment import ImageAssessment, summarise
from sgcldff_core.evaluation.result_tables import by_source, differences_by_source
from sgcldff_core.evaluation.trial import JUDGED, read_trial

if TYPE_CHECKING:
    from sgcldff_core.evaluation.ablation_plan import PlannedTrial
    from sgcldff_core.evaluation.intervals import Difference

__all__ = ["FIGURES", "RowResult", "tabulate"]

FIGURES: Mapping[str, str] = {
    "iou": "IoU",
    "nucleus_iou": "nucleus IoU",
    "accuracy": "class accuracy",
    "macro_f1": "macro-F1",
    "right_count": "right count",
    "calibration_error": "calibration error",
}
"""Figures of the table, which are some of those of `summarise`, and their titles."""


@dataclass(frozen=True, slots=True)
class RowResult:
    """What is known of one row.

    Attributes
    ----------
    name : str
        A key of `ROWS`.
    planned : int
        Networks of this row, over seeds and parts.
    finished : int
        How many of them are judged.
    seeds : tuple of int
        Those of which every part is judged: figures are theirs alone.
    figures : mapping of str to mapping of str to float
        Source (and ``"all"``), then figure, mean over seeds; empty where no seed is finished.
    spread : mapping of str to mapping of str to float
        Likewise the standard deviation over seeds; empty with fewer than two.
    differences : mapping of str to mapping of str to Difference
        Likewise this row minus the full one; empty for that row, or where either is not finished.
    guidance : tuple of Guidance
        Of each finished network that could be looked into.
    """

    name: str
    planned: int
    finished: int
    seeds: tuple[int, ...]
    figures: Mapping[str, Mapping[str, float]]
    spread: Mapping[str, Mapping[str, float]]
    differences: Mapping[str, Mapping[str, Difference]]
    guidance: tuple[Guidance, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with what the row is."""
        return {"title": ROWS[self.name].title, "explanation": ROWS[self.name].explanation} | asdict(self)


def tabulate(plan: Sequence[PlannedTrial], out: Path, draws: int = 2000) -> list[RowResult]:
    """Put together what is finished of an ablation.

    Parameters
    ----------
    plan : sequence of PlannedTrial
        All trials, of all rows.
    out : Path
        The ablation's folder.
    draws : int
        Bootstrap draws for the differences to the full recipe.

    Returns
    -------
    list of RowResult
        In the order of `ROWS`.

    Raises
    ------
    FormatError
        If a finished trial is damaged.
    """
    runs = {row: _finished_runs(plan, row, out) for row in ROWS if any(t.row == row for t in plan)}
    results = []
    for row, by_seed in runs.items():
        of_row = [t for t in plan if t.row == row]
        folders = [folder for t in of_row if ((folder := t.folder(out)) / JUDGED).is_file()]
        each = [_figures_by_source(run) for run in by_seed.values()]
        full = list(runs.get(FULL, {}).values())
        compared = row != FULL and bool(full) and bool(by_seed)
        results.append(
            RowResult(
                name=row,
                planned=len(of_row),
                finished=len(folders),
                seeds=tuple(by_seed),
                figures=_over_seeds(each, np.mean) if each else {},
                spread=_over_seeds(each, _deviation) if len(each) > 1 else {},
                differences=(
                    differences_by_source(list(by_seed.values()), full, FIGURES, draws, all_of_one=False)
                    if compared
                    else {}
                ),
                guidance=tuple(read_guidance(f) for f in folders if (f / GUIDANCE).is_file()),
            )
        )
    return results


def _finished_runs(plan: Sequence[PlannedTrial], row: str, out: Path) -> dict[int, list[ImageAssessment]]:
    """Return the images of each seed of which all parts are judged."""
    runs = {}
    for seed in sorted({t.seed for t in plan if t.row == row}):
        folders = [t.folder(out) for t in plan if t.row == row and t.seed == seed]
        if all((folder / JUDGED).is_file() for folder in folders):
            runs[seed] = [image for folder in folders for image in read_trial(folder).images]
    return runs


def _figures_by_source(images: Sequence[ImageAssessment]) -> dict[str, dict[str, float]]:
    return {
        source: {name: value for name, value in summarise(part).figures.items() if name in FIGURES}
        for source, part in by_source(images, all_of_one=False).items()
    }


def _over_seeds(
    each: Sequence[Mapping[str, Mapping[str, float]]], how: Callable[[list[float]], Any]
) -> dict[str, dict[str, float]]:
    # A figure that one network lacks, such as the calibration of cells that it missed, has no mean.
    return {
        source: {
            name: float(how([e[source][name] for e in each]))
            for name in figures
            if all(name in e.get(source, {}) for e in each)
        }
        for source, figures in each[0].items()
    }


def _deviation(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1))
