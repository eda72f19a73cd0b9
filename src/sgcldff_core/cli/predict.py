"""``sgcldff predict`` and ``sgcldff demo``: from smears to named cells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from sgcldff_core.cli.console import progress_bar, say_error, stdout
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from sgcldff_core.inference.batch import BatchResult, FileStep
    from sgcldff_core.inference.cluster import Cluster
    from sgcldff_core.model import Model

__all__ = ["Engine", "demo", "predict"]

_DEMO_SEED = 12


class Engine(StrEnum):
    """What runs the network; the names of `sgcldff_core.inference.engines.ENGINES`."""

    TORCH = "torch"
    ONNXRUNTIME = "onnxruntime"
    OPENVINO = "openvino"


def predict(
    patterns: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Image files, slides, folders, or patterns.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write; made if it is missing.")],
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME_OR_PATH", help="The model; the shipped one by default.")
    ] = None,
    diameter: Annotated[
        float | None,
        typer.Option("--diameter", metavar="PX", help="Of a typical leukocyte; estimated for each image by default."),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Also write Grad-CAM maps.")] = False,
    device: Annotated[str, typer.Option("--device", metavar="D", help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", help="Images, or regions of a slide, worked on at the same time.")
    ] = 1,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="ADDRESS", help="Of a dask cluster that does the work, or its file."),
    ] = None,
    every_region: Annotated[
        bool, typer.Option("--every-region", help="Of slides: also look where a coarse look finds no cells.")
    ] = False,
    sets: Annotated[
        float | None,
        typer.Option("--sets", metavar="COVERAGE", help="Also write class_sets.csv: which classes a cell may be of."),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Also write report.html: the count and every cell to look at.")
    ] = False,
    engine: Annotated[
        Engine, typer.Option("--engine", help="What multiplies; all but torch run on the CPU and want an extra.")
    ] = Engine.TORCH,
) -> None:
    """Outline, name and explain every leukocyte in images of smears.

    Writes for each image its label image, saliency and overlay; for each slide (OME-Zarr, OME-TIFF)
    its labels as OME-Zarr, its cells as Parquet and an overview; and for all of them cells.csv,
    differential.csv and run.json. With --sets 0.9 (or another coverage that the model was fitted
    for) the true class of nine cells in ten is to be in its set, on smears like those of the fit.
    --report implies --explain; 'sgcldff report' makes the page, a FHIR bundle or COCO later, too.

    Exit code 0: all images are done; 1: some could not be used, and are named.
    """
    from sgcldff_core.datasets.inputs import expand_inputs, output_stems
    from sgcldff_core.inference.outputs import OUTPUT_SUFFIXES

    paths = expand_inputs(patterns)
    # A second run into the same folder must not take the first one's results for images.
    paths = [p for p in paths if not (p.name.endswith(OUTPUT_SUFFIXES) and p.resolve().parent == out.resolve())]
    if not paths:
        raise ConfigError(f"{out} holds only what predict wrote; name the folder of the images")
    inputs = dict(zip(output_stems(paths), paths, strict=True))
    asked = _Asked(model, diameter, explain or report, device, workers, scheduler, not every_region, sets, engine)
    result = _run(inputs, out, asked)
    if report:
        _write_page(out)
    _report(result, out)


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")] = Path("sgcldff-demo"),
) -> None:
    """Draw a synthetic smear, find its leukocytes with the shipped model, and count them."""
    import numpy as np
    from PIL import Image

    from sgcldff_core.files import written_atomically
    from sgcldff_core.smear import SmearSettings, make_smear

    settings = SmearSettings(height=768, width=1024, diameter=110, leukocytes=9, cut=0, stain="wright")
    smear = make_smear(_DEMO_SEED, settings)
    file = out / "smear.png"
    with written_atomically(file) as draft:
        Image.fromarray(np.asarray(smear.image)).save(draft)
    _report(_run({"smear": file}, out, _Asked(explain=True)), out)


@dataclass(frozen=True, slots=True)
class _Asked:
    model: str | None = None
    diameter: float | None = None
    explain: bool = False
    device: str = "auto"
    workers: int = 1
    scheduler: str | None = None
    skip: bool = True
    sets: float | None = None
    engine: Engine = Engine.TORCH


def _run(inputs: dict[str, Path], out: Path, asked: _Asked) -> BatchResult:
    # torch takes seconds to load: not for --help, and not before the inputs are known to be there.
    from sgcldff_core.inference.allocation import keep_freed_memory
    from sgcldff_core.inference.batch import predict_files
    from sgcldff_core.inference.device import choose_device
    from sgcldff_core.inference.engines import with_engine
    from sgcldff_core.model import load_model

    keep_freed_memory()
    device = "cpu" if asked.engine is not Engine.TORCH and asked.device == "auto" else asked.device
    loaded = with_engine(load_model(asked.model, device=choose_device(device)), asked.engine.value)
    threshold = None if asked.sets is None else _threshold_of_sets(loaded, asked.sets)
    with _workforce(asked, loaded) as workforce, progress_bar() as bar:
        task = bar.add_task("finding cells", total=len(inputs))
        regions = bar.add_task("regions", total=None, visible=False)

        def step(done: int, total: int, path: Path) -> None:
            bar.update(task, completed=done, description=path.name)

        def watch(at: FileStep) -> None:
            # Only a slide has so many steps that they are worth a line.
            if len(inputs) == 1 and at.total > 1:
                bar.update(regions, completed=at.done, total=at.total, description=at.stage, visible=True)

        result = predict_files(
            inputs,
            loaded,
            out,
            diameter=asked.diameter,
            explain=asked.explain,
            skip=asked.skip,
            workers=asked.workers,
            workforce=workforce,
            progress=step,
            watch=watch,
        )
    if threshold is not None:
        _write_class_sets(result.cells, loaded.config.classes, threshold, out)
    return result


def _threshold_of_sets(model: Model, coverage: float) -> float:
    from sgcldff_core.training.conformal import kept_threshold  # brings all of training along

    return kept_threshold(model.calibration, coverage)


@contextmanager
def _workforce(asked: _Asked, model: Model) -> Iterator[Cluster | None]:
    if asked.scheduler is None:
        yield None
        return
    if asked.engine is not Engine.TORCH:
        raise ConfigError("the workers of a cluster run the network with torch; leave out --engine or --scheduler")
    from sgcldff_core.inference.cluster import Cluster, connect

    with connect(asked.scheduler) as client:
        yield Cluster.of_model(client, model, asked.model, asked.device)


def _write_page(out: Path) -> None:
    from sgcldff_core.export.report import write_report
    from sgcldff_core.export.run_folder import read_run

    write_report(read_run(out), out / "report.html")


def _write_class_sets(cells: pd.DataFrame, classes: Sequence[str], threshold: float, out: Path) -> None:
    from sgcldff_core.cells import class_sets
    from sgcldff_core.inference.outputs import write_table

    table = cells[["image", "label", "class"]].assign(classes=class_sets(cells, classes, threshold))
    write_table(table, out / "class_sets.csv")


def _report(result: BatchResult, out: Path) -> None:
    stdout.print(_differential_table(result))
    images = len(result.files) - len(result.failures)
    stdout.print(
        f"{result.count} cells in {images} of {len(result.files)} images, {result.to_review} to look at again; "
        f"written to {out}",
        markup=False,
        soft_wrap=True,
    )
    for file in result.files:
        if file.warning:
            stdout.print(f"warning: {file.path}: {file.warning}", markup=False, soft_wrap=True)
    for failure in result.failures:
        say_error(failure.problem)
    raise typer.Exit(1 if result.failures else 0)


def _differential_table(result: BatchResult) -> Table:
    from sgcldff_core.cells import ALL_IMAGES

    table = Table(title="Differential count")
    table.add_column("class")
    table.add_column("cells", justify="right")
    table.add_column("percent", justify="right")
    counts = result.differential
    total = 0
    for _, row in counts[counts["image"] == ALL_IMAGES].iterrows():
        total += row["count"]
        table.add_row(row["class"], str(row["count"]), f"{row['percent']:.1f}" if row["count"] else "0.0")
    table.add_section()
    table.add_row("all", str(total), "100.0" if total else "")
    return table
