"""``sgcldff adapt``: fit a model to the stain of another laboratory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.table import Table

from sgcldff_core.cli.console import progress_bar, say_error, stderr, stdout
from sgcldff_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sgcldff_core.adaptation import Adaptation

__all__ = ["adapt"]


def adapt(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, or its folder.")],
    patterns: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES...", help="Images of the laboratory, 3 or more, better 5 to 50; or folders, or patterns."
        ),
    ],
    out: Annotated[str, typer.Option("--out", metavar="NAME", help="Name of the new model, or a folder for it.")],
    reference: Annotated[
        list[str] | None,
        typer.Option("--reference", metavar="IMAGES", help="Images of the kind that MODEL was trained on; repeatable."),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", help="Of self-training, which takes minutes; 0 for none.")
    ] = 200,
    device: Annotated[str, typer.Option("--device", metavar="D", help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
) -> None:
    """Fit a model to the stain of another laboratory, without any annotation.

    Tries changes of colour (Macenko, Reinhard), re-estimated batch statistics, and training on cells
    of which the model is sure, and keeps what does best on the images by signs that need no
    annotation; the model as it is where nothing is better. MODEL stays as it is. What it was trained
    on is told by its own description, or by --reference, without which only colours are changed.

    Exit code 0: all well; 1: some images could not be used, and are named.
    """
    from sgcldff_core.datasets.inputs import expand_inputs

    paths = expand_inputs(patterns)
    reference_paths = expand_inputs(reference) if reference else []
    # torch takes seconds to load: not before the inputs are known to be there.
    from sgcldff_core.adaptation import SelfTraining, keep, known_stains, place_for, stain_statistics
    from sgcldff_core.adaptation import adapt as run
    from sgcldff_core.inference.device import choose_device
    from sgcldff_core.model import load_model

    if steps < 0:
        raise ConfigError(f"--steps must not be negative, got {steps}")
    folder = place_for(out)
    loaded = load_model(model, device=choose_device(device))
    problems: list[str] = []
    images = _read(paths, problems)
    known = list(_read(reference_paths, problems).values())
    _refuse_too_few(len(images), problems)
    stains = known_stains(loaded)
    if known:
        stains["reference"] = stain_statistics(known, loaded.config.prior)
    if not stains:
        stderr.print(
            f"model {loaded.name} does not say which stain it was trained on: only with --reference can more be tried",
            soft_wrap=True,
        )
    with progress_bar() as bar:
        task = bar.add_task("adapting", total=None)

        def say(what: str) -> None:
            bar.update(task, description=what)
            if bar.disable:
                stderr.print(f"trying {what} ...", markup=False, soft_wrap=True)

        adaptation = run(
            loaded,
            list(images.values()),
            stains,
            known,
            learning=SelfTraining(steps=steps) if steps else None,
            report=say,
        )
    _show(adaptation, len(images))
    keep(adaptation, loaded, folder, list(images))
    stdout.print(f"chosen: {adaptation.chosen.name}; {adaptation.reason}", markup=False, soft_wrap=True)
    stdout.print(f"written to {folder}; use it with --model {out}", markup=False, soft_wrap=True)
    for problem in problems:
        say_error(problem)
    raise typer.Exit(1 if problems else 0)


def _read(paths: list[Path], problems: list[str]) -> dict[str, NDArray[np.uint8]]:
    """Read images, at most as many as are of use, spread over all; note what cannot be read."""
    from sgcldff_core.adaptation.choosing import MOST_IMAGES
    from sgcldff_core.adaptation.spread import spread_evenly
    from sgcldff_core.datasets.rasters import read_rgb

    if len(paths) > MOST_IMAGES:
        stderr.print(f"taking {MOST_IMAGES} of {len(paths)} images: more tell nothing new", soft_wrap=True)
        paths = [paths[i] for i in spread_evenly(len(paths), MOST_IMAGES)]
    images = {}
    for path in paths:
        try:
            images[str(path)] = read_rgb(path)
        except DataError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{path}: {error.strerror}; check that the file exists and can be read")
    return images


def _refuse_too_few(usable: int, problems: list[str]) -> None:
    from sgcldff_core.adaptation.choosing import FEWEST_IMAGES, MOST_IMAGES

    if usable >= FEWEST_IMAGES:
        return
    for problem in problems:
        say_error(problem)
    images = "image is" if usable == 1 else "images are"
    raise ConfigError(
        f"{usable} usable {images} too few to tell a stain; give {FEWEST_IMAGES} or more, better 5 to {MOST_IMAGES}"
    )


def _show(adaptation: Adaptation, images: int) -> None:
    table = Table(title=f"signs of good outlines on {images} images without annotation", title_justify="left")
    table.add_column("", no_wrap=True)
    for title in ("score", "found", "firm", "sure", "salient", "cost"):
        table.add_column(title, justify="right")
    table.add_column("", no_wrap=True)
    for candidate in adaptation.candidates:
        signs = candidate.score
        cost = "" if candidate.cost is None else f"{candidate.cost:.3f}"
        remark = "chosen" if candidate is adaptation.chosen else "rejected" if candidate.rejected else ""
        values = (signs.total, signs.found, signs.firm, signs.sure, signs.salient)
        table.add_row(candidate.name, *(f"{value:.3f}" for value in values), cost, remark)
    stdout.print(table)
    for candidate in adaptation.candidates:
        if candidate.rejected:
            stdout.print(f"rejected: {candidate.name}, which {candidate.rejected}", markup=False, soft_wrap=True)
