"""What every prior promises: shape, dtype, range, the same map from every depth, and plain refusals."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sgcldff_core.errors import ConfigError
from sgcldff_core.saliency import PRIORS, available_priors, compute_prior, registry

Prior = Callable[[np.ndarray[Any, Any]], Any]


def speckled(shape: tuple[int, int], seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.mark.parametrize("method", PRIORS)
@settings(deadline=None, max_examples=12)
@given(
    image=st.tuples(st.integers(1, 40), st.integers(1, 40)).flatmap(
        lambda shape: st.one_of(
            arrays(np.uint8, (*shape, 3)),
            arrays(np.uint16, (*shape, 3)),
            arrays(np.float32, (*shape, 3), elements=st.floats(0, 1, width=32)),
            arrays(np.float64, (*shape, 3), elements=st.floats(0, 1)),
        )
    )
)
def test_any_image_gives_a_map_of_its_size_in_range(method: str, image: np.ndarray[Any, Any]) -> None:
    before = image.copy()
    prior = compute_prior(image, method)
    assert prior.shape == image.shape[:2]
    assert prior.dtype == np.float32
    assert np.isfinite(prior).all()
    assert prior.min() >= 0
    assert prior.max() <= 1
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("method", PRIORS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (45, 61), (339, 421)])
def test_depth_does_not_matter(method: str, shape: tuple[int, int]) -> None:
    image = speckled(shape)
    expected = compute_prior(image, method)
    np.testing.assert_allclose(compute_prior(image.astype(np.uint16) * 257, method), expected, atol=2e-4)
    np.testing.assert_allclose(compute_prior(image / 255, method), expected, atol=2e-4)


@pytest.mark.parametrize("method", PRIORS)
@pytest.mark.parametrize("level", [0, 1, 128, 255])
def test_a_constant_image_has_a_constant_map(method: str, level: int) -> None:
    prior = compute_prior(np.full((50, 70, 3), level, np.uint8), method)
    assert np.ptp(prior) < 1e-5


@pytest.mark.parametrize("method", PRIORS)
@pytest.mark.parametrize("lamp", [(235, 225, 230), (250, 240, 140), (120, 110, 115)])
def test_noise_on_an_empty_slide_is_not_stretched(method: str, lamp: tuple[int, int, int]) -> None:
    noise = np.random.default_rng(1).normal(0, 2, (120, 160, 3))
    prior = compute_prior(np.clip(np.array(lamp) + noise, 0, 255).astype(np.uint8), method)
    assert np.ptp(prior) < 0.25


def test_the_default_is_the_fused_one() -> None:
    image = speckled((30, 30))
    assert PRIORS[0] == "fused"
    np.testing.assert_array_equal(compute_prior(image), compute_prior(image, "fused"))


def test_an_unknown_name_is_refused_with_the_known_listed() -> None:
    with pytest.raises(ConfigError, match=r"unknown saliency prior 'sift'; known are fused, stain, barrier"):
        compute_prior(speckled((4, 4)), "sift")


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.zeros((5, 5), np.uint8), r"shape \(H, W, 3\), got \(5, 5\)"),
        (np.zeros((5, 5, 4), np.uint8), r"got \(5, 5, 4\)"),
        (np.zeros((0, 5, 3), np.uint8), r"got \(0, 5, 3\)"),
        (np.zeros((5, 5, 3), np.int32), "uint8, uint16 or floats in 0..1, got int32"),
        (np.full((5, 5, 3), 200.0), "got 200 to 200; divide by the full scale"),
        (np.full((5, 5, 3), np.nan), "got nan to nan"),
        (np.full((5, 5, 3), -0.5, np.float32), "got -0.5"),
    ],
)
@pytest.mark.parametrize("method", PRIORS)
def test_what_is_no_rgb_image_is_refused(method: str, image: np.ndarray[Any, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        compute_prior(image, method)


@pytest.fixture
def announce(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Prior], None]:
    """Return a function that announces a prior as another installed package would."""

    def _announce(name: str, prior: Prior) -> None:
        class Announced(EntryPoint):
            def load(self) -> Prior:
                return prior

        point = Announced(name=name, value="other.package:prior", group=registry.ENTRY_POINTS)
        monkeypatch.setattr(registry, "entry_points", lambda **query: EntryPoints([point]).select(**query))

    return _announce


def test_other_packages_can_add_a_prior(announce: Callable[[str, Prior], None]) -> None:
    announce("half", lambda image: np.full(image.shape[:2], 0.5, np.float32))
    assert available_priors() == (*PRIORS, "half")
    assert (compute_prior(speckled((3, 4)), "half") == 0.5).all()


def test_other_packages_cannot_take_over_a_name(announce: Callable[[str, Prior], None]) -> None:
    announce("fused", lambda image: np.full(image.shape[:2], 0.5, np.float32))
    assert available_priors() == PRIORS
    assert not (compute_prior(speckled((9, 9))) == 0.5).all()


@pytest.mark.parametrize(
    "prior",
    [
        lambda image: np.zeros((2, 2), np.float32),
        lambda image: np.zeros(image.shape[:2]),
        lambda image: np.full(image.shape[:2], 1.5, np.float32),
        lambda image: np.full(image.shape[:2], np.nan, np.float32),
    ],
)
def test_a_map_of_another_package_is_checked(announce: Callable[[str, Prior], None], prior: Prior) -> None:
    announce("odd", prior)
    with pytest.raises(ConfigError, match=r"'odd' of other\.package:prior must return float32 in 0\.\.1"):
        compute_prior(speckled((5, 6)), "odd")
