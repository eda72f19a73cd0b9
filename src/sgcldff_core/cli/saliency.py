"""``sgcldff saliency``: the saliency priors of images, without any network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sgcldff_core.cli.console import progress_bar, say_error, stdout
from sgcldff_core.errors import ConfigError, DataError

__all__ = ["saliency"]

_SUFFIX = "_saliency.tif"


def saliency(
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT...", help="Image files, folders, or patterns.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write; made if it is missing.")],
    method: Annotated[
        str, typer.Option("--method", metavar="M", help="Name of the prior; an unknown one lists the known.")
    ] = "fused",
) -> None:
    """Map where the leukocytes are likely to be, before any network looks.

    Writes <stem>_saliency.tif for each image: float32 in 0..1, of the image's height and width.

    Exit code 0: all images are done; 1: some could not be used, and are named.
    """
    import tifffile

    from sgcldff_core.datasets import read_rgb
    from sgcldff_core.datasets.inputs import expand_inputs, output_stems
    from sgcldff_core.files import written_atomically
    from sgcldff_core.saliency import available_priors, compute_prior

    if method not in available_priors():
        raise ConfigError(f"unknown saliency prior {method!r}; known are {', '.join(available_priors())}")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; name a folder for the results")
    paths = expand_inputs(inputs)
    # A second run into the same folder must not take the first one's results for images.
    paths = [p for p in paths if not (p.name.endswith(_SUFFIX) and p.resolve().parent == out.resolve())]
    if not paths:
        raise ConfigError(f"{out} holds only saliency maps; name the folder of the images")
    problems = []
    with progress_bar() as bar:
        for path, stem in bar.track(list(zip(paths, output_stems(paths), strict=True)), description="saliency"):
            try:
                prior = compute_prior(read_rgb(path), method)
                with written_atomically(out / f"{stem}{_SUFFIX}") as draft:
                    tifffile.imwrite(draft, prior, compression="zlib", metadata=None, software="sgcldff")
            except DataError as error:
                problems.append(str(error))
    done = len(paths) - len(problems)
    stdout.print(f"{done} of {len(paths)} maps written to {out}", markup=False, soft_wrap=True)
    for problem in problems:
        say_error(problem)
    raise typer.Exit(1 if problems else 0)
