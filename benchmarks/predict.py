"""Time the prediction of one field, whole and in parts, as a ratio to one forward pass.

    python benchmarks/predict.py [IMAGE] [--model M] [--diameter 120] [--rounds 5]

Without an image it draws a synthetic smear of 640x480. Everything runs on one thread; the parts
take turns, so that what else the machine does hits all of them; medians of processor time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from sgcldff_core.datasets import read_rgb
from sgcldff_core.inference import predict_image
from sgcldff_core.inference.field import look_at
from sgcldff_core.inference.forward import run_network
from sgcldff_core.inference.instances import separate_cells
from sgcldff_core.inference.overlay import draw_overlay
from sgcldff_core.inference.tiling import DEFAULT_TILE
from sgcldff_core.model import load_model
from sgcldff_core.saliency import compute_prior
from sgcldff_core.smear import SmearSettings, make_smear


def main() -> None:
    """Print one row for each part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", nargs="?", type=Path)
    parser.add_argument("--model", default=None)
    parser.add_argument("--diameter", type=float, default=120.0)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    image = read_rgb(options.image) if options.image else make_smear(1, SmearSettings()).image
    model = load_model(options.model)
    canonical = model.config.canonical_diameter
    view = look_at(image, model, options.diameter, tile=DEFAULT_TILE)
    maps = view.maps.logits.sigmoid().numpy()
    found = predict_image(image, model, diameter=options.diameter)
    parts: dict[str, Callable[[], object]] = {
        "one forward pass": lambda: run_network(model.network, view.image, view.prior),
        "saliency prior": lambda: compute_prior(view.image, model.config.prior),
        "separation of cells": lambda: separate_cells(*maps, canonical),
        "prediction, diameter given": lambda: predict_image(image, model, diameter=options.diameter),
        "the same with Grad-CAM map": lambda: predict_image(image, model, diameter=options.diameter, explain=True),
        "prediction, diameter sought": lambda: predict_image(image, model),
        "overlay": lambda: draw_overlay(image, found, model.config.classes),
    }
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    torch.set_num_threads(1)
    with threadpool_limits(1):
        for _ in range(options.rounds + 1):
            for name, part in parts.items():
                started = time.process_time()
                part()
                seconds[name].append(time.process_time() - started)
    medians = {name: float(np.median(values[1:])) for name, values in seconds.items()}  # the first warms up
    height, width = view.prior.shape
    table = Table(title=f"{image.shape[1]}x{image.shape[0]} px, {width}x{height} at the canonical scale, one thread")
    table.add_column("part")
    table.add_column("ms", justify="right")
    table.add_column("forward passes", justify="right")
    for name, median in medians.items():
        table.add_row(name, f"{1000 * median:.0f}", f"{median / medians['one forward pass']:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
