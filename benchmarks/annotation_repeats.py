"""Tell how well the annotation of the public sets agrees with itself, on cells that were photographed twice.

    python benchmarks/annotation_repeats.py ../shared/data/zheng ../shared/data/bccd [--trials runs/fold/seed0/fold*]

Lays the two photographs of each pair (``sgcldff datasets duplicates``) over each other, to the pixel at which the
masks agree best, and prints the IoU of the two masks within what both photographs show, with 95 % bootstrap
intervals over pairs; and how many cells bear two names.

With ``--trials``, the folds of a cross-validation, the same is said of the model and the annotation: each of these
images is outlined by the network that judged it, and its outline laid over the annotated one likewise. Brackets
after the difference: the pairs are drawn anew, for both at once.
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from scipy.stats import binomtest, bootstrap

from sgcldff_core.datasets.near_duplicates import NearDuplicate, find_near_duplicates, overlap
from sgcldff_core.evaluation.trial import read_trial
from sgcldff_core.inference import predict_image
from sgcldff_core.model import load_model
from sgcldff_core.training import read_annotated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sgcldff_core.sample import Sample

NEAR = 4  # px around the shift that was found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--trials", nargs="*", type=Path, default=[], help="all finished folds with their networks")
    options = parser.parse_args()
    samples = {s.name: s for s in read_annotated(options.datasets)[0]}
    pairs = find_near_duplicates(samples.values())
    say = Console(width=120).print
    found = outlined(options.trials, {name for pair in pairs for name in (pair.one, pair.other)}, samples)
    for source in dict.fromkeys(samples[pair.one].source for pair in pairs):
        own = [pair for pair in pairs if samples[pair.one].source == source]
        both = np.array([agreement(samples[pair.one], samples[pair.other], pair) for pair in own])
        for part, values in zip(("leukocyte", "nucleus"), both.T, strict=True):
            low, high = bootstrap((values,), np.mean, random_state=0).confidence_interval
            say(f"{source}: {len(own)} pairs, IoU of the {part} {values.mean():.3f} ({low:.3f}-{high:.3f})")
        if found.keys() >= {name for pair in own for name in (pair.one, pair.other)}:
            model = np.array([np.add(found[pair.one], found[pair.other]) / 2 for pair in own])
            for part, theirs, ours in zip(("leukocyte", "nucleus"), both.T, model.T, strict=True):
                low, high = bootstrap((ours - theirs,), np.mean, random_state=0).confidence_interval
                lead = (ours - theirs).mean()
                say(
                    f"{source}: model and annotation, {part} {ours.mean():.3f}, {lead:+.3f} ({low:+.3f} to {high:+.3f})"
                )
    named = [pair for pair in pairs if None not in pair.classes]
    two = sum(pair.two_names for pair in named)
    low, high = binomtest(two, len(named)).proportion_ci(method="wilson")
    say(f"{len(named)} pairs with two names, {two} of them different: {two / len(named):.3f} ({low:.3f}-{high:.3f})")


def agreement(one: Sample, other: Sample, pair: NearDuplicate) -> tuple[float, float]:
    """Return the IoU of two masks of one cell, and of its nucleus."""
    masks = [largest(sample.read_labels()) for sample in (one, other)]
    nuclei = [sample.read_nucleus() & mask for sample, mask in zip((one, other), masks, strict=True)]
    return best_agreement(masks, nuclei, pair.shift)


def outlined(trials: Sequence[Path], names: set[str], samples: dict[str, Sample]) -> dict[str, tuple[float, float]]:
    """Return how far a model that had not seen an image agrees with its annotation, by the name of the image."""
    out = {}
    for trial in trials:
        model = load_model(trial)
        for name in sorted(names & {image.name for image in read_trial(trial).images}):
            sample = samples[name]
            mask = largest(sample.read_labels())
            result = predict_image(sample.read_image(), model)
            counts = np.bincount(result.labels[mask], minlength=2)[1:]
            own = (result.labels == counts.argmax() + 1) & counts.any()
            nuclei = [sample.read_nucleus() & mask, result.nucleus & own]
            out[name] = best_agreement([mask, own], nuclei, (0, 0))
    return out


def best_agreement(
    masks: list[NDArray[np.bool_]], nuclei: list[NDArray[np.bool_]], shift: tuple[int, int]
) -> tuple[float, float]:
    """Return the IoU of two masks, and of two nuclei, near a shift and where the masks agree best."""
    around = range(-NEAR, NEAR + 1)
    places = [overlap(masks[0].shape, masks[1].shape, shift[0] + y, shift[1] + x) for y, x in product(around, around)]
    best = max(places, key=lambda place: iou(masks, *place))
    return iou(masks, *best), iou(nuclei, *best)


def iou(masks: list[NDArray[np.bool_]], a: tuple[slice, slice], b: tuple[slice, slice]) -> float:
    """Return the IoU of two masks where both images are."""
    one, other = masks[0][a], masks[1][b]
    return np.count_nonzero(one & other) / max(np.count_nonzero(one | other), 1)


def largest(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return the cell that near duplicates are found by."""
    return labels == np.bincount(labels[labels > 0]).argmax()


if __name__ == "__main__":
    main()
