"""Measure how far a few outlined images get, with boxes, synthetic smears and pseudo-labels to help.

Of the training images of one fold, twenty keep their masks; the others keep the boxes that somebody
drew, or nothing. Each row is one training, judged on the same fold as the network that saw every
mask, and kept in a folder of its own: a row that is finished is read back, one that was broken off
goes on::

    python benchmarks/few_labels.py ../shared/data/zheng ../shared/data/bccd --out few --full crossval/fold0

Rows: ``masks`` the outlined images alone; ``boxes`` and the boxes of the others, as the network's box
loss takes them; ``synthetic`` and synthetic smears; ``outlined`` likewise, with boxes outlined by
colour first; ``pseudo`` goes on from ``outlined``, which outlines all other images where it is sure.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from sgcldff_core.datasets.kinds import NOT_LEUKOCYTES, UNNAMED
from sgcldff_core.evaluation.assessment import ImageAssessment, summarise
from sgcldff_core.evaluation.folds import read_folds
from sgcldff_core.evaluation.trial import JUDGED, read_trial, run_trial
from sgcldff_core.model import load_model
from sgcldff_core.training import AugmentationConfig, TrainingConfig, read_annotated
from sgcldff_core.training.pseudo import label_weak_samples

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

ROWS = ("masks", "boxes", "synthetic", "outlined", "pseudo")
SOURCES = ("zheng1", "zheng2", "bccd")


def choose(samples: Sequence[Sample], count: int, seed: int) -> set[str]:
    """Return the names of images that keep their masks: sources in turn, in each its classes in turn."""
    rng = np.random.default_rng(seed)
    queues: dict[str, list[str]] = {}
    for source in SOURCES:
        by_class: dict[str, list[str]] = defaultdict(list)
        for sample in samples:
            if sample.source == source and sample.labels is not None and sample.classes:
                by_class[min(sample.classes.values())].append(sample.name)
        piles = [[str(n) for n in rng.permutation(by_class[c])] for c in sorted(by_class)]
        queues[source] = [pile[i] for i in range(max(map(len, piles))) for pile in piles if i < len(pile)]
    turns = [name for turn in zip(*(q[:count] for q in queues.values()), strict=False) for name in turn]
    return set(turns[:count])


def weakened(sample: Sample, *, classes: bool) -> Sample:
    """Take masks away, and classes unless they may stay; boxes of leukocytes stay boxes of leukocytes."""
    boxes = sample.boxes
    if boxes is not None and not classes:
        boxes = tuple(b if b.kind in NOT_LEUKOCYTES else replace(b, kind=UNNAMED) for b in boxes)
    image_class = sample.image_class if classes else None
    return replace(sample, labels=None, nucleus=None, classes=None, boxes=boxes, image_class=image_class)


def settings(row: str, options: argparse.Namespace) -> TrainingConfig:
    """Return the recipe of a row: all rows see as many views."""
    share = 0.0 if row in ("masks", "boxes") else 0.2
    return TrainingConfig(
        epochs=options.epochs,
        views=options.views,
        validation=0.0,  # two or three images could not tell which epoch is best: the last one is kept
        validate_every=options.epochs,
        workers=0,
        seed=options.seed,
        masked_share=0.25 if row == "pseudo" else 0.5,
        outline_boxes=row in ("outlined", "pseudo"),
        start=str(options.out / "outlined") if row == "pseudo" else "imagenet",
        learning_rate=1e-3 if row == "pseudo" else 2e-3,
        synthetic_images=240 if share else 0,
        augmentation=AugmentationConfig(elsewhere=0.2, synthetic=share),
    )


def figures(images: Sequence[ImageAssessment]) -> dict[str, float]:
    """Return IoU for each source and the class figures over all."""
    by_source = {s: summarise([i for i in images if i.source == s]).figures for s in SOURCES}
    iou = {s: f["iou"] for s, f in by_source.items()}
    together = summarise(images).figures
    rest = {k: together[k] for k in ("nucleus_iou", "accuracy", "macro_f1") if k in together}
    return iou | {"mean IoU": float(np.mean(list(iou.values())))} | rest


def main() -> None:
    """Print one line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="folder of the trials")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--full", type=Path, help="finished trial with all masks, for the share of its IoU")
    parser.add_argument("--folds", type=Path, default=Path("docs/recipes/folds.json"))
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--images", type=int, default=20, help="images that keep their masks")
    parser.add_argument("--classes", action="store_true", help="the others keep their class")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--views", type=int, default=240, help="of one epoch")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)

    samples = [s for s in read_annotated(options.datasets)[0] if s.split != "test"]
    training, judged = read_folds(options.folds).split(samples, options.fold)
    kept = choose(training, options.images, options.seed)
    few = [s for s in training if s.name in kept]
    weak = [weakened(s, classes=options.classes) for s in training if s.name not in kept and s.labels is not None]
    boxed = [s for s in weak if s.boxes or s.image_class]
    full = figures(read_trial(options.full).images) if options.full else None

    def show(name: str, result: dict[str, float]) -> None:
        share = f"  share of full {result['mean IoU'] / full['mean IoU']:.3f}" if full else ""
        print(f"{name:<10} " + "  ".join(f"{k} {v:.3f}" for k, v in result.items()) + share, flush=True)  # noqa: T201

    print(f"{len(few)} images with masks, {len(boxed)} with boxes, {len(judged)} judged")  # noqa: T201
    if full:
        show("full", full)
    for row in options.rows:
        data = few if row == "masks" else few + boxed
        if row == "pseudo" and not (options.out / row / JUDGED).is_file():
            teacher = load_model(str(options.out / "outlined"))
            data = few + [s for s in label_weak_samples(weak, teacher)[0] if s.labels is not None]
        trial = run_trial(data, judged, settings(row, options), options.out / row)
        show(row, figures(trial.images))


if __name__ == "__main__":
    main()
