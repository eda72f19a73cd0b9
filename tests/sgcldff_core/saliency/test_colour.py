"""Pixelwise priors against values worked out by hand, and against moving the image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skimage.color import rgb2lab

from sgcldff_core.saliency import compute_prior

WHITE, PURPLE, GREY = (255, 255, 255), (100, 0, 100), (51, 51, 51)


def one_pixel(colour: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    return np.array([[colour]], np.uint8)


@pytest.mark.parametrize(("colour", "value"), [(WHITE, 0.0), (PURPLE, 1.0), (GREY, 0.8)])
def test_inverse_green(colour: tuple[int, int, int], value: float) -> None:
    assert compute_prior(one_pixel(colour), "inverse_green")[0, 0] == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("colour", "value"), [(WHITE, 0.0), (PURPLE, 1.0), (GREY, 0.4), ((0, 0, 0), 0.5)])
def test_saturation_green(colour: tuple[int, int, int], value: float) -> None:
    assert compute_prior(one_pixel(colour), "saturation_green")[0, 0] == pytest.approx(value, abs=1e-6)


def test_distance_to_the_border_is_that_of_lab() -> None:
    image = np.full((20, 20, 3), (240, 230, 160), np.uint8)
    image[8:12, 8:12] = 110, 60, 130
    prior = compute_prior(image, "border_distance")
    distance = np.linalg.norm(rgb2lab(image[9, 9]) - rgb2lab(image[0, 0]))
    assert prior[0, 0] == 0
    assert prior[9, 9] == pytest.approx(distance / 100, rel=1e-4)


def test_a_dark_cell_at_the_border_does_not_become_the_background() -> None:
    image = np.full((20, 20, 3), 240, np.uint8)
    image[5:15, :8] = 110, 60, 130
    prior = compute_prior(image, "border_distance")
    assert prior[10, 3] > 0.5
    assert prior[10, 15] == 0


def test_the_rare_colour_is_salient() -> None:
    image = np.full((40, 40, 3), (230, 220, 225), np.uint8)
    image[15:25, 15:25] = 110, 60, 130
    prior = compute_prior(image, "frequency_tuned")
    mean = rgb2lab(image).mean(axis=(0, 1))
    assert prior[20, 20] == pytest.approx(np.linalg.norm(rgb2lab(image[20, 20]) - mean) / 100, rel=1e-4)
    assert prior[20, 20] > 5 * prior[2, 2]


def test_spectral_residual_marks_the_odd_one_out() -> None:
    image = np.random.default_rng(0).integers(200, 230, (128, 128, 3)).astype(np.uint8)
    image[70:90, 30:50] = 90
    prior = compute_prior(image, "spectral_residual")
    y, x = np.unravel_index(prior.argmax(), prior.shape)
    assert 60 < y < 100
    assert 20 < x < 60
    assert prior.max() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("method", ["inverse_green", "saturation_green"])
def test_pixelwise_priors_move_with_the_image(method: str) -> None:
    image = np.random.default_rng(3).integers(0, 256, (31, 44, 3), dtype=np.uint8)
    prior = compute_prior(image, method)
    np.testing.assert_array_equal(
        compute_prior(np.roll(image, (5, -7), (0, 1)), method), np.roll(prior, (5, -7), (0, 1))
    )


@pytest.mark.parametrize("method", ["stain", "border_distance", "frequency_tuned"])
def test_mirrored_images_have_mirrored_maps(method: str) -> None:
    image = np.random.default_rng(4).integers(0, 256, (31, 44, 3), dtype=np.uint8)
    prior = compute_prior(image, method)
    np.testing.assert_allclose(compute_prior(image[::-1], method), prior[::-1], atol=1e-5)
    np.testing.assert_allclose(compute_prior(image.swapaxes(0, 1), method), prior.T, atol=1e-5)
