"""Crops of smears in two stains, and a network too small to know anything."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sgcldff_core.model.stain import StainTransform
from sgcldff_core.smear import SmearSettings, make_smear

Images = list[NDArray[np.uint8]]

YELLOWED = StainTransform("by hand", "density", ((1.3, 0.1, 0.0), (0.0, 0.8, 0.0), (0.0, 0.1, 0.9)), (0.02, 0.05, 0.35))
"""What another laboratory might do to the same cells: stronger blue, weaker eosin, a yellow lamp."""


@pytest.fixture(scope="session")
def source_images() -> Images:
    settings = SmearSettings(height=110, width=110, diameter=50, leukocytes=1, touching=0, cut=0, stain="wright")
    return [np.asarray(make_smear(seed, settings).image) for seed in range(5)]


@pytest.fixture(scope="session")
def target_images(source_images: Images) -> Images:
    return [YELLOWED.apply(image) for image in source_images]
