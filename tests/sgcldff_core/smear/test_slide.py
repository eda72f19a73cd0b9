"""A slide's tiles must fit together: no cell may change where one tile ends and the next begins."""

from __future__ import annotations

import numpy as np
import pytest

from sgcldff_core.errors import ConfigError
from sgcldff_core.smear import SmearSettings, make_slide
from sgcldff_core.smear.scene import paint
from sgcldff_core.smear.slide import leukocytes_on
from sgcldff_core.smear.window import Window

SETTINGS = SmearSettings(height=200, width=200, diameter=40, leukocytes=5, stain="pale", noise=0.0)


def test_a_huge_slide_is_made_only_where_it_is_looked_at() -> None:
    slide = make_slide(1, 100_000, 80_000, SETTINGS, tile=128)
    assert slide.image.shape == (100_000, 80_000, 3)
    assert slide.labels.shape == (100_000, 80_000)
    there = np.s_[70_000:70_100, 30_000:30_120]
    image, labels = slide.image[there].compute(scheduler="sync"), slide.labels[there].compute(scheduler="sync")
    assert image.shape == (100, 120, 3)
    assert image.dtype == np.uint8
    assert image.std() > 5
    classes = slide.classes_in(70_000, 30_000, 100, 120)
    assert set(np.unique(labels)) - {0} <= set(classes)


def test_labels_do_not_depend_on_the_tiles() -> None:
    small, large = (make_slide(2, 260, 300, SETTINGS, tile=t).labels.compute(scheduler="sync") for t in (70, 400))
    np.testing.assert_array_equal(small, large)
    assert len(np.unique(large)) > 4


@pytest.mark.parametrize("coverage", [0.4, 1.2])
def test_density_of_a_window_does_not_depend_on_the_window(coverage: float) -> None:
    settings = SmearSettings(height=200, width=200, diameter=40, leukocytes=4, erythrocytes=coverage)
    for seed in range(3):
        whole, part = Window(0, 0, 260, 260), Window(90, 110, 80, 70)
        densities = [paint(seed, settings, leukocytes_on(seed, settings, w, 1000), w).density for w in (whole, part)]
        np.testing.assert_allclose(densities[1], densities[0][90:170, 110:180], atol=1e-3)


def test_the_image_is_seamless() -> None:
    small, large = (
        make_slide(3, 150, 150, SETTINGS, tile=t).image.compute(scheduler="sync").astype(float) for t in (75, 150)
    )
    # Only the compression, made for each tile, may differ.
    assert np.abs(small - large).mean() < 2.5
    assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.98


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ConfigError, match="height 0, width 10, tile 512: the seed must be 0 or more"):
        make_slide(0, 0, 10)
    with pytest.raises(ConfigError, match="leave no room at a diameter of 120; ask for 7 or fewer"):
        make_slide(0, 100, 100, SmearSettings(height=480, width=640, leukocytes=40, diameter=120))
