"""Floors under the default prior on a small, fixed set of real images."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgcldff_core.datasets import open_dataset
from sgcldff_core.evaluation.prior_figures import (
    judged_pixels,
    off_centre_window,
    summarise_tallies,
    tally_prior,
)
from sgcldff_core.saliency import compute_prior


@pytest.mark.parametrize(
    ("folder", "source", "every", "auc", "off_centre", "iou"),
    [
        ("zheng", "zheng1", 20, 0.985, 0.985, 0.85),
        ("zheng", "zheng2", 6, 0.97, 0.97, 0.65),
        ("bccd/BCCD", "bccd", 25, 0.97, 0.97, 0.80),
        ("all_idb2", "all_idb2", 17, 0.97, 0.97, 0.80),
    ],
)
def test_the_default_finds_real_leukocytes(
    real_data: Path, folder: str, source: str, every: int, auc: float, off_centre: float, iou: float
) -> None:
    samples = [s for s in open_dataset(real_data / folder) if s.source == source and s.labels is not None]
    whole, shifted = [], []
    for sample in samples[::every]:
        image, labels = sample.read_image(), sample.read_labels()
        assert labels is not None
        mask = labels > 0
        judged = judged_pixels(sample, mask)
        window = off_centre_window(mask, sample.name)
        whole.append(tally_prior(compute_prior(image), mask, judged))
        shifted.append(tally_prior(compute_prior(image[window]), mask[window], judged[window]))
    figures = summarise_tallies(whole)
    assert figures.images >= 10
    assert figures.auc >= auc
    assert figures.iou >= iou
    assert figures.energy > 2 * figures.foreground
    assert summarise_tallies(shifted).auc >= off_centre
