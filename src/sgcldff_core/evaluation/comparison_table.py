"""The comparison's table, made from the trials that are finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgcldff_core.evaluation.assessment import ImageAssessment, summarise
from sgcldff_core.evaluation.comparison import METHODS, OURS, trials_of
from sgcldff_core.evaluation.result_tables import (
    by_source,
    choose_columns,
    difference_rows,
    differences_by_source,
    table_head,
    table_row,
)
from sgcldff_core.files import write_json, written_atomically

if TYPE_CHECKING:
    from sgcldff_core.evaluation.ablation_plan import Part
    from sgcldff_core.evaluation.comparison_cost import Cost
    from sgcldff_core.evaluation.intervals import Difference
    from sgcldff_core.training import TrainingConfig

__all__ = [
    "COST_TITLES",
    "FIGURES",
    "MethodResult",
    "columns_of",
    "compare_trials",
    "cost_cells",
    "markdown",
    "write_comparison",
]

FIGURES: Mapping[str, str] = {
    "iou": "IoU",
    "nucleus_iou": "nucleus IoU",
    "right_count": "right count",
    "accuracy": "class accuracy",
    "macro_f1": "macro-F1",
    "calibration_error": "ECE",
}
"""Figures of the table, which are some of those of `summarise`, and their titles."""

COST_TITLES = ("parameters", "CPU time, ratio", "memory, MB")
"""Titles of what `cost_cells` returns."""


@dataclass(frozen=True, slots=True)
class MethodResult:
    """What is known of one method.

    Attributes
    ----------
    name : str
        A key of `METHODS`.
    planned, finished : int
        Trials.
    figures : mapping of str to mapping of str to float
        Source, and `ALL`, then figure, over the images of all finished trials.
    differences : mapping of str to mapping of str to Difference
        Likewise this method minus ours, over the images that both judged; empty for ours.
    cost : Cost or None
        None where it was not measured.
    failures : tuple of str
        Images that could not be used, and why.
    """

    name: str
    planned: int
    finished: int
    figures: Mapping[str, Mapping[str, float]]
    differences: Mapping[str, Mapping[str, Difference]]
    cost: Cost | None
    failures: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with what the method is."""
        method = METHODS[self.name]
        return {"title": method.title, "explanation": method.explanation} | asdict(self)


def compare_trials(
    methods: Sequence[str],
    parts: Sequence[Part],
    recipe: TrainingConfig,
    out: Path,
    costs: Mapping[str, Cost],
    *,
    draws: int = 2000,
) -> list[MethodResult]:
    """Put together what is finished of a comparison.

    Parameters
    ----------
    methods : sequence of str
        Names of methods.
    parts : sequence of Part
        Folds.
    recipe : TrainingConfig
        Ours.
    out : Path
        The comparison's folder.
    costs : mapping of str to Cost
        From `measure_costs`, of some methods.
    draws : int
        Bootstrap draws for the differences to ours.

    Returns
    -------
    list of MethodResult
        In the order of `METHODS`.
    """
    trials = {m: trials_of(m, parts, recipe, out) for m in METHODS if m in methods or m == OURS}
    images = {m: [i for t in done for i in t.images] for m, done in trials.items()}
    results = []
    for method in (m for m in METHODS if m in methods):
        judged, ours = images[method], images[OURS]
        results.append(
            MethodResult(
                name=method,
                planned=len(parts),
                finished=len(trials[method]),
                figures={source: _figures(i) for source, i in by_source(judged).items()},
                differences=differences_by_source([judged], [ours], FIGURES, draws) if method != OURS else {},
                cost=costs.get(method),
                failures=tuple(dict.fromkeys(f for t in trials[method] for f in t.failures)),
            )
        )
    return results


def columns_of(results: Sequence[MethodResult]) -> list[tuple[str, str]]:
    """Return source and figure of each column: IoU of each source, then the others over all images.

    Parameters
    ----------
    results : sequence of MethodResult
        All rows; a column is shown if one of them has its figure.
    """
    return choose_columns([r.figures for r in results], FIGURES)


def cost_cells(cost: Cost | None) -> list[str]:
    """Return a cost as text, one cell for each of the titles parameters, time and memory.

    Parameters
    ----------
    cost : Cost or None
        None where it was not measured: three empty cells.
    """
    if cost is None:
        return ["", "", ""]
    weights = f"{cost.parameters / 1e6:.2f} M" if cost.parameters else "none"
    return [weights, f"{cost.time_ratio:.2f}", "" if cost.memory_mb is None else f"{cost.memory_mb:.0f}"]


def markdown(results: Sequence[MethodResult], title: str) -> str:
    """Write the tables.

    Parameters
    ----------
    results : sequence of MethodResult
        From `compare_trials`.
    title : str
        What was learned from and judged, as a sentence.

    Returns
    -------
    str
        Markdown.
    """
    columns = columns_of(results)
    heads = [f"{FIGURES[name]}, {source}" for source, name in columns]
    lines = ["# Comparison", "", title, "", "## Figures", "", *table_head(["method", "trials", *heads])]
    for r in results:
        done = f"{r.finished}" if r.finished == r.planned else f"{r.finished} of {r.planned}"
        lines.append(table_row([METHODS[r.name].title, done, *(_figure(r, *c) for c in columns)]))
    lines += ["", "## Cost", "", *table_head(["method", *COST_TITLES])]
    lines += [table_row([METHODS[r.name].title, *cost_cells(r.cost)]) for r in results if r.cost]
    lines += [
        "",
        "Of one field of 640x480 px at the scale at which our network sees it. CPU time: one forward pass, the median "
        "of several in turns with the others, over that of ours; of the classical pipeline, outlining and measuring "
        "the cells. Memory: by how much the peak of a process that makes one pass lies above that of one that only "
        "loads the libraries.",
        "",
        "## Difference to ours",
        "",
        *table_head(["method", *heads]),
    ]
    lines += difference_rows([(METHODS[r.name].title, r.differences) for r in results], columns)
    lines += [
        "",
        "Method minus ours [95 % interval] p, from a paired bootstrap over images that both judged; below zero ours is "
        "larger. It tells what other images would do to the difference, not what other seeds would; p is not "
        "corrected for the number of methods. Bold: p below 0.05. For ECE less is better.",
        "",
        "## Methods",
        "",
        *(f"- **{METHODS[r.name].title}** (`{r.name}`): {METHODS[r.name].explanation}" for r in results),
    ]
    return "\n".join(lines) + "\n"


def write_comparison(results: Sequence[MethodResult], out: Path, title: str, settings: Mapping[str, Any]) -> None:
    """Write ``compare.json`` and ``compare.md``.

    Parameters
    ----------
    results : sequence of MethodResult
        From `compare_trials`.
    out : Path
        The comparison's folder.
    title : str
        What was learned from and judged, as a sentence.
    settings : mapping
        Our recipe, as plain JSON types.
    """
    content = {"title": title, "settings": dict(settings), "methods": {r.name: r.to_dict() for r in results}}
    write_json(out / "compare.json", content)
    with written_atomically(out / "compare.md") as draft:
        draft.write_text(markdown(results, title), encoding="utf-8")


def _figures(images: Sequence[ImageAssessment]) -> dict[str, float]:
    return {name: value for name, value in summarise(images).figures.items() if name in FIGURES}


def _figure(result: MethodResult, source: str, name: str) -> str:
    value = result.figures.get(source, {}).get(name)
    return "" if value is None else f"{value:.3f}"
