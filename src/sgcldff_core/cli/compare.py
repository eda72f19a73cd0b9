"""``sgcldff compare``: our network beside what a user would pick instead."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from sgcldff_core.cli.console import progress_bar, say_error, stderr, stdout
from sgcldff_core.cli.fold_parts import folds_of, title_of, wanted_names
from sgcldff_core.errors import ConfigError, SgcldffError

if TYPE_CHECKING:
    from sgcldff_core.evaluation.ablation_plan import Part
    from sgcldff_core.evaluation.comparison_table import MethodResult
    from sgcldff_core.sample import Sample

__all__ = ["compare"]


def compare(
    datasets: Annotated[list[Path], typer.Argument(metavar="DATASET...", help="Annotated folders or COCO files.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Gets a folder for each method; made if missing.")],
    config: Annotated[
        Path | None, typer.Option("--config", metavar="TOML", help="Our recipe; unnamed settings keep their default.")
    ] = None,
    folds: Annotated[
        Path | None, typer.Option("--folds", metavar="FILE", help="Folds as 'crossval' writes them; else DIR's own.")
    ] = None,
    fold: Annotated[
        list[int] | None, typer.Option("--fold", metavar="K", help="Judge this fold; may be repeated. Default: 0.")
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option("--methods", metavar="NAME,...", help="Only these; may be repeated. Default: all."),
    ] = None,
    table_only: Annotated[bool, typer.Option("--table-only", help="Train nothing; tabulate what is finished.")] = False,
) -> None:
    """Train our network and others on the same images, and table how they do and what they cost.

    All have the same folds, augmentation and budget. The others: U-Net with ResNet-34 and with
    EfficientNet-Lite0, DeepLabV3+ with MobileNetV2, Swin-T with FPN (from the package
    segmentation-models-pytorch), a pipeline of thresholds and watershed, and our small network.

    DIR gets METHOD/foldK with model and figures, costs.json, compare.json and compare.md. The same
    command goes on where it was stopped. Several processes may share one DIR: give each of them
    other --methods.

    Exit code 0: all well; 1: some methods or images failed, and are named.
    """
    from sgcldff_core.evaluation.comparison import METHODS, method_config, run_method
    from sgcldff_core.evaluation.comparison_cost import kept_costs
    from sgcldff_core.evaluation.comparison_table import compare_trials, write_comparison
    from sgcldff_core.training import TrainingConfig, read_annotated, read_training_config

    recipe = read_training_config(config) if config else TrainingConfig()
    chosen = wanted_names(methods) or list(METHODS)
    for name in chosen:
        method_config(name, recipe)  # refuse what cannot be before anything is trained
    everything, unusable = read_annotated(datasets)
    parts = _parts([s for s in everything if s.split != "test" and s.kinds], out, folds, fold or ())
    title = title_of(parts, recipe, what="network")
    problems = [str(failure) for failure in unusable]
    wanted = [] if table_only else [(m, part) for m in METHODS if m in chosen for part in parts]
    with progress_bar() as bar:
        task = bar.add_task("comparison", total=len(wanted))
        for number, (method, part) in enumerate(wanted):
            stderr.print(f"{method}, {part.name} ({number + 1} of {len(wanted)})")

            def show(what: str, share: float, at: int = number, name: str = f"{method}, {part.name}") -> None:
                bar.update(task, completed=at + share, description=f"{name}: {what}")

            try:
                problems += run_method(method, part, recipe, out, report=show).failures
            except SgcldffError as error:
                problems.append(f"{method}, {part.name}: {error}")  # one row less; the others are worth having
        bar.update(task, total=None, description="measuring costs")
        listed = [m for m in METHODS if m in chosen or any((out / m / p.name).is_dir() for p in parts)]
        try:
            costs = kept_costs(listed, recipe, out)
        except ConfigError as error:
            costs = {}
            problems.append(f"costs were not measured: {error}")
    results = compare_trials(listed, parts, recipe, out, costs)
    write_comparison(results, out, title, recipe.to_dict())
    _show(results, title)
    stdout.print(f"differences to ours with intervals are in {out / 'compare.md'}", soft_wrap=True)
    for problem in dict.fromkeys(problems):
        say_error(problem)
    raise typer.Exit(1 if problems else 0)


def _parts(samples: Sequence[Sample], out: Path, folds: Path | None, chosen: Sequence[int]) -> list[Part]:
    from sgcldff_core.evaluation.ablation_plan import parts_of_folds

    if not samples:
        raise ConfigError("no annotated image outside of published test splits; there is nothing to compare on")
    return parts_of_folds(samples, folds_of(samples, out, folds), sorted(set(chosen)) or [0])


def _show(results: Sequence[MethodResult], title: str) -> None:
    from sgcldff_core.evaluation.comparison import METHODS
    from sgcldff_core.evaluation.comparison_table import COST_TITLES, FIGURES, columns_of, cost_cells

    columns = columns_of(results)
    figures, costs = (Table(title=name, title_justify="left", box=SIMPLE_HEAD) for name in (title, "one field costs"))
    for table, headings in ((figures, [f"{FIGURES[n]}, {source}" for source, n in columns]), (costs, COST_TITLES)):
        table.add_column("")
        for heading in headings:
            # One word a line, so that eight figures fit on a narrow screen.
            table.add_column(heading.replace(",", "").replace(" ", "\n"), justify="right", no_wrap=True)
    for r in results:
        name = METHODS[r.name].title + ("" if r.finished == r.planned else f" ({r.finished} of {r.planned} trials)")
        values = (r.figures.get(source, {}).get(n) for source, n in columns)
        figures.add_row(name, *("" if value is None else f"{value:.3f}" for value in values))
        costs.add_row(METHODS[r.name].title, *cost_cells(r.cost))
    stdout.print(figures, costs)
