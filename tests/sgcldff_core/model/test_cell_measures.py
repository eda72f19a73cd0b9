"""Measures of cells that are drawn so that each is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.color import rgb2lab

from sgcldff_core.model.cell_measures import MEASURES, measure_cells

GLASS, CYTOPLASM, NUCLEUS = (230, 224, 228), (172, 165, 205), (88, 60, 142)
SIZE = 96.0


def field(lobes: int = 1, granules: tuple[int, int, int] | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One round cell with a nucleus of so many round lobes, and dots in its cytoplasm."""
    yy, xx = np.mgrid[:160, :160]
    image = np.full((160, 160, 3), GLASS, np.uint8)
    labels = (np.hypot(yy - 80, xx - 80) < SIZE / 2).astype(np.int32)
    nucleus = np.zeros(labels.shape, bool)
    for k in range(lobes):
        nucleus |= np.hypot(yy - 80, xx - 80 - 30 * (k - (lobes - 1) / 2)) < 13
    image[labels > 0] = CYTOPLASM
    if granules is not None:
        image[(labels > 0) & (yy % 6 < 2) & (xx % 6 < 2)] = granules
    image[nucleus] = NUCLEUS
    return image, labels, nucleus


def measured(*given: object, **drawn: object) -> dict[str, float]:
    (row,) = measure_cells(*(given or field(**drawn)), SIZE)  # type: ignore[arg-type, misc]
    return dict(zip(MEASURES, row.tolist(), strict=True))


def test_every_measure_has_a_name_of_its_own() -> None:
    assert len(set(MEASURES)) == len(MEASURES)
    assert measure_cells(field()[0], np.zeros((160, 160), np.int32), field()[2], SIZE).shape == (0, len(MEASURES))


def test_shapes_are_those_drawn() -> None:
    one, two = measured(), measured(lobes=2)
    assert one["diameter"] == pytest.approx(1.0, abs=0.02)
    assert one["nucleus share"] == pytest.approx((13 / 48) ** 2, abs=0.01)
    assert (one["lobes"], two["lobes"]) == (1, 2)
    assert (one["largest lobe"], two["largest lobe"]) == (1, pytest.approx(0.5, abs=0.01))
    assert one["nucleus solidity"] > 0.95 > two["nucleus solidity"]
    assert one["nucleus eccentricity"] < 0.3 < two["nucleus eccentricity"]


def test_colours_are_those_of_the_parts() -> None:
    found = measured()
    glass, cytoplasm, nucleus = (rgb2lab(np.array(rgb) / 255.0) for rgb in (GLASS, CYTOPLASM, NUCLEUS))
    for k, channel in enumerate("Lab"):
        assert found[f"cytoplasm {channel} 50 %"] == pytest.approx(cytoplasm[k], abs=0.01)
        assert found[f"nucleus {channel} 25 %"] == pytest.approx(nucleus[k], abs=0.01)
        assert found[f"cytoplasm {channel} over glass"] == pytest.approx(cytoplasm[k] - glass[k], abs=0.05)
    assert found["cytoplasm L spread"] == pytest.approx(0, abs=1e-3)
    assert found["nucleus chroma"] > found["cytoplasm chroma"]


def test_red_granules_are_told_from_a_plain_cytoplasm_and_from_pale_ones() -> None:
    plain, red, pale = measured(), measured(granules=(214, 96, 84)), measured(granules=(215, 210, 225))
    for name in ("cytoplasm a grain 0", "cytoplasm a grain 1"):
        assert red[name] > plain[name] + 1
    assert red["cytoplasm a 95 %"] > plain["cytoplasm a 95 %"] + 10
    assert red["granules 0: dark"] > 0.5 > -0.5 > pale["granules 0: dark"]
    assert red["granules 1: red"] > 0.5  # dots stand out on one side


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 40), st.integers(0, 40))
def test_where_a_cell_lies_does_not_matter(down: int, right: int) -> None:
    image, labels, nucleus = field(lobes=2, granules=(214, 96, 84))
    moved = [np.pad(x, [(down, 0), (right, 0), (0, 0)][: x.ndim], mode="edge") for x in (image, labels, nucleus)]
    np.testing.assert_allclose(
        list(measured(*moved).values()), list(measured(image, labels, nucleus).values()), atol=1e-3
    )


@pytest.mark.parametrize("kernel", [False, True])
@pytest.mark.parametrize("radius", [1, 3, 60])
def test_fragments_and_cells_without_glass_or_nucleus_have_finite_measures(radius: int, kernel: bool) -> None:
    yy, xx = np.mgrid[:80, :80]
    labels = (np.hypot(yy - 10, xx - 10) <= radius).astype(np.int32)
    image = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    found = measure_cells(image, labels, (labels > 0) & kernel, SIZE)
    assert np.isfinite(found).all()
