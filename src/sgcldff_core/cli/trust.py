"""``sgcldff models trust``: fit what tells doubtful cells and strange images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sgcldff_core.cli.console import progress_bar, stdout
from sgcldff_core.errors import ConfigError

__all__ = ["trust_command"]


def trust_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model's name, or its folder.")],
    datasets: Annotated[list[Path], typer.Argument(metavar="DATASET...", help="What it was trained on.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the model with what was fitted.")],
    sisters: Annotated[
        list[str] | None,
        typer.Option(
            "--sister",
            metavar="MODEL",
            help="A model that did not learn from all of it; repeatable.",
        ),
    ] = None,
    share: Annotated[
        float, typer.Option("--share", metavar="S", help="Of cells to be looked at, between 0 and 1.")
    ] = 0.2,
) -> None:
    """Fit which cells need review, and what is unlike the images that a model learned from.

    From the data sets come the stains and looks that the model knows: what is far from them is
    flagged. Without --sister no more is fitted. A sister is a model by the same recipe of which the
    data sets hold images that it did not learn from: its mistakes on them, as they are and
    degraded, teach which evidence goes with a wrong class and with a bad outline. Held out is the
    fold that a sister judged, if it is a trial of 'sgcldff crossval', else what its model.json notes
    as held out. Cells as they are, found by sisters with the settings of NAME, set the cut-off. If
    NAME has an atlas, each sister gets one of what it learned from.
    """
    from sgcldff_core.evaluation.trust import held_out_cells, held_out_groups, with_known_images, with_review
    from sgcldff_core.model import find_model, load_model, save_parts
    from sgcldff_core.training import read_annotated

    if not 0 < share < 1:
        raise ConfigError(f"--share is between 0 and 1, got {share}")
    folder = find_model(name)
    model = load_model(folder)
    places = [find_model(sister) for sister in sisters or ()]
    judges = [load_model(place) for place in places]
    samples, _ = read_annotated(datasets)
    own = set(model.training.get("validation_groups", ()))
    with progress_bar() as bar:
        task = bar.add_task("", total=None)

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        model = with_known_images(model, [s for s in samples if s.group not in own], report)
        if judges:
            sisters_held = [(judge, held_out_groups(place, judge)) for place, judge in zip(places, judges, strict=True)]
            model = with_review(model, held_out_cells(model, sisters_held, samples, report), share)
    save_parts(model, folder, out)
    record = {} if model.review is None else {k: v for k, v in model.review.fitted_on.items() if k != "group_names"}
    fitted = f"; review: {record}" if judges else ""
    stains = ", ".join(stain.name for stain in model.known_stains.stains) if model.known_stains else ""
    stdout.print(f"{out.name}: knows the stains of {stains}{fitted}", markup=False, soft_wrap=True)
    noted = model.training["stains"]
    if left := sorted({s.source for s in samples} - set(noted)):
        why = "none of the images shows both stained cells and empty slide"
        stdout.print(f"nothing can be brought to the stain of {', '.join(left)}: {why}", markup=False, soft_wrap=True)
