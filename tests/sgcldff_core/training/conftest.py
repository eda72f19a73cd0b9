"""Synthetic samples, made ready once for all tests of training."""

from __future__ import annotations

import pytest

from sgcldff_core.model import ModelConfig
from sgcldff_core.smear import SmearSettings, make_smear
from sgcldff_core.training import PreparedSample, TrainingConfig, prepare, typical_diameters

MODEL = ModelConfig(swin=False, width=32, cardinality=8, embedding=32, dropout=0.0)


@pytest.fixture(scope="session")
def small_config() -> TrainingConfig:
    """Return settings of a run that takes seconds."""
    return TrainingConfig(
        epochs=2, views=8, batch=4, size=64, workers=0, validate_every=1, start="imagenet", model=MODEL
    )


@pytest.fixture(scope="session")
def prepared() -> list[PreparedSample]:
    """Return twelve synthetic crops of about two cells each."""
    settings = SmearSettings(height=120, width=120, diameter=50, leukocytes=2, stain="wright")
    samples = [make_smear(seed, settings).to_sample(f"s{seed}") for seed in range(12)]
    ready, failures = prepare(samples, MODEL.classes, 48.0, typical_diameters(samples), "fused")
    assert not failures
    return ready
