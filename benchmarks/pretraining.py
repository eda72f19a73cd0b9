"""Measure whether pre-training on synthetic smears helps where real annotations are few.

Trains the same network with the same budget on a handful of real images with masks, once from
ImageNet weights alone and once from ImageNet weights pre-trained on synthetic smears, and prints
the figures on held-out real images for each seed::

    python benchmarks/pretraining.py ../shared/data/zheng --images 20 --seeds 2
"""

from __future__ import annotations

import argparse
import random
import tempfile
from dataclasses import replace
from pathlib import Path

from sgcldff_core.datasets import open_dataset
from sgcldff_core.smear import make_samples
from sgcldff_core.training import (
    PreparedSample,
    TrainingConfig,
    prepare,
    split_samples,
    train,
    typical_diameters,
)


def run(
    training: list[PreparedSample], validation: list[PreparedSample], config: TrainingConfig, folder: Path
) -> dict[str, float]:
    """Train to the end and return the last figures on held-out images."""
    figures = {}
    for progress in train(training, validation, config, folder):
        figures = dict(progress.figures or figures)
    return figures


def main() -> None:
    """Print one row a seed and start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--images", type=int, default=20, help="real images with masks to learn from")
    parser.add_argument("--synthetic", type=int, default=300, help="synthetic images to pre-train on")
    parser.add_argument("--steps", type=int, default=200, help="steps of pre-training, and of training")
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()

    samples = [s for s in open_dataset(options.dataset) if s.labels is not None]
    pool, held = split_samples(samples, 0.2, 0)
    settings = TrainingConfig(epochs=1, views=8 * options.steps, workers=0)
    model = settings.model

    def ready(chosen: list, diameters: dict[str, float]) -> list[PreparedSample]:
        return prepare(chosen, model.classes, model.canonical_diameter, diameters, model.prior)[0]

    diameters = typical_diameters(pool)
    validation = ready(held, diameters)
    drawn = [p for s in make_samples(options.synthetic, 0) for p in ready([s], typical_diameters([s]))]
    print(f"{'seed':>4} {'start':<22} {'figures on ' + str(len(held)) + ' held-out images'}")  # noqa: T201
    for seed in range(options.seeds):
        few = ready(random.Random(seed).sample(pool, options.images), diameters)
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            run(drawn, validation, replace(settings, seed=seed), folder / "synthetic")
            for start, name in (("imagenet", "ImageNet"), (str(folder / "synthetic"), "ImageNet + synthetic")):
                figures = run(few, validation, replace(settings, seed=seed, start=start), folder / name)
                shown = "  ".join(f"{k} {v:.3f}" for k, v in figures.items())
                print(f"{seed:>4} {name:<22} {shown}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
