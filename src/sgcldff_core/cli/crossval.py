"""``sgcldff crossval``: figures that every image has a part in, judged by a network that never saw it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from sgcldff_core.cli.console import progress_bar, say_error, stderr, stdout
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from sgcldff_core.evaluation.crossval import Plan
    from sgcldff_core.evaluation.crossval_figures import Scope
    from sgcldff_core.evaluation.folds import Folds
    from sgcldff_core.sample import Sample

__all__ = ["crossval"]


def crossval(
    datasets: Annotated[list[Path], typer.Argument(metavar="DATASET...", help="Annotated folders or COCO files.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="For trials, tables and pictures.")],
    folds: Annotated[
        str, typer.Option("--folds", metavar="FILE_OR_COUNT", help="Folds from a file, or how many to make.")
    ] = "5",
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="Networks that judge each image.")] = 1,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="TOML", help="Settings; unnamed ones keep their default.")
    ] = None,
    fold: Annotated[
        list[int] | None,
        typer.Option("--fold", metavar="K", help="Do only this one, from 0; repeatable. Others may run elsewhere."),
    ] = None,
    diameter: Annotated[float | None, typer.Option("--diameter", metavar="PX", help="Not estimated.")] = None,
    flips: Annotated[bool, typer.Option("--flips", help="Average over mirror images; slower.")] = False,
) -> None:
    """Train on all folds but one, judge on that one, and so on through all of them.

    Trials are kept in DIR/seed<S>/fold<K>. Started again, the command goes on where it was stopped.
    Once all are there it writes crossval.json, crossval.md, confusion.png, reliability.png and
    worst.png. Test splits that a data set publishes are left out.

    Exit code 0: all well; 1: some images could not be used, and are named.
    """
    from sgcldff_core.evaluation.assessment import summarise
    from sgcldff_core.evaluation.crossval import Plan, finished, run_trials
    from sgcldff_core.evaluation.crossval_figures import scopes
    from sgcldff_core.evaluation.crossval_report import write_report
    from sgcldff_core.training import TrainingConfig, read_annotated, read_training_config

    settings = read_training_config(config) if config else TrainingConfig()
    everything, unusable = read_annotated(datasets)
    samples, notes = _may_be_judged(everything)
    for note in notes:
        stdout.print(note, soft_wrap=True)
    plan = Plan(tuple(samples), _folds(folds, samples, out), settings, out, seeds, diameter, flips)
    with progress_bar() as bar:
        task = bar.add_task("", total=len(plan.trials))

        def show(seed: int, number: int, what: str, share: float) -> None:
            bar.update(task, description=f"seed {seed}, fold {number}: {what} {share:4.0%}")

        for seed, number, trial in run_trials(plan, fold or (), report=show):
            figures = summarise(trial.images).figures
            line = ", ".join(f"{k.replace('_', ' ')} {figures[k]:.3f}" for k in ("iou", "accuracy") if k in figures)
            stdout.print(f"seed {seed}, fold {number}: {len(trial.images)} images, {line}", soft_wrap=True)
            bar.advance(task)
    result = finished(plan)
    failures = list(dict.fromkeys([*map(str, unusable), *result.failures]))
    if result.complete:
        with progress_bar() as bar:
            task = bar.add_task("drawing", total=None)

            def drawn(share: float) -> None:
                bar.update(task, completed=share, total=1)

            found = write_report(plan, result, notes, failures, report=drawn)
        stdout.print(f"tables and pictures are in {out}", soft_wrap=True)
    else:
        found = scopes(result)
        stderr.print(f"{len(result.trials)} of {len(plan.trials)} trials are done; the report waits for the others")
    _show(found, plan, len(result.trials))
    for failure in failures:
        say_error(failure)
    raise typer.Exit(1 if failures else 0)


def _may_be_judged(samples: Sequence[Sample]) -> tuple[list[Sample], list[str]]:
    """Part off published test splits, which are for another day, and images of which nothing is known."""
    kept = [s for s in samples if s.split != "test" and s.kinds]
    tests = Counter(s.source for s in samples if s.split == "test")
    bare = Counter(s.source for s in samples if s.split != "test" and not s.kinds)
    notes = [f"Left out: the published test split of {source} ({n} images)." for source, n in sorted(tests.items())]
    notes += [f"Left out: {n} images of {source} without any annotation." for source, n in sorted(bare.items())]
    if not kept:
        raise ConfigError("no annotated image outside of published test splits; nothing can be cross-validated")
    return kept, notes


def _folds(wanted: str, samples: Sequence[Sample], out: Path) -> Folds:
    from sgcldff_core.evaluation.crossval import FOLDS
    from sgcldff_core.evaluation.folds import make_folds, read_folds

    if not wanted.isdecimal():
        return read_folds(wanted)
    kept = out / FOLDS
    folds = read_folds(kept) if kept.exists() else make_folds(samples, int(wanted))
    if folds.count != int(wanted):
        raise ConfigError(f"{out} holds {folds.count} folds, not {wanted}; choose another --out")
    return folds


def _show(found: Sequence[Scope], plan: Plan, done: int) -> None:
    from sgcldff_core.evaluation.result_tables import TITLES

    title = f"mean over {plan.folds.count} folds; their spread and intervals are in crossval.md"
    if done < len(plan.trials):
        title = f"mean so far, {done} of {len(plan.trials)} trials"
    # Spare lines, so that four sources are still told apart on a terminal of 80 columns.
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("", no_wrap=True)
    for scope in found:
        table.add_column(f"{scope.name}\n({scope.images})", justify="right")
    for name, label in TITLES.items():
        entries = [_entry(scope, name) for scope in found]
        if any(entries):
            table.add_row(label, *entries)
    stdout.print(table)


def _entry(scope: Scope, name: str) -> str:
    if name not in scope.folds:
        return ""
    # What is counted is not averaged.
    return f"{scope.figures[name].value:.0f}" if name == "cells_named" else f"{scope.folds[name].mean:.3f}"
