"""Tell how well the annotation of the public sets agrees with itself, on cells that were photographed twice.

    python benchmarks/annotation_repeats.py ../shared/data/zheng ../shared/data/bccd

Lays the two photographs of each pair (``sgcldff datasets duplicates``) over each other, to the pixel at which the
masks agree best, and prints the IoU of the two masks within what both photographs show, with 95 % bootstrap
intervals over pairs; and how many cells bear two names.
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
from sgcldff_core.training import read_annotated

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

NEAR = 4  # px around the shift that was found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    options = parser.parse_args()
    samples = {s.name: s for s in read_annotated(options.datasets)[0]}
    pairs = find_near_duplicates(samples.values())
    say = Console(width=120).print
    for source in dict.fromkeys(samples[pair.one].source for pair in pairs):
        own = [pair for pair in pairs if samples[pair.one].source == source]
        both = np.array([agreement(samples[pair.one], samples[pair.other], pair) for pair in own])
        for part, values in zip(("leukocyte", "nucleus"), both.T, strict=True):
            low, high = bootstrap((values,), np.mean, random_state=0).confidence_interval
            say(f"{source}: {len(own)} pairs, IoU of the {part} {values.mean():.3f} ({low:.3f}-{high:.3f})")
    named = [pair for pair in pairs if None not in pair.classes]
    two = sum(pair.two_names for pair in named)
    low, high = binomtest(two, len(named)).proportion_ci(method="wilson")
    say(f"{len(named)} pairs with two names, {two} of them different: {two / len(named):.3f} ({low:.3f}-{high:.3f})")


def agreement(one: Sample, other: Sample, pair: NearDuplicate) -> tuple[float, float]:
    """Return the IoU of two masks of one cell, and of its nucleus."""
    masks = [largest(sample.read_labels()) for sample in (one, other)]
    nuclei = [sample.read_nucleus() & mask for sample, mask in zip((one, other), masks, strict=True)]
    around = range(-NEAR, NEAR + 1)
    places = [
        overlap(masks[0].shape, masks[1].shape, pair.shift[0] + y, pair.shift[1] + x)
        for y, x in product(around, around)
    ]
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
