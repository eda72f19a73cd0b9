"""What a finished cross-validation leaves to read: tables, figures for programs, and pictures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any

from sgcldff_core.evaluation.assessment import MISSED
from sgcldff_core.evaluation.confusion import plot_confusion
from sgcldff_core.evaluation.crossval_figures import Scope, scopes
from sgcldff_core.evaluation.reliability import plot_reliability, reliability
from sgcldff_core.evaluation.result_tables import ALL, TITLES, table_head, table_row
from sgcldff_core.evaluation.sheets import Tile, draw_sheet, make_tile
from sgcldff_core.evaluation.worst import Case, confidently_wrong, worst_outlined
from sgcldff_core.files import written_atomically
from sgcldff_core.model import load_model

if TYPE_CHECKING:
    from sgcldff_core.evaluation.crossval import CrossValidation, Plan
    from sgcldff_core.evaluation.intervals import Interval

__all__ = ["crossval_markdown", "write_report"]

_OUTLINED, _WRONG = 6, 12
_RIGHT = "---:"
_PANEL = 10  # cells of known class that a source needs for panels of its own


def write_report(
    plan: Plan,
    result: CrossValidation,
    notes: Sequence[str] = (),
    failures: Sequence[str] = (),
    *,
    report: Callable[[float], None] | None = None,
) -> list[Scope]:
    """Write ``crossval.json``, ``crossval.md``, ``confusion.png``, ``reliability.png`` and ``worst.png``.

    Parameters
    ----------
    plan : Plan
        What was run; the files go to its folder.
    result : CrossValidation
        All of its trials.
    notes : sequence of str
        Sentences that a reader must know, such as what was left out.
    failures : sequence of str
        What could not be used, and why.
    report : callable, optional
        Called with the share of the pictures that is drawn: some images are predicted again for them.

    Returns
    -------
    list of Scope
        The figures that were written.
    """
    found = scopes(result)
    named = _drawn_by_class(found)
    pictures = []
    if named:
        plot_confusion(named, plan.folder / "confusion.png")
        cells = {
            s.name: [c for run in result.runs for i in run if s.name in (ALL, i.source) for c in i.classes]
            for s in named
        }
        plot_reliability({name: reliability(own) for name, own in cells.items()}, plan.folder / "reliability.png")
        pictures += ["confusion", "reliability"]
    rows = _worst(plan, result)
    shown = [case for cases in rows.values() for case in cases]
    if shown:
        say = report or (lambda _share: None)
        load = cache(lambda seed, fold: load_model(str(plan.folder_of(seed, fold))))
        drawn = count(1)

        def tile_of(case: Case) -> Tile:
            tile = make_tile(case, plan, load(case.seed, case.fold))
            say(next(drawn) / len(shown))
            return tile

        draw_sheet(rows, tile_of, plan.folder / "worst.png")
        pictures.append("worst")
    content = {
        "folds": plan.folds.count,
        "seeds": [plan.config.seed + s for s in range(plan.seeds)],
        "diameter": plan.diameter,
        "flips": plan.flips,
        "training": json.loads(json.dumps(plan.config.to_dict())),
        "notes": list(notes),
        "figures": {scope.name: scope.to_dict() for scope in found},
        "worst": {title: [asdict(case) for case in cases] for title, cases in rows.items()},
        "failures": list(failures),
    }
    with written_atomically(plan.folder / "crossval.json") as draft:
        draft.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    with written_atomically(plan.folder / "crossval.md") as draft:
        draft.write_text(crossval_markdown(plan, found, notes, failures, pictures), encoding="utf-8")
    return found


def crossval_markdown(
    plan: Plan, found: Sequence[Scope], notes: Sequence[str], failures: Sequence[str], pictures: Sequence[str]
) -> str:
    """Return the tables as Markdown, the centred disc in the first row.

    Parameters
    ----------
    plan : Plan
        What was run.
    found : sequence of Scope
        The figures.
    notes : sequence of str
        Sentences that a reader must know.
    failures : sequence of str
        What could not be used, and why.
    pictures : sequence of str
        Stems of the PNG files beside the text.
    """
    seeds = "1 seed" if plan.seeds == 1 else f"{plan.seeds} seeds"
    epochs, start = plan.config.epochs, plan.config.start
    lines = [
        "# Cross-validation",
        "",
        f"{plan.folds.count} folds, {seeds}; every image is judged by a network that saw nothing of its group. "
        f"{epochs} epochs from {start} weights; "
        + (f"diameter {plan.diameter:g} px given" if plan.diameter else "diameter estimated in each image")
        + (", mirror images averaged." if plan.flips else "."),
        *(f"\n{note}" for note in notes),
        "",
        "## Figures",
        "",
        "Pooled over the images of all folds, with the 95 % interval from 1000 bootstrap draws of images. "
        "Where no image went wrong the interval has no width, and few images say little all the same.",
        "",
        *_table(found, lambda s, name: _interval(s.figures.get(name), _digits(name))),
        "",
        f"Mean over the {plan.folds.count} folds ± their standard deviation.",
        "",
        *_table(found, lambda s, name: _spread(asdict(s.folds[name]), _digits(name)) if name in s.folds else ""),
    ]
    if plan.seeds > 1:
        lines += ["", f"Mean over {seeds} ± their standard deviation, each pooled over folds.", ""]
        lines += _table(found, lambda s, n: _spread(asdict(s.seeds[n]), _digits(n)) if n in s.seeds else "")
    for scope in _drawn_by_class(found):
        lines += ["", f"## Classes: {scope.name}", "", *_classes(scope), "", *_confusion(scope, plan.seeds)]
    for stem in pictures:
        lines += ["", f"![{stem}]({stem}.png)"]
    if failures:
        lines += ["", "## Not used", "", *(f"- {failure}" for failure in failures)]
    return "\n".join(lines) + "\n"


def _drawn_by_class(found: Sequence[Scope]) -> list[Scope]:
    """Leave out sources with a handful of cells: they are in the panel of all together."""
    return [s for s in found if s.confusion and (s is found[-1] or sum(s.cells.values()) >= _PANEL)]


def _worst(plan: Plan, result: CrossValidation) -> dict[str, list[Case]]:
    """Return the rows of the sheet; of several seeds the first one's."""
    first = plan.config.seed
    judged = [
        Case(seed, fold, image) for (seed, fold), t in result.trials.items() if seed == first for image in t.images
    ]
    rows = {f"{source}: lowest IoU": cases for source, cases in worst_outlined(judged, _OUTLINED).items()}
    wrong = confidently_wrong(judged, _WRONG)
    return rows | ({"confidently wrong: annotated → found (confidence)": wrong} if wrong else {})


