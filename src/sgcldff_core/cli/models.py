"""``sgcldff models``: the models that there are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from sgcldff_core.cli.atlas import atlas_command
from sgcldff_core.cli.console import stdout
from sgcldff_core.cli.trust import trust_command

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="List models, look at one, or add one.")


@app.command("list")
def list_command() -> None:
    """List the shipped models and your own."""
    from sgcldff_core.errors import CorruptModelError
    from sgcldff_core.model import DEFAULT_MODEL, available_models
    from sgcldff_core.model.checkpoint import describe

    table = Table()
    table.add_column("name", no_wrap=True)
    for title in ("classes", "cell diameter", "folder"):
        table.add_column(title, overflow="fold")
    for name, folder in available_models().items():
        try:
            config = describe(folder)["config"]
            facts = (", ".join(config["classes"]), f"{config['canonical_diameter']:g} px")
        except (CorruptModelError, KeyError):
            facts = ("damaged: see sgcldff models info", "")
        table.add_row(f"{name} (default)" if name == DEFAULT_MODEL else name, *facts, str(folder))
    stdout.print(table)


@app.command("info")
def info_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model's name, or its folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Show what a model is, what it was trained on, and how well it does; its weights are checked."""
    from sgcldff_core.model import find_model, load_model
    from sgcldff_core.model.checkpoint import describe

    folder = find_model(name)
    description = describe(folder)
    model = load_model(folder)
    if as_json:
        stdout.print_json(json.dumps(description))
        return
    facts = {
        "folder": str(folder),
        "sha256": model.sha256,
        "classes": ", ".join(model.config.classes),
        "cell diameter": f"{model.config.canonical_diameter:g} px",
        "saliency prior": model.config.prior,
        "parameters": f"{sum(p.numel() for p in model.network.parameters()):,}",
        "calibration": _listed(model.calibration),
        **{f"metrics, {split}": _listed(figures) for split, figures in model.metrics.items()},
        **{f"training, {key}": _listed(value) for key, value in model.training.items()},
    }
    table = Table(show_header=False, title=model.name)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for key, value in facts.items():
        table.add_row(key, value)
    stdout.print(table)


@app.command("add")
def add_command(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A model's folder.")],
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="What to call it.")] = None,
) -> None:
    """Copy a model into your own folder of models, after checking it, so that its name is enough."""
    from sgcldff_core.model import add_model

    target = add_model(path, name)
    stdout.print(f"{target.name}: added, in {target}", markup=False, soft_wrap=True)


@app.command("calibrate")
def calibrate_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model's name, or its folder.")],
    trials: Annotated[
        list[Path],
        typer.Argument(
            metavar="TRIAL...", help="Folders of a cross-validation's finished trials, DIR/seed<S>/fold<K>."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the calibrated model.")],
) -> None:
    """Fit sets of classes, for 'predict --sets', on cells that sisters of the model had not learned from.

    A model that learned from every image has none left to be fitted on. The networks of a
    cross-validation by the same recipe have, and stand in for it.
    """
    from sgcldff_core.evaluation.conformal import with_class_sets
    from sgcldff_core.evaluation.named_cells import named_cells
    from sgcldff_core.evaluation.trial import read_trial
    from sgcldff_core.model import load_model, save_model

    cells = named_cells(image for trial in trials for image in read_trial(trial).images)
    calibrated = with_class_sets(load_model(name), cells)
    save_model(calibrated, out)
    stdout.print(
        f"{out.name}: fitted on {len(cells.keys)} cells; {_listed(calibrated.calibration)}",
        markup=False,
        soft_wrap=True,
    )


app.command("atlas")(atlas_command)
app.command("trust")(trust_command)


def _listed(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_listed(part)}" for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return f"{len(value)} entries" if len(value) > 12 else ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
