"""Tell what naming cells by the atlas costs: `predict_image` with and without it, in turns.

python benchmarks/atlas_cost.py ../shared/data/bccd
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from sgcldff_core.datasets import open_dataset
from sgcldff_core.inference import predict_image, with_engine
from sgcldff_core.model import Model, load_model
from sgcldff_core.smear import SmearSettings, make_smear

CROWD = SmearSettings(height=1500, width=1800, diameter=96, leukocytes=60)


def main() -> None:
    """Measure and print ratios of processor time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a data set of fields")
    parser.add_argument("--images", type=int, default=24)
    options = parser.parse_args()
    torch.set_num_threads(1)
    both = with_engine(load_model())
    alone = replace(both, atlas=None)
    fields = [s.read_image() for s in islice(open_dataset(options.data), options.images)]
    say = Console(width=120).print
    for title, images in (
        ("fields of the data set", fields),
        ("a field of 60 cells", [make_smear(3, CROWD).image] * 5),
    ):
        for model in (both, alone):
            predict_image(images[0], model)  # what is made at first use is not timed
        rows = [[timed(image, model) for model in (both, alone)] for image in images]
        times = np.array([[seconds for seconds, _ in row] for row in rows])
        cells = sum(row[0][1] for row in rows)
        ratio, each = np.median(times[:, 0] / times[:, 1]), np.median(times[:, 0] - times[:, 1]) * len(rows) / cells
        say(f"{title}: {ratio:.2f} times the processor time without; {1000 * each:.0f} ms a cell, of {cells}")


def timed(image: NDArray[np.uint8], model: Model) -> tuple[float, int]:
    """Return the processor's seconds and the number of cells."""
    start = time.process_time()
    found = predict_image(image, model)
    return time.process_time() - start, len(found.cells)


if __name__ == "__main__":
    main()