def _table(found: Sequence[Scope], entry: Callable[[Scope, str], str]) -> list[str]:
    lines = table_head(["", *(f"{s.name} ({s.images})" for s in found)], _RIGHT)
    for name, title in TITLES.items():
        entries = [entry(scope, name) for scope in found]
        if any(entries):
            lines.append(table_row([title, *entries]))
    return lines


def _classes(scope: Scope) -> list[str]:
    lines = table_head(["class", "cells", "precision", "recall", "F1"], _RIGHT)
    for name, figures in scope.classes.items():
        lines.append(table_row([name, str(scope.cells[name]), *(_interval(figures[k], 3) for k in figures)]))
    return lines


def _confusion(scope: Scope, seeds: int) -> list[str]:
    over = "" if seeds == 1 else f", summed over {seeds} seeds"
    columns = ["missed" if c == MISSED else c for c in scope.columns]
    lines = [f"Rows annotated, columns found{over}.", "", *table_head(["", *columns], _RIGHT)]
    return lines + [
        table_row([label, *map(str, row)]) for label, row in zip(scope.labels, scope.confusion, strict=True)
    ]


def _digits(name: str) -> int:
    return 0 if name == "cells_named" else 3


def _interval(interval: Interval | None, digits: int) -> str:
    if interval is None or math.isnan(interval.value):
        return ""
    if digits == 0:
        return f"{interval.value:.0f}"
    if math.isnan(interval.low):
        return f"{interval.value:.{digits}f}"
    return f"{interval.value:.{digits}f} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"


def _spread(spread: Mapping[str, Any], digits: int) -> str:
    mean, deviation = spread["mean"], spread["deviation"]
    return f"{mean:.{digits}f}" + ("" if math.isnan(deviation) else f" ± {deviation:.{digits}f}")
