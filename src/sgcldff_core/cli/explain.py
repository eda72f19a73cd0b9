"""``sgcldff explain``: maps of evidence by any method, and the check that they depend on what was learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sgcldff_core.cli.console import progress_bar, say_error, stdout
from sgcldff_core.cli.explanation_figures import read_level
from sgcldff_core.errors import ConfigError, SgcldffError
from sgcldff_core.files import write_json, written_atomically

if TYPE_CHECKING:
    from sgcldff_core.model import Model

__all__ = ["explain"]

_RECORD = "explain.json"


def explain(
    patterns: Annotated[
        list[str] | None, typer.Argument(metavar="INPUT...", help="Image files, folders, or patterns.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Where to write; made if it is missing.")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", metavar="M", help="Name of the method; an unknown one lists the known.")
    ] = "gradcam",
    level: Annotated[
        str, typer.Option("--level", metavar="L", help="fused, image, or a level of the backbone: 4, 8, 16, 32.")
    ] = "fused",
    target: Annotated[str, typer.Option("--target", metavar="T", help="class or mask.")] = "class",
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME_OR_PATH", help="The model; the shipped one by default.")
    ] = None,
    diameter: Annotated[
        float | None,
        typer.Option("--diameter", metavar="PX", help="Of a typical leukocyte; estimated for each image by default."),
    ] = None,
    device: Annotated[str, typer.Option("--device", metavar="D", help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    sanity: Annotated[
        bool, typer.Option("--sanity", help="Check instead that the maps depend on weights and labels.")
    ] = False,
) -> None:
    """Map where the evidence for each cell's class, or for its mask, lies.

    Writes for each image <stem>_<method>.tif (float32 in 0..1, of the image's height and width, each
    cell scaled to its own largest value) and <stem>_<method>.png, the map laid over the image; a
    level or target other than the usual one is part of the name. And explain.json for all of them.

    With --sanity: weights are randomised block by block, from the head down, and the last layers are
    retrained on shuffled labels; a map that stays as it was would tell nothing of the network.
    Without INPUT that is tried on synthetic smears. Writes sanity.json, sanity.md and sanity.png.

    Exit code 0: all is well; 1: some images could not be used, and are named, or the check failed.
    """
    from sgcldff_core.datasets.inputs import expand_inputs, output_stems

    stride = read_level(level)
    if sanity:
        from sgcldff_core.cli.explain_sanity import check_sanity

        check_sanity(expand_inputs(patterns) if patterns else [], out, method, stride, target, model, device)
    if not patterns:
        raise ConfigError("no input; name images or folders to explain")
    if out is None:
        raise ConfigError("no place to write to; name a folder with --out")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file; name a folder for the results")
    paths = [p for p in expand_inputs(patterns) if not _is_ours(p, out)]
    if not paths:
        raise ConfigError(f"{out} holds only what this program wrote; name the folder of the images")

    from sgcldff_core.inference.cell_subjects import level_index
    from sgcldff_core.inference.device import choose_device
    from sgcldff_core.inference.explain_field import check_method, check_target
    from sgcldff_core.model import load_model

    check_method(method, stride)
    check_target(target)
    loaded = load_model(model, device=choose_device(device))
    level_index(stride, 4 if loaded.config.deepest == 32 else 3)
    name = "_".join([method, *([level] if stride is not None else []), *([target] if target != "class" else [])])
    done: list[dict[str, Any]] = []
    problems: list[str] = []
    with progress_bar() as bar:
        for path, stem in bar.track(list(zip(paths, output_stems(paths), strict=True)), description="explaining"):
            try:
                cells = _explain_file(path, out / f"{stem}_{name}", loaded, method, stride, target, diameter)
                done.append({"file": str(path), "image": stem, "cells": cells})
            except ConfigError:
                raise
            except (SgcldffError, OSError) as error:
                problems.append(str(error))
            except (MemoryError, RuntimeError) as error:  # torch raises the latter when memory is out
                problems.append(f"{path}: {str(error) or 'not enough memory'}; give a smaller image")
    record = {
        "model": {"name": loaded.name, "sha256": loaded.sha256},
        "method": method,
        "level": level,
        "target": target,
        "diameter": diameter,
        "images": done,
        "failures": problems,
    }
    write_json(out / _RECORD, record)
    stdout.print(f"{len(done)} of {len(paths)} images explained in {out}", markup=False, soft_wrap=True)
    for problem in problems:
        say_error(problem)
    raise typer.Exit(1 if problems else 0)


def _explain_file(
    path: Path, target_stem: Path, model: Model, method: str, level: int | None, target: str, diameter: float | None
) -> list[dict[str, Any]]:
    import tifffile

    from sgcldff_core.datasets import read_rgb
    from sgcldff_core.evaluation.explanation_table import level_name
    from sgcldff_core.explain import find_method
    from sgcldff_core.inference import predict_image
    from sgcldff_core.inference.evidence_picture import draw_evidence
    from sgcldff_core.inference.explain_field import explain_field, joined_maps

    image = read_rgb(path)
    prediction = predict_image(image, model, name=path.stem, diameter=diameter)
    cells = explain_field(
        image,
        prediction.labels,
        model,
        diameter=prediction.diameter,
        method=method,
        level=level,
        target=target,
        kinds=list(prediction.cells["class"]),
    )
    whole = joined_maps(cells, prediction.labels.shape)
    with written_atomically(target_stem.with_name(target_stem.name + ".tif")) as draft:
        tifffile.imwrite(draft, whole, compression="zlib", metadata=None, software="sgcldff")
    title = f"{find_method(method).title}, {level_name(level)}, {target}"
    with written_atomically(target_stem.with_name(target_stem.name + ".png")) as draft:
        draw_evidence(image, whole, prediction, model.config.classes, title).save(draft)
    return [{"label": c.label, "class": c.kind, "evidence": bool(c.activation.any())} for c in cells]


def _is_ours(path: Path, out: Path) -> bool:
    """Return whether a file in the folder of results is a result: those must not be taken for images."""
    from sgcldff_core.explain import METHODS
    from sgcldff_core.inference.outputs import OUTPUT_SUFFIXES

    if path.resolve().parent != out.resolve():
        return False
    ends = [
        "",
        *(f"_{level}{target}" for level in ("image", "4", "8", "16", "32") for target in ("", "_mask")),
        "_mask",
    ]
    names = [f"_{method}{end}{kind}" for method in METHODS for end in ends for kind in (".tif", ".png")]
    return path.name.endswith((*OUTPUT_SUFFIXES, *names, "sanity.png"))
