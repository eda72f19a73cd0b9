"""Grids: blocks are means, and maps come back where they belong."""

from __future__ import annotations

import numpy as np
import pytest

from sgcldff_core.saliency.pixels import block_mean, resized, soft_step, spread, unit_rgb


def test_blocks_are_means_and_the_rim_is_repeated() -> None:
    image = np.arange(5 * 4 * 3, dtype=np.uint16).reshape(5, 4, 3)
    means = block_mean(image, 2)
    assert means.shape == (3, 2, 3)
    np.testing.assert_allclose(means[0, 0] * 65535, image[:2, :2].mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(means[2, 1] * 65535, image[4, 2:].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("shape", [(12, 9), (13, 10), (14, 11)])
def test_a_map_comes_back_to_its_place(shape: tuple[int, int]) -> None:
    ramp = np.arange(shape[1], dtype=np.float32) / 20 + np.zeros((*shape, 1), np.float32).swapaxes(1, 2)
    image = np.repeat(ramp.reshape(*shape, 1), 3, axis=2)
    back = spread(block_mean(image, 3)[..., 0], 3, shape)
    assert back.shape == shape
    np.testing.assert_allclose(back[:, 1 : shape[1] - 3], image[:, 1 : shape[1] - 3, 0], atol=1e-5)


def test_resizing_to_the_same_grid_changes_nothing() -> None:
    plane = np.random.default_rng(0).random((7, 5)).astype(np.float32)
    assert resized(plane, (7, 5)) is plane


def test_the_soft_step_is_half_at_its_half_way_point() -> None:
    values = np.array([-1, 0, 0.3, 0.6, 100], np.float32)
    np.testing.assert_allclose(soft_step(values, 0.3), [0, 0, 0.5, 0.75, 1], atol=1e-6)


def test_floats_a_hair_above_one_are_taken() -> None:
    assert unit_rgb(np.full((2, 2, 3), 1.0005, np.float32)).max() <= 1.001
