"""What the second look, in a mirror, is worth: outlines and names with it and without.

    python benchmarks/one_look.py DATASET... [--model leukocytes-small] [--every 1]

Each image is predicted both ways, its diameter sought. Prints the mean IoU of the leukocyte mask, the share of images
with the right count, processor time, and how many cells are named alike where both found as many.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from sgcldff_core.datasets import open_dataset
from sgcldff_core.evaluation.agreement import mask_iou
from sgcldff_core.inference import predict_image, with_engine
from sgcldff_core.model import load_model


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--model", default="leukocytes-small")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth image")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = with_engine(load_model(options.model))
    samples = [sample for folder in options.datasets for sample in open_dataset(folder)][:: options.every]
    rows: dict[bool, list[tuple[float, bool, float]]] = {True: [], False: []}
    same_names = cells = 0
    for sample in samples:
        image, truth = sample.read_image(), sample.read_labels()
        if truth is None:
            continue
        found = {}
        for mirror in (True, False):
            started = time.process_time()
            found[mirror] = predict_image(image, model, mirror=mirror)
            seconds = time.process_time() - started
            iou = mask_iou(found[mirror].labels > 0, truth > 0)
            rows[mirror].append((iou, len(found[mirror].cells) == len(np.unique(truth[truth > 0])), seconds))
        if len(found[True].cells) == len(found[False].cells):
            same_names += int((found[True].cells["class"].to_numpy() == found[False].cells["class"].to_numpy()).sum())
            cells += len(found[True].cells)
    table = Table(title=f"{options.model}, {len(rows[True])} images", title_justify="left")
    for column in ("", "IoU", "right count", "CPU s an image"):
        table.add_column(column, justify="right" if column else "left")
    for mirror, name in ((True, "two looks"), (False, "one look")):
        iou, count, seconds = np.mean(rows[mirror], axis=0)
        table.add_row(name, f"{iou:.4f}", f"{count:.3f}", f"{seconds:.3f}")
    Console().print(table)
    Console().print(f"{same_names} of {cells} cells have the same name either way")


if __name__ == "__main__":
    main()
