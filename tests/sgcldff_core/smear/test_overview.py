"""A slide from afar has its cells where the slide has them."""

from __future__ import annotations

import numpy as np
import pytest

from sgcldff_core.errors import ConfigError
from sgcldff_core.smear import SmearSettings
from sgcldff_core.smear.overview import draw_overviews
from sgcldff_core.smear.slide import make_slide

SETTINGS = SmearSettings(height=512, width=512, diameter=60, leukocytes=3, stain="wright")


@pytest.mark.parametrize("factor", [2, 4, 16])
def test_cells_and_colours_are_those_of_the_slide(factor: int) -> None:
    slide = make_slide(21, 700, 900, SETTINGS)
    image, labels = draw_overviews(slide, [factor])[0]
    assert image.shape == (-(-700 // factor), -(-900 // factor), 3)
    assert labels.shape == image.shape[:2]
    near, far = np.asarray(slide.labels), np.asarray(labels)
    assert far.dtype == np.int32
    whole = {n for n, count in zip(*np.unique(near[near > 0], return_counts=True), strict=True) if count > 1500}
    assert whole <= set(np.unique(far))
    taken = near[factor // 2 :: factor, factor // 2 :: factor]
    mine = far[: taken.shape[0], : taken.shape[1]]
    both = (mine > 0) | (taken > 0)
    assert ((mine == taken) & both).sum() / both.sum() > (0.4 if factor == 16 else 0.65)
    pixels, small = np.asarray(slide.image).astype(float), np.asarray(image).astype(float)
    np.testing.assert_allclose(small[far == 0].mean(0), pixels[near == 0].mean(0), atol=12)
    assert small[far > 0].mean() < small[far == 0].mean() - 30


def test_parts_fit_together() -> None:
    image, labels = draw_overviews(make_slide(21, 4096, 3000, SETTINGS), [4])[0]
    for whole in (image, labels):
        joined = np.asarray(whole[200:330, 180:300])
        np.testing.assert_array_equal(joined[56:, 76:], np.asarray(whole[256:330, 256:300]))
    assert image.numblocks[:2] == (4, 3)


def test_a_factor_that_does_not_make_smaller_is_refused() -> None:
    with pytest.raises(ConfigError, match="the factor must be at least 2, got 1"):
        draw_overviews(make_slide(1, 64, 64, SETTINGS), [4, 1])
