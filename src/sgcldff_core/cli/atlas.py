"""``sgcldff models atlas``: give a model cells to compare others with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sgcldff_core.cli.console import progress_bar, stdout
from sgcldff_core.errors import ConfigError

__all__ = ["atlas_command"]


def atlas_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model's name, or its folder.")],
    datasets: Annotated[list[Path], typer.Argument(metavar="DATASET...", help="Cells with outlines and classes.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the model with its atlas.")],
) -> None:
    """Give a model an atlas: measured cells of known class, which have half of the say in what others are.

    An atlas is made anew, of all the cells given. Images that the model notes as held out stay out
    of it, and so does the fold that it judged if it is a trial of 'sgcldff crossval', so that it can
    be judged on them. Weights are not touched.
    """
    from collections import Counter
    from dataclasses import replace

    from sgcldff_core.evaluation.atlas_cells import atlas_of
    from sgcldff_core.evaluation.trust import held_out_groups
    from sgcldff_core.inference import with_engine
    from sgcldff_core.model import find_model, load_model, save_parts
    from sgcldff_core.training import read_annotated

    folder = find_model(name)
    model = load_model(folder)
    samples, _ = read_annotated(datasets)
    held = held_out_groups(folder, model) | set(model.training.get("validation_groups", ()))
    with progress_bar() as bar:
        task = bar.add_task("measuring cells", total=None)
        atlas = atlas_of(
            [s for s in samples if s.group not in held],
            with_engine(model),
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    if len(set(atlas.classes)) < 2:
        raise ConfigError(
            f"an atlas needs cells of two classes, and {len(atlas.classes)} cells of known class were found; give more"
        )
    save_parts(replace(model, atlas=atlas), folder, out)
    counted = ", ".join(f"{count} {kind}" for kind, count in Counter(atlas.classes).most_common())
    stdout.print(
        f"{out.name}: an atlas of {counted}; by the others alone, {atlas.right_by_itself:.3f} of them are named right",
        markup=False,
        soft_wrap=True,
    )
