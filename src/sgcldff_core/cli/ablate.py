"""``sgcldff ablate``: what each part of the recipe is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from sgcldff_core.cli.console import progress_bar, say_error, stderr, stdout
from sgcldff_core.cli.fold_parts import folds_of, title_of, wanted_names
from sgcldff_core.errors import ConfigError, SgcldffError
from sgcldff_core.evaluation.ablation import PAPER_ROWS, ROWS

if TYPE_CHECKING:
    from sgcldff_core.evaluation.ablation_plan import Part
    from sgcldff_core.evaluation.ablation_table import RowResult
    from sgcldff_core.sample import Sample
    from sgcldff_core.training import TrainingConfig

__all__ = ["ablate"]


def ablate(
    datasets: Annotated[list[Path], typer.Argument(metavar="DATASET...", help="Annotated folders or COCO files.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Gets a folder for each row; made if missing.")],
    config: Annotated[
        Path | None, typer.Option("--config", metavar="TOML", help="The whole recipe; unnamed settings: defaults.")
    ] = None,
    rows: Annotated[
        list[str] | None,
        typer.Option("--rows", metavar="NAME,...", help=f"Train these rows only, of {', '.join(ROWS)}."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="Networks for each row and fold.")] = 1,
    paper_seeds: Annotated[
        int, typer.Option("--paper-seeds", metavar="N", help=f"For {', '.join(PAPER_ROWS)}, where that is more.")
    ] = 1,
    folds: Annotated[
        Path | None, typer.Option("--folds", metavar="FILE", help="Folds as 'crossval' writes them; else DIR's own.")
    ] = None,
    fold: Annotated[
        list[int] | None, typer.Option("--fold", metavar="K", help="Judge this fold; may be repeated. Default: 0.")
    ] = None,
    few: Annotated[
        int | None, typer.Option("--few", metavar="N", help="Learn from N images with masks, and from no other.")
    ] = None,
    judge_on: Annotated[
        list[str] | None,
        typer.Option("--judge-on", metavar="SOURCE", help="No folds: judge this source, learn from the others."),
    ] = None,
    learn_from: Annotated[
        list[str] | None,
        typer.Option("--learn-from", metavar="SOURCE", help="With --judge-on: learn from this source only."),
    ] = None,
    table_only: Annotated[bool, typer.Option("--table-only", help="Train nothing; tabulate what is finished.")] = False,
) -> None:
    """Train the recipe without each of its parts, and table what that costs.

    DIR gets ROW/seedS/foldK with model and figures, ablate.json and ablate.md, which are written anew
    after each network. The same command goes on where it was stopped. Several processes may share
    one DIR: give each of them other --rows; all else must be the same.

    Exit code 0: all well; 1: some networks or images failed, and are named.
    """
    from sgcldff_core.evaluation.ablation import choose_rows
    from sgcldff_core.evaluation.ablation_plan import claim_folder, plan_trials
    from sgcldff_core.evaluation.ablation_report import write_report
    from sgcldff_core.evaluation.ablation_run import run_planned
    from sgcldff_core.evaluation.ablation_table import tabulate
    from sgcldff_core.training import TrainingConfig, read_annotated, read_training_config

    recipe = read_training_config(config) if config else TrainingConfig()
    chosen, _ = choose_rows(wanted_names(rows), recipe)
    possible, skipped = choose_rows((), recipe)
    for why in skipped.values():
        stderr.print(f"skipped: {why}", markup=False, soft_wrap=True)
    everything, failures = read_annotated(datasets)
    samples = [s for s in everything if s.split != "test"]
    parts, origin = _parts(samples, out, folds, fold or (), judge_on or (), learn_from or ())
    settings = _settings(recipe, samples, few) | origin
    plan = plan_trials(possible, parts, seeds, paper_seeds)
    claim_folder(out, settings)
    some = "" if few is None else f"{few} images with masks of "
    title = title_of(parts, recipe, chosen=some, what="row")
    problems = [str(failure) for failure in failures]
    wanted = [] if table_only else [t for t in plan if t.row in chosen]
    with progress_bar() as bar:
        task = bar.add_task("ablation", total=len(wanted))
        for number, trial in enumerate(wanted):
            name = f"{trial.row}, seed {trial.seed}, {trial.part.name}"
            stderr.print(f"{name} ({number + 1} of {len(wanted)})")

            def show(what: str, share: float, at: int = number, name: str = name) -> None:
                bar.update(task, completed=at + share, description=f"{name}: {what}")

            try:
                problems += run_planned(trial, recipe, out, few=few, report=show).failures
            except SgcldffError as error:
                problems.append(f"{name}: {error}")  # one network less; the others are worth having
            else:
                write_report(tabulate(plan, out), out, title, settings)
    results = tabulate(plan, out)
    write_report(results, out, title, settings)
    _show(results, title)
    stdout.print(f"differences to the full recipe and the gates are in {out / 'ablate.md'}", soft_wrap=True)
    for problem in dict.fromkeys(problems):
        say_error(problem)
    raise typer.Exit(1 if problems else 0)


def _parts(
    samples: Sequence[Sample],
    out: Path,
    folds: Path | None,
    chosen: Sequence[int],
    judge_on: Sequence[str],
    learn_from: Sequence[str],
) -> tuple[list[Part], dict[str, Any]]:
    """Return what is learned from and judged, and how that is told from another ablation's."""
    from sgcldff_core.evaluation.ablation_plan import parts_across, parts_of_folds

    if learn_from and not judge_on:
        raise ConfigError("--learn-from goes with --judge-on; with folds all sources are learned from")
    if judge_on:
        if folds or chosen:
            raise ConfigError("--judge-on judges a source as a whole; leave out --folds and --fold")
        return parts_across(samples, judge_on, learn_from), {"folds": None, "learn_from": sorted(learn_from)}
    shared = folds_of(samples, out, folds)
    groups = {s.group: shared.fold_of_group.get(s.group) for s in samples}
    numbers = sorted(set(chosen)) or [0]
    return parts_of_folds(samples, shared, numbers), {"folds": groups, "learn_from": None}


def _settings(recipe: TrainingConfig, samples: Sequence[Sample], few: int | None) -> dict[str, Any]:
    import sgcldff_core
    from sgcldff_core.evaluation.run_settings import shared_settings

    images = dict(sorted(Counter(s.source for s in samples).items()))
    return {"version": sgcldff_core.__version__, "recipe": shared_settings(recipe), "images": images, "few": few}


def _show(results: Sequence[RowResult], title: str) -> None:
    from sgcldff_core.evaluation.ablation_report import table_columns, table_figure
    from sgcldff_core.evaluation.ablation_table import FIGURES

    columns = table_columns(results)
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("networks", justify="right")
    for source, name in columns:
        table.add_column(f"{FIGURES[name]}, {source}", justify="right")
    for r in results:
        figures = (table_figure(r, *column) for column in columns)
        table.add_row(ROWS[r.name].title, f"{r.finished} of {r.planned}", *figures)
    stdout.print(table)
