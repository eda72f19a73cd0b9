"""What calibration error a perfectly calibrated model would be found to have, on as many cells as these.

    python benchmarks/calibration_floor.py runs/fold/seed0/fold0 [runs/fold/seed0/fold1 ...]

Reads what `sgcldff crossval` judged, all folders together. Of each cell a true class is drawn by the probabilities that
the model gave; binned errors of such draws are above zero because bins hold few cells.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from rich.console import Console

from sgcldff_core.evaluation.agreement import BINS, calibration_error


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", nargs="+", type=Path, help="folders with judged.json")
    parser.add_argument("--draws", type=int, default=2000)
    options = parser.parse_args()
    images = [i for t in options.trials for i in json.loads((t / "judged.json").read_text(encoding="utf-8"))["images"]]
    cells = [cell for image in images for cell in image["classes"] if cell["probabilities"]]
    names = list(cells[0]["probabilities"])
    cells = [cell for cell in cells if cell["true"] in names]
    probabilities = np.array([[cell["probabilities"][name] for name in names] for cell in cells])
    probabilities /= probabilities.sum(1, keepdims=True)
    true = np.array([names.index(cell["true"]) for cell in cells])
    random = np.random.default_rng(0)
    drawn = (probabilities.cumsum(1)[None] > random.random((options.draws, len(cells), 1))).argmax(2)
    confidence, named = probabilities.max(1), probabilities.argmax(1)
    floor = [calibration_error(confidence, named == one) for one in drawn]
    low, high = np.percentile(floor, [2.5, 97.5])
    Console().print(
        f"{len(cells)} cells found and named by the data: accuracy {(named == true).mean():.3f}, mean confidence "
        f"{confidence.mean():.3f}, calibration error {calibration_error(confidence, named == true):.3f};\n"
        f"of a perfectly calibrated model {np.mean(floor):.3f} (95 % of draws: {low:.3f}-{high:.3f}), {BINS} bins"
    )


if __name__ == "__main__":
    main()
