"""What explaining every cell of a field costs, as a ratio to one forward pass.

    python benchmarks/explain.py [IMAGE] [--model M] [--diameter 110] [--rounds 5] [--slow]

Without an image it draws a synthetic smear of 640x480 with eight leukocytes. Everything runs on one
thread; the parts take turns, so that what else the machine does hits all of them; medians of
processor time. An explanation starts from what the network computed of the field, as in a
prediction; for cells that somebody else outlined, one forward pass comes on top. Last what the viewer
asks for is timed: names, figures and two maps of cells that are outlined, from two looks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from sgcldff_core.datasets import read_rgb
from sgcldff_core.explain import METHODS, explain_subject
from sgcldff_core.inference import predict_image
from sgcldff_core.inference.cell_subjects import TARGETS, cell_subjects
from sgcldff_core.inference.encoded_part import EncodedPart, parts_with_cells
from sgcldff_core.inference.explain_cell import explain_labels
from sgcldff_core.inference.forward import run_network
from sgcldff_core.inference.neighbourhood import LabelledField
from sgcldff_core.model import load_model
from sgcldff_core.smear import SmearSettings, make_smear

LEVELS = (None, 4, 8, 16, 32)


def explain(parts: list[tuple[EncodedPart, list[int]]], method: str, level: int | None, target: str) -> None:
    """Explain all cells of all parts."""
    for part, cells in parts:
        for some in cell_subjects(part, cells, level=level, target=target):
            explain_subject(some.subject, method)


def main() -> None:
    """Print one row for each method, a column for each level and target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", nargs="?", type=Path)
    parser.add_argument("--model", default=None)
    parser.add_argument("--diameter", type=float, default=110.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slow", action="store_true", help="Score-CAM and the references too, on the fused map")
    options = parser.parse_args()

    settings = SmearSettings(leukocytes=8, diameter=options.diameter)
    image = read_rgb(options.image) if options.image else np.asarray(make_smear(1, settings).image)
    model = load_model(options.model)
    torch.set_num_threads(1)
    with threadpool_limits(1):
        found = predict_image(image, model, diameter=options.diameter)
        field = LabelledField.of(image, found.labels, model, options.diameter)
        where = list(parts_with_cells(field, field.numbers.tolist()))
        parts = [(EncodedPart.of(model.network, field, window), cells) for window, cells in where]
        jobs: dict[tuple[str, int | None, str], Callable[[], object]] = {
            ("forward", None, ""): lambda: run_network(model.network, field.image, field.prior)
        }
        for name, chosen in (("viewer, all cells", None), ("viewer, one cell", field.numbers.tolist()[:1])):
            jobs[name, None, ""] = partial(
                explain_labels, image, found.labels, model, diameter=options.diameter, chosen=chosen
            )
        for name, method in METHODS.items():
            for level in LEVELS:
                for target in TARGETS:
                    if not method.slow or (options.slow and level is None):
                        jobs[name, level, target] = partial(explain, parts, name, level, target)
        seconds: dict[tuple[str, int | None, str], list[float]] = {job: [] for job in jobs}
        for _ in range(options.rounds + 1):
            for job, run in jobs.items():
                started = time.process_time()
                run()
                seconds[job].append(time.process_time() - started)
    medians = {job: float(np.median(values[1:])) for job, values in seconds.items()}  # the first warms up
    once = medians["forward", None, ""]
    height, width = field.prior.shape
    title = f"{len(field.numbers)} cells, {width}x{height} at the canonical scale, one thread, in forward passes"
    table = Table(title=title, title_justify="left")
    table.add_column("method")
    columns = [(level, target) for level in LEVELS for target in TARGETS]
    for level, target in columns:
        table.add_column(f"{'fused' if level is None else f'stride {level}'}, {target}", justify="right")
    for name in METHODS:
        ratios = [medians.get((name, *column)) for column in columns]
        if any(ratio is not None for ratio in ratios):
            table.add_row(name, *("" if ratio is None else f"{ratio / once:.2f}" for ratio in ratios))
    Console().print(table)
    for name in ("viewer, all cells", "viewer, one cell"):
        Console().print(f"{name}: {medians[name, None, ''] / once:.2f}")


if __name__ == "__main__":
    main()
