"""``sgcldff evaluate --explain``: figures of explanations on annotated data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.table import Table

from sgcldff_core.cli.console import progress_bar, say_error, stdout
from sgcldff_core.errors import ConfigError, DataError
from sgcldff_core.files import write_json, written_atomically

if TYPE_CHECKING:
    from sgcldff_core.evaluation.explanation_figures import ImageExplanations, Row
    from sgcldff_core.model import Model
    from sgcldff_core.sample import Sample

__all__ = ["measure_explanations", "read_level"]

_SHOWN = ("energy", "gain", "pointing", "iou", "deletion", "insertion")


def measure_explanations(
    datasets: Sequence[Path],
    model: str | None,
    split: str,
    methods: Sequence[str] | None,
    levels: Sequence[str] | None,
    json_file: Path | None,
    markdown: Path | None,
    *,
    quick: bool,
    count: int | None,
) -> NoReturn:
    """Explain every cell that is found in annotated images, show the figures, and leave.

    Parameters
    ----------
    datasets, model, split, methods, levels, json_file, markdown, quick
        As ``sgcldff evaluate`` takes them.
    count : int or None
        Images of each source, drawn by a fixed seed; all of them by default.

    Raises
    ------
    typer.Exit
        Always: 0 all well, 1 some images could not be used.
    ConfigError
        If a method, level or split is unknown, or no image has masks.
    """
    from sgcldff_core.cli.evaluate import samples_of
    from sgcldff_core.evaluation.explanation_figures import measure_sample
    from sgcldff_core.evaluation.explanation_table import explanation_json, explanation_markdown
    from sgcldff_core.model import load_model

    judged = load_model(model)
    rows = _rows(judged, methods, levels, quick)
    samples, problems = samples_of(datasets, split, judged.training.get("validation_groups", ()))
    outlined = [sample for sample in samples if sample.labels is not None]
    if not outlined:
        raise ConfigError(f"no image in split {split!r} has masks, against which maps could be held")
    if count is not None:
        outlined = _drawn(outlined, count)
    images: list[ImageExplanations] = []
    with progress_bar() as bar:
        for sample in bar.track(outlined, description="explaining"):
            try:
                images.append(measure_sample(sample, judged, rows))
            except DataError as error:
                problems.append(str(error))
    _show(images, rows, judged.name, split)
    told = {"model": judged.name, "sha256": judged.sha256, "split": split}
    if json_file is not None:
        write_json(json_file, told | explanation_json(images, rows))
    if markdown is not None:
        with written_atomically(markdown) as draft:
            title = f"# Explanations of {judged.name}, split {split}\n\n"
            draft.write_text(title + explanation_markdown(images, rows), encoding="utf-8")
    for problem in problems:
        say_error(problem)
    raise typer.Exit(1 if problems else 0)


def read_level(name: str) -> int | None:
    """Return the stride that a level's name on the command line stands for; None for the fused map.

    Raises
    ------
    ConfigError
        If it is neither ``fused``, ``image`` nor a whole number.
    """
    named = {"fused": None, "image": 1}
    if name in named:
        return named[name]
    if not name.isdecimal() or int(name) < 2:
        raise ConfigError(f"level must be fused, image, or the stride of a level such as 16, got {name!r}")
    return int(name)


def _rows(model: Model, methods: Sequence[str] | None, levels: Sequence[str] | None, quick: bool) -> tuple[Row, ...]:
    from sgcldff_core.evaluation.explanation_figures import CONTROLS, USUAL_ROWS, parse_rows
    from sgcldff_core.inference.cell_subjects import level_index
    from sgcldff_core.inference.explain_field import check_method

    if not methods and levels:
        raise ConfigError("--level goes with --method; name the method too")
    deepest = model.config.deepest
    if not methods:
        usual = [row for row in USUAL_ROWS if row.level is None or row.level <= deepest]
        return tuple(replace(row, faithful=row.faithful and not quick) for row in usual)
    rows = parse_rows(methods, [read_level(level) for level in levels or ["fused"]])
    for row in rows:
        if row.method not in CONTROLS:
            check_method(row.method, row.level)
            level_index(row.level, 4 if deepest == 32 else 3)
    return tuple(replace(row, faithful=not quick) for row in rows)


def _drawn(samples: Sequence[Sample], count: int) -> list[Sample]:
    """Return some samples of each source, always the same ones, in their order."""
    if count < 1:
        raise ConfigError(f"--sample must be at least 1, got {count}")
    chosen: set[str] = set()
    for source in {sample.source for sample in samples}:
        names = sorted(sample.name for sample in samples if sample.source == source)
        chosen |= set(Random(0).sample(names, min(count, len(names))))
    return [sample for sample in samples if sample.name in chosen]


def _show(images: Sequence[ImageExplanations], rows: Sequence[Row], model: str, split: str) -> None:
    from sgcldff_core.evaluation.explanation_figures import CONTROLS
    from sgcldff_core.evaluation.explanation_table import COLUMNS, confined, level_name, row_means

    for source in sorted({image.source for image in images}):
        own = [image for image in images if image.source == source]
        table = Table(title=f"{source} ({len(own)}), model {model}, split {split}", title_justify="left")
        table.add_column("", no_wrap=True)
        for name in _SHOWN:
            table.add_column(COLUMNS[name], justify="right")
        for row in rows:
            means = row_means([cell for image in own for cell in image.cells[row]])
            entries = [f"{means[name]:.3f}" if name in means else "" for name in _SHOWN]
            if confined(row):
                entries[0] = f"({entries[0]})"
            place = [] if row.method in CONTROLS else [level_name(row.level), row.target]
            table.add_row(", ".join([row.method, *place]), *entries)
        stdout.print(table)
    stdout.print("(energy): the map is zero wherever the score does not look, so that this could hardly fail")
