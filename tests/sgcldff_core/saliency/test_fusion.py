"""The fused prior on drawn cells, wherever they lie and however large they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from sgcldff_core.saliency import compute_prior, estimate_diameter
from sgcldff_core.saliency.fusion import TERMS, evidence

GLASS, CYTOPLASM, NUCLEUS, RED = (235, 228, 232), (200, 185, 220), (95, 50, 140), (225, 165, 165)


def disc(shape: tuple[int, int], centre: tuple[float, float], diameter: float) -> np.ndarray[Any, Any]:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < (diameter / 2) ** 2


def draw(
    shape: tuple[int, int],
    leukocyte: tuple[float, float] | None,
    red_cells: tuple[tuple[float, float], ...] = (),
    diameter: float = 60,
) -> np.ndarray[Any, Any]:
    image = np.full((*shape, 3), GLASS, float)
    for centre in red_cells:
        image[disc(shape, centre, 0.6 * diameter)] = RED
    if leukocyte:
        image[disc(shape, leukocyte, diameter)] = CYTOPLASM
        image[disc(shape, leukocyte, 0.7 * diameter)] = NUCLEUS
    image = ndimage.gaussian_filter(image, (0.7, 0.7, 0))
    return np.clip(image + np.random.default_rng(0).normal(0, 2, image.shape), 0, 255).astype(np.uint8)


REDS = ((40.0, 150.0), (150.0, 150.0), (150.0, 50.0))


@pytest.mark.parametrize("centre", [(100, 100), (60, 60), (100, 140), (0, 60), (199, 199)])
def test_a_leukocyte_is_found_anywhere_also_cut_by_the_border(centre: tuple[int, int]) -> None:
    reds = tuple(c for c in REDS if np.hypot(c[0] - centre[0], c[1] - centre[1]) > 60)
    prior = compute_prior(draw((200, 200), centre, reds))
    nucleus = disc((200, 200), centre, 36)
    glass = ~disc((200, 200), centre, 110)
    for red in reds:
        glass &= ~disc((200, 200), red, 50)
        assert prior[disc((200, 200), red, 24)].mean() < 0.5 * prior[nucleus].mean()
    assert prior[nucleus].min() > 0.6
    assert prior[glass].mean() < 0.05


def test_pale_cytoplasm_is_salient_because_of_the_nucleus_in_it() -> None:
    pink = (228, 205, 214)
    with_nucleus = np.full((200, 200, 3), GLASS, np.uint8)
    with_nucleus[disc((200, 200), (100, 100), 60)] = pink
    alone = with_nucleus.copy()
    with_nucleus[disc((200, 200), (100, 100), 42)] = NUCLEUS
    ring = disc((200, 200), (100, 100), 56) & ~disc((200, 200), (100, 100), 46)
    assert compute_prior(with_nucleus)[ring].mean() > 3 * compute_prior(alone)[ring].mean()


def test_a_cell_may_fill_most_of_the_image() -> None:
    prior = compute_prior(draw((120, 120), (60, 60), diameter=112))
    assert prior[disc((120, 120), (60, 60), 70)].min() > 0.8
    assert prior[~disc((120, 120), (60, 60), 150)].mean() < 0.3


def test_red_cells_alone_do_not_light_up() -> None:
    prior = compute_prior(draw((200, 200), None, (*REDS, (50, 50), (100, 100))))
    assert prior.mean() < 0.15


@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, lambda a: a.swapaxes(0, 1)])
def test_mirrored_images_have_mirrored_maps(turn: Any) -> None:
    image = draw((160, 160), (60, 90), ((120.0, 40.0),))
    difference = np.abs(compute_prior(turn(image)) - turn(compute_prior(image)))
    assert difference.mean() < 0.01
    assert np.quantile(difference, 0.99) < 0.15


def test_the_map_moves_with_the_cell() -> None:
    here, there = compute_prior(draw((240, 240), (80, 80))), compute_prior(draw((240, 240), (140, 150)))
    difference = np.abs(here[30:130, 30:130] - there[90:190, 100:200])
    assert difference.mean() < 0.03


@pytest.mark.parametrize("factor", [0.5, 2.0, 3.5])
def test_magnification_does_not_matter(factor: float) -> None:
    small = compute_prior(draw((150, 200), (60, 80), ((110.0, 150.0),)))
    shape = (round(150 * factor), round(200 * factor))
    large = compute_prior(draw(shape, (60 * factor, 80 * factor), ((110 * factor, 150 * factor),), 60 * factor))
    assert large.shape == shape
    assert np.abs(ndimage.zoom(large, 1 / factor, order=1)[:150, :200] - small).mean() < 0.04


def test_terms_are_shares_and_each_has_a_weight() -> None:
    terms, scale = evidence(draw((200, 260), (100, 100), REDS).astype(np.float32) / 255)
    assert len(terms) == len(TERMS)
    assert terms.min() >= 0
    assert terms.max() <= 1
    assert terms.shape[1] == pytest.approx(200 / scale, abs=1)


@pytest.mark.parametrize("diameter", [24, 60, 110, 220])
def test_the_diameter_is_estimated(diameter: float) -> None:
    side = 4 * diameter
    image = draw((side, side), (1.2 * diameter, 1.5 * diameter), ((3.2 * diameter, 3 * diameter),), diameter)
    assert estimate_diameter(image) == pytest.approx(diameter, rel=0.35)


def test_no_diameter_without_nuclei() -> None:
    assert estimate_diameter(draw((100, 100), None)) is None
    assert estimate_diameter(np.zeros((1, 1, 3), np.uint8)) is None
