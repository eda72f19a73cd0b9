"""Optical density and stains, on mixtures of known stains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sgcldff_core.saliency import compute_prior
from sgcldff_core.saliency.optical_density import (
    ROMANOWSKY,
    background_colour,
    estimate_stains,
    optical_density,
    stain_contrast,
)

LAMP = np.array([0.92, 0.9, 0.75], np.float32)
NUCLEAR = np.array([0.75, 0.62, 0.23])
EOSIN = np.array([0.15, 0.8, 0.58])


def dyed(nuclear: np.ndarray[Any, Any], eosin: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the RGB image of given amounts of two stains."""
    density = nuclear[..., np.newaxis] * NUCLEAR + eosin[..., np.newaxis] * EOSIN
    return (LAMP * np.exp(-density)).astype(np.float32)


@pytest.fixture
def smear() -> np.ndarray[Any, Any]:
    """Return a nucleus of amount 1.0 and a red cell of amount 0.5 on an empty slide."""
    nuclear, eosin = np.zeros((60, 80)), np.zeros((60, 80))
    nuclear[20:40, 10:30] = 1.0
    eosin[20:40, 50:70] = 0.5
    return dyed(nuclear, eosin)


def test_the_background_is_the_lamp(smear: np.ndarray[Any, Any]) -> None:
    np.testing.assert_allclose(background_colour(smear), LAMP, atol=1e-6)


def test_density_is_zero_on_glass_and_the_amount_in_stain(smear: np.ndarray[Any, Any]) -> None:
    density = optical_density(smear)
    np.testing.assert_allclose(density[0, 0], 0, atol=1e-6)
    np.testing.assert_allclose(density[30, 60], 0.5 * EOSIN, atol=0.02)


def test_density_of_black_is_bounded() -> None:
    image = np.ones((10, 10, 3), np.float32)
    image[5, 5] = 0
    assert optical_density(image)[5, 5] == pytest.approx([np.log(1.02 / 0.02)] * 3, rel=1e-3)


def test_macenko_finds_both_stains_nuclear_first() -> None:
    rng = np.random.default_rng(0)
    nuclear, eosin = rng.uniform(0, 1, (80, 80)), rng.uniform(0, 0.6, (80, 80))
    nuclear[:, :30], eosin[:, 50:] = 0, 0
    found = estimate_stains(optical_density(dyed(nuclear, eosin), LAMP))
    for vector, truth in zip(found, (NUCLEAR, EOSIN), strict=True):
        assert vector @ (truth / np.linalg.norm(truth)) > 0.995


def test_without_stain_or_with_one_only_the_literature_is_used() -> None:
    assert estimate_stains(np.zeros((20, 20, 3), np.float32)) is ROMANOWSKY
    one = np.linspace(0, 1, 900).reshape(30, 30, 1) * NUCLEAR
    assert estimate_stains(one.astype(np.float32)) is ROMANOWSKY


def test_deconvolution_keeps_the_nucleus_and_drops_the_red_cell(smear: np.ndarray[Any, Any]) -> None:
    prior = stain_contrast(smear)
    assert prior[30, 20] > 0.7
    assert prior[30, 60] < 0.1
    assert prior[0, 0] < 0.01


@pytest.mark.parametrize("method", ["stain", "fused"])
@pytest.mark.parametrize("gains", [(0.6, 0.6, 0.6), (1.0, 0.8, 0.5), (0.55, 0.9, 1.05)])
def test_lamp_and_gains_do_not_matter(
    smear: np.ndarray[Any, Any], method: str, gains: tuple[float, float, float]
) -> None:
    expected = compute_prior(smear, method)
    assert np.ptp(expected) > 0.5
    changed = compute_prior(smear * np.array(gains, np.float32), method)
    np.testing.assert_allclose(changed, expected, atol=1e-3)
