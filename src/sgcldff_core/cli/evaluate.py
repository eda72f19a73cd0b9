"""``sgcldff evaluate``: figures of a model on annotated data sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from sgcldff_core.cli.console import progress_bar, say_error, stdout
from sgcldff_core.errors import ConfigError, DataError
from sgcldff_core.files import write_json

if TYPE_CHECKING:
    from sgcldff_core.evaluation.assessment import Assessment, ImageAssessment
    from sgcldff_core.sample import Sample

__all__ = ["evaluate", "samples_of"]

_SPLITS = ("all", "train", "val", "test")


def evaluate(
    datasets: Annotated[list[Path], typer.Argument(metavar="DATASET...", help="Annotated folders or COCO files.")],
    model: Annotated[str | None, typer.Option("--model", metavar="M", help="Name or folder; the shipped one.")] = None,
    split: Annotated[
        str, typer.Option("--split", metavar="S", help="all, train, val (what the model held out) or test.")
    ] = "all",
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write every figure.")] = None,
    diameter: Annotated[float | None, typer.Option("--diameter", metavar="PX", help="Not estimated.")] = None,
    flips: Annotated[bool, typer.Option("--flips", help="Average over mirror images; slower.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Measure the explanations of cells instead; slow.")
    ] = False,
    methods: Annotated[
        list[str] | None, typer.Option("--method", metavar="M", help="With --explain: only this one; repeatable.")
    ] = None,
    levels: Annotated[
        list[str] | None,
        typer.Option("--level", metavar="L", help="With --method: fused, image, or a stride; repeatable."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="With --explain: without deletion and insertion, which take longest.")
    ] = False,
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="N", help="With --explain: N images a source, drawn by a fixed seed."),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="With --explain: write the tables.")
    ] = None,
) -> None:
    """Measure a model on annotated images, each predicted just as 'predict' does it.

    With --explain: where the maps of evidence of each found cell lie against its annotated outline,
    its nucleus and the saliency prior, and what becomes of its class when pixels are deleted or
    inserted in their order; for every method of 'explain' and three controls, or those named.

    Exit code 0: all well; 1: some images could not be used, and are named.
    """
    if explain:
        from sgcldff_core.cli.explanation_figures import measure_explanations

        measure_explanations(datasets, model, split, methods, levels, json_file, markdown, quick=quick, count=sample)
    if methods or levels or quick or sample or markdown:
        raise ConfigError("--method, --level, --quick, --sample and --markdown go with --explain; add it")
    from sgcldff_core.evaluation.assessment import assess, summarise
    from sgcldff_core.inference.engines import with_engine
    from sgcldff_core.model import load_model

    judged = with_engine(load_model(model))
    samples, problems = samples_of(datasets, split, judged.training.get("validation_groups", ()))
    images: list[ImageAssessment] = []
    with progress_bar() as bar:
        for annotated in bar.track(samples, description="evaluating"):
            try:
                images += assess([annotated], judged, diameter=diameter, flips=flips)
            except DataError as error:
                problems.append(str(error))
    sources = sorted({i.source for i in images})
    summaries = {source: summarise([i for i in images if i.source == source]) for source in sources}
    if len(sources) > 1:
        summaries["all"] = summarise(images)
    _show(summaries, judged.name, split)
    if json_file is not None:
        _write(json_file, judged.name, judged.sha256, split, summaries, images)
    for problem in problems:
        say_error(problem)
    raise typer.Exit(1 if problems else 0)


def samples_of(paths: Sequence[Path], split: str, held_out: Sequence[str]) -> tuple[list[Sample], list[str]]:
    """Return the annotated samples of a split, each once, and what could not be used.

    Parameters
    ----------
    paths : sequence of Path
        Data sets.
    split : str
        all, train, val or test.
    held_out : sequence of str
        Groups that the model held out.

    Raises
    ------
    ConfigError
        If the split is unknown, or has no annotated image.
    """
    from sgcldff_core.datasets import open_dataset
    from sgcldff_core.training.split import without_copies

    if split not in _SPLITS:
        raise ConfigError(f"unknown split {split!r}; known are {', '.join(_SPLITS)}")
    datasets = [open_dataset(path) for path in paths]
    samples = without_copies([s for dataset in datasets for s in dataset])
    problems = [f"{p.path}: {p.problem}" for dataset in datasets for p in dataset.report if p.unusable]
    if split == "test":
        samples = [s for s in samples if s.split == "test"]
    elif split != "all":
        held = set(held_out)
        samples = [s for s in samples if s.split != "test" and (s.group in held) == (split == "val")]
    samples = [s for s in samples if s.kinds]
    if not samples:
        raise ConfigError(f"no annotated image in split {split!r} of {', '.join(map(str, paths))}")
    return samples, problems


def _show(summaries: Mapping[str, Assessment], model: str, split: str) -> None:
    from sgcldff_core.evaluation.assessment import MISSED
    from sgcldff_core.evaluation.result_tables import TITLES

    table = Table(title=f"model {model}, split {split}", title_justify="left")
    table.add_column("")
    for source, summary in summaries.items():
        table.add_column(f"{source} ({summary.images})", justify="right")
    for key, title in TITLES.items():
        if any(key in s.figures for s in summaries.values()):
            digits = 0 if key == "cells_named" else 3
            table.add_row(
                title, *(f"{s.figures[key]:.{digits}f}" if key in s.figures else "" for s in summaries.values())
            )
    stdout.print(table)
    last = list(summaries.values())[-1]
    if last.confusion:
        confusion = Table(title="classes: rows annotated, columns found", title_justify="left")
        for label in ("", *last.labels, MISSED):
            confusion.add_column(label, justify="right" if label else "left")
        for label, row in zip(last.labels, last.confusion, strict=False):
            confusion.add_row(label, *map(str, row))
        stdout.print(confusion)


def _write(
    path: Path,
    model: str,
    sha256: str,
    split: str,
    summaries: Mapping[str, Assessment],
    images: Sequence[ImageAssessment],
) -> None:
    from dataclasses import asdict

    report: dict[str, Any] = {
        "model": model,
        "sha256": sha256,
        "split": split,
        "summary": {source: s.to_dict() for source, s in summaries.items()},
        "images": [asdict(i) for i in images],
    }
    write_json(path, report)
