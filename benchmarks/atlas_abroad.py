"""Tell what an atlas says of cells from a laboratory that it does not hold, and whether it knows to be silent.

Prints a table::

    python benchmarks/atlas_abroad.py ../shared/data

Cells of Zheng 1, Zheng 2 and BCCD are measured as the shipped model outlines them. Those of each are named by an atlas
of the other two, without the network. It has a say on cells that are nearer than twice the usual distance.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from sgcldff_core.datasets import open_dataset
from sgcldff_core.evaluation.atlas_cells import atlas_of
from sgcldff_core.inference import with_engine
from sgcldff_core.model import load_model
from sgcldff_core.training.split import without_copies

SOURCES = ("zheng1", "zheng2", "bccd")


def main() -> None:
    """Measure, name and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with zheng/ and bccd/")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = with_engine(load_model())
    samples = without_copies([s for name in ("zheng", "bccd") for s in open_dataset(options.data / name)])
    samples = [s for s in samples if s.split != "test"]
    by_source = {source: atlas_of([s for s in samples if s.source == source], model) for source in SOURCES}
    print("| cells of | cells | atlas of the others right | of these with a say | median share |")  # noqa: T201
    print("| --- | --- | --- | --- | --- |")  # noqa: T201
    for source, cells in by_source.items():
        first, second = (atlas for name, atlas in by_source.items() if name != source)
        atlas = first.joined(second)
        probabilities, share = atlas.name(cells.measures)
        right = np.array(atlas.known)[probabilities.argmax(axis=1)] == np.array(cells.classes)
        print(  # noqa: T201
            f"| {source} | {len(right)} | {right.mean():.3f} | {(share > 0).mean():.3f} | {np.median(share):.3f} |"
        )


if __name__ == "__main__":
    main()
