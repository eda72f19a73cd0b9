"""A stream of varied synthetic smears, for training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from sgcldff_core.errors import ConfigError
from sgcldff_core.smear.field import make_smear
from sgcldff_core.smear.settings import SmearSettings
from sgcldff_core.smear.texture import stream

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

__all__ = ["make_samples", "varied_settings"]

_SETTINGS, _SEED = 9, 10


def make_samples(count: int, seed: int, settings: SmearSettings | None = None) -> Iterator[Sample]:
    """Draw samples for training, one after the other.

    Parameters
    ----------
    count : int
        How many, 0 or more.
    seed : int
        0 or more; sample i is the same for any `count`.
    settings : SmearSettings, optional
        For all of them; None draws settings at random for each: crops of single cells and
        fields of several, in any stain, size, density and sharpness.

    Yields
    ------
    Sample
        With masks, nuclei, classes and boxes, named ``smear-<seed>-<i>``.

    Raises
    ------
    ConfigError
        If the count or the seed is negative.
    """
    if count < 0 or seed < 0:
        raise ConfigError(f"count is {count} and seed is {seed}; both must be 0 or more")
    return (_sample(seed, index, settings) for index in range(count))


def _sample(seed: int, index: int, settings: SmearSettings | None) -> Sample:
    own = int(stream(seed, _SEED, index).integers(2**62))
    chosen = varied_settings(stream(seed, _SETTINGS, index)) if settings is None else settings
    return make_smear(own, chosen).to_sample(f"smear-{seed}-{index}")


def varied_settings(rng: np.random.Generator) -> SmearSettings:
    """Draw settings as different as the images of different laboratories.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    SmearSettings
        Two of three times those of a crop of one cell, else those of a field of several.
    """
    crop = bool(rng.random() < 0.67)
    diameter = float(np.exp(rng.uniform(np.log(50), np.log(170))))
    if crop:
        height, width = (int(v) for v in diameter * rng.uniform(1.35, 2.2) * rng.uniform(0.9, 1.1, 2))
        leukocytes = int(rng.choice((1, 2, 3), p=(0.8, 0.15, 0.05)))
    else:
        diameter = min(diameter, 120.0)
        height, width = (int(v) for v in diameter * rng.uniform(2.2, 4.0, 2))
        leukocytes = int(rng.poisson(height * width / (3 * diameter) ** 2))
    defocus = float(rng.uniform(0.015, 0.045) * diameter) if rng.random() < 0.15 else None
    return SmearSettings(
        height=height,
        width=width,
        diameter=diameter,
        leukocytes=leukocytes,
        erythrocytes=float(rng.choice((0.0, 0.15, 0.35, 0.55, 0.8, 1.1)) * rng.uniform(0.7, 1.25)),
        platelets=float(rng.exponential(0.15)) if rng.random() < 0.8 else 0.0,
        touching=float(rng.uniform(0, 0.5)),
        cut=0.15,
        centred=crop and bool(rng.random() < 0.5),
        defocus=defocus,
    )
