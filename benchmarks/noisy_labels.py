"""Measure what wrong class labels cost, and whether the robust class loss withstands them.

Of the cells of four folds a share is given another of the five names, drawn at random; a network
learns from them by cross-entropy and by the generalised one (``robust_q``), and is judged on the
fifth fold, whose names stay. Each training has a folder and is not done twice::

    python benchmarks/noisy_labels.py ../shared/data --out runs/noisy

Twice as many false names can be had with ``--share 0.4``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from sgcldff_core.datasets.kinds import UNNAMED
from sgcldff_core.evaluation.assessment import summarise
from sgcldff_core.evaluation.folds import read_folds
from sgcldff_core.evaluation.trial import run_trial
from sgcldff_core.training import read_annotated, read_training_config

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

RECIPES = Path(__file__).resolve().parents[1] / "docs" / "recipes"


def misnamed(samples: Sequence[Sample], share: float, names: Sequence[str]) -> tuple[list[Sample], int, int]:
    """Return samples of which a share of the named cells bears another name, how many do, and of how many.

    An image's class and the names of its boxes say the same, and are taken away.
    """
    rng = np.random.default_rng(0)
    out, wrong, total = [], 0, 0
    for sample in samples:
        classes = dict(sample.classes or {})
        for cell, name in classes.items():
            if name not in names:
                continue
            total += 1
            if rng.random() < share:
                classes[cell] = str(rng.choice([n for n in names if n != name]))
                wrong += 1
        boxes = sample.boxes and tuple(replace(b, kind=UNNAMED) if b.kind in names else b for b in sample.boxes)
        out.append(replace(sample, classes=classes or None, image_class=None, boxes=boxes))
    return out, wrong, total


def main() -> None:
    """Print one line for each share of wrong names and each loss."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.3, help="of names that are changed")
    parser.add_argument("--robust-q", type=float, default=0.7)
    parser.add_argument("--fold", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    samples, _ = read_annotated([options.data / "zheng", options.data / "bccd"])
    samples = [s for s in samples if s.split != "test"]
    training, judged = read_folds(RECIPES / "folds.json").split(samples, options.fold)
    recipe = read_training_config(RECIPES / "short.toml")
    for share in (options.share, 0.0):
        learned, wrong, total = misnamed(training, share, recipe.model.classes)
        for q in (0.0, options.robust_q):
            config = replace(recipe, loss=replace(recipe.loss, robust_q=q))
            trial = run_trial(learned, judged, config, options.out / f"fold{options.fold}_share{share:g}_q{q:g}")
            figures = summarise(trial.images).figures
            shown = "  ".join(f"{name} {figures[name]:.3f}" for name in ("accuracy", "macro_f1", "iou"))
            print(f"{wrong} of {total} names wrong, q {q:g}: {shown}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
