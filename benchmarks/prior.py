"""Time the saliency priors on one field, as a ratio to ``skimage.color.rgb2lab`` on the same image.

    python benchmarks/prior.py [IMAGE] [--rounds 15]

Without an image it draws a synthetic smear of 640x480. All libraries run on one thread; the
functions take turns, so that what else the machine does hits all of them; medians are printed.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from skimage.color import rgb2lab
from threadpoolctl import threadpool_limits

from sgcldff_core.datasets import read_rgb
from sgcldff_core.saliency import PRIORS, compute_prior
from sgcldff_core.smear import SmearSettings, make_smear


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    if arguments.image:
        image = read_rgb(arguments.image)
    else:
        image = np.asarray(make_smear(1, SmearSettings(height=480, width=640, leukocytes=3)).image)
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ("rgb2lab", *PRIORS)}
    for _ in range(arguments.rounds + 1):
        for name, measured in seconds.items():
            wall, cpu = time.perf_counter(), time.process_time()
            rgb2lab(image) if name == "rgb2lab" else compute_prior(image, name)
            measured.append((time.perf_counter() - wall, time.process_time() - cpu))
    median = {name: np.median(measured[1:], axis=0) * 1000 for name, measured in seconds.items()}
    table = Table(title=f"{image.shape[1]}x{image.shape[0]}, medians of {arguments.rounds} alternating rounds")
    for column in ("", "ms", "ms of CPU", "ratio to rgb2lab (CPU)", "peak, float32 planes"):
        table.add_column(column, justify="right" if column else "left")
    for name, (wall, cpu) in median.items():
        tracemalloc.start()
        rgb2lab(image) if name == "rgb2lab" else compute_prior(image, name)
        planes = tracemalloc.get_traced_memory()[1] / (4 * image.shape[0] * image.shape[1])
        tracemalloc.stop()
        table.add_row(name, f"{wall:.1f}", f"{cpu:.1f}", f"{cpu / median['rgb2lab'][1]:.2f}", f"{planes:.1f}")
    Console().print(table)


if __name__ == "__main__":
    with threadpool_limits(1):
        main()
