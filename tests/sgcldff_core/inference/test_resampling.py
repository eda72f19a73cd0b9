"""Back to the input's size without stairs, and without labels that were not there."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import resize

from sgcldff_core.inference.resampling import resize_image, resize_labels, resize_map


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.tuples(*[st.integers(1, 12)] * 2), st.tuples(*[st.integers(1, 40)] * 2))
def test_a_pixel_takes_the_label_whose_resized_mask_is_highest(
    seed: int, old: tuple[int, int], new: tuple[int, int]
) -> None:
    labels = np.random.default_rng(seed).integers(0, 4, old).astype(np.int32)
    masks = [resize((labels == k).astype(float), new, order=1, mode="edge", anti_aliasing=False) for k in range(4)]
    resized = resize_labels(labels, new)
    assert resized.dtype == np.int32
    highest = np.max(masks, axis=0)
    np.testing.assert_allclose(np.take_along_axis(np.stack(masks), resized[None], 0)[0], highest, atol=1e-9)


def test_enlarged_outlines_have_no_stairs() -> None:
    yy, xx = np.mgrid[:20, :20]
    half_plane = (yy > 0.5 * xx + 3).astype(np.int32)
    enlarged = resize_labels(half_plane, (160, 160))
    first = enlarged.argmax(0)[20:140]
    assert np.abs(np.diff(first)).max() <= 6  # a stair of nearest neighbours is 8 high


def test_maps_keep_their_mean_when_they_shrink() -> None:
    values = np.zeros((64, 64), np.float32)
    values[::2] = 1
    assert np.allclose(resize_map(values, (16, 16)), 0.5, atol=0.06)
    assert resize_map(values, (64, 64)) is values


def test_an_image_can_be_written_to_after_it_was_resized() -> None:
    image = np.full((8, 8, 3), 7, np.uint8)
    assert (resize_image(image, (4, 12)) == 7).all()
    assert resize_image(image, (4, 12)).shape == (4, 12, 3)
