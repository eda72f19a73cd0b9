"""Tell what an atlas says of cells from a laboratory that it does not hold, and whether it knows to be silent.

Prints two tables::

    python benchmarks/atlas_abroad.py ../shared/data

Cells of Zheng 1, Zheng 2 and BCCD are measured as the shipped model outlines them. Those of each are named by an atlas
of the other two, without the network. It has a say on cells that are nearer than twice the usual distance. Then the
shipped model, with its atlas and without, on some images of ALL-IDB2, which it has never seen: blasts, of which it
knows nothing, and healthy cells.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from sgcldff_core.datasets import open_dataset
from sgcldff_core.evaluation.atlas_cells import atlas_of
from sgcldff_core.inference import predict_image, with_engine
from sgcldff_core.model import load_model
from sgcldff_core.training.split import without_copies

SOURCES = ("zheng1", "zheng2", "bccd")


def main() -> None:
    """Measure, name and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with zheng/, bccd/ and all_idb2/")
    parser.add_argument("--images", type=int, default=30, help="of ALL-IDB2, of each kind")
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
    abroad = list(open_dataset(options.data / "all_idb2"))
    print("\n| ALL-IDB2, images with | | cells | flagged | mean confidence |\n| --- | --- | --- | --- | --- |")  # noqa: T201
    for kind in ("blast", "healthy"):
        images = [s.read_image() for s in abroad if kind in (s.classes or {}).values()][: options.images]
        for title, known in (("with atlas", model), ("without", replace(model, atlas=None))):
            cells = pd.concat([predict_image(image, known).cells for image in images])
            flagged, confidence = (cells["review_reason"] != "").mean(), cells["confidence"].mean()
            print(f"| {kind} | {title} | {len(cells)} | {flagged:.2f} | {confidence:.2f} |")  # noqa: T201


if __name__ == "__main__":
    main()
