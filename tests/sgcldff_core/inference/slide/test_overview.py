"""From afar: glass, thick and empty regions, places where cells can be measured."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from numpy.typing import NDArray

from sgcldff_core.datasets.pyramids import Level, Pyramid
from sgcldff_core.inference.slide.overview import Overview, read_shrunk, take_overview
from sgcldff_core.inference.slide.region import worth_a_look
from sgcldff_core.smear import SmearSettings, make_smear

SETTINGS = {"height": 480, "width": 480, "diameter": 40.0, "stain": "wright", "cut": 0.0}


def _small(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return read_shrunk(Pyramid.of_arrays(image), (0, 0, *image.shape[:2]), 40 / 12)


def _glass(seed: int) -> tuple[NDArray[np.uint8], tuple[float, ...]]:
    image = make_smear(seed, SmearSettings(leukocytes=0, erythrocytes=0, platelets=0, **SETTINGS)).image
    return image, tuple((np.median(image, axis=(0, 1)) / 255).tolist())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_single_leukocyte_makes_a_region_worth_a_look(seed: int) -> None:
    smear = make_smear(seed, SmearSettings(leukocytes=1, **SETTINGS))
    assert worth_a_look(_small(smear.image), _glass(seed)[1]) == "cells"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_glass_is_empty_and_layers_of_cells_are_thick(seed: int) -> None:
    image, glass = _glass(seed)
    assert worth_a_look(_small(image), glass) == "empty"
    crowd = make_smear(seed, SmearSettings(leukocytes=0, erythrocytes=1.4, **SETTINGS)).image
    layers = np.prod([np.rot90(crowd, turn) / (255 * np.array(glass)) for turn in range(4)], axis=0)
    thick = np.clip(255 * np.array(glass) * layers, 0, 255).astype(np.uint8)
    assert worth_a_look(_small(thick), glass) == "thick"
    assert worth_a_look(_small(crowd), glass) != "thick"  # one crowded layer is not too thick


def test_fields_packed_with_leukocytes_are_not_too_thick() -> None:
    smear = make_smear(4, SmearSettings(leukocytes=60, touching=0.9, **SETTINGS))
    assert (smear.labels > 0).mean() > 0.25
    assert worth_a_look(_small(smear.image), _glass(4)[1]) == "cells"


def test_an_overview_is_the_mean_of_what_it_stands_for_with_or_without_coarse_levels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sgcldff_core.inference.slide.overview._LONGEST", 64)
    image = np.random.default_rng(0).integers(100, 255, (256, 512, 3), dtype=np.uint8)
    half = np.rint(image.reshape(128, 2, 256, 2, 3).mean((1, 3))).astype(np.uint8)
    alone = take_overview(Pyramid.of_arrays(da.from_array(image, chunks=50)))
    both = take_overview(Pyramid((Level(image, "yxc"), Level(half, "yxc"))))
    want = image.reshape(32, 8, 64, 8, 3).mean((1, 3))
    for overview in (alone, both):
        assert overview.factor == 8
        np.testing.assert_allclose(overview.image, want, atol=1.01)


def test_cells_are_measured_where_the_stain_is_that_of_nuclei() -> None:
    image = np.full((200, 400, 3), 235, np.uint8)
    image[:, :100] = (90, 20, 60)  # layers
    image[120:124, 350:354] = (90, 60, 150)
    overview = Overview(image, 4.0, (0.92, 0.92, 0.92))
    assert overview.places(200, 1) == [(400, 1400)]
    assert overview.places(200, 1000)[-1][1] < 400
