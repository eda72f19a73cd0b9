"""A few small smears and settings quick enough for tests, for the commands that train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sgcldff_core.datasets.curated_writer import write_curated
from sgcldff_core.datasets.history import Provenance
from sgcldff_core.smear import SmearSettings, make_smear

QUICK = """
epochs = 1
views = {views}
batch = 4
size = 64
workers = 0
[model]
swin = false
width = 32
cardinality = 8
embedding = 32
"""


@pytest.fixture(scope="session")
def make_data() -> Callable[..., Path]:
    """Return what makes a folder ``curated`` of fields with one cell each, and settings ``run.toml`` beside it."""

    def make(folder: Path, count: int, *, views: int, side: int = 96, diameter: float = 48, tests: int = 0) -> Path:
        smear = SmearSettings(height=side, width=side, diameter=diameter, leukocytes=1, stain="wright", touching=0)
        samples = [make_smear(i, smear).to_sample(f"s{i}") for i in range(count)]
        samples[count - tests :] = [replace(s, split="test") for s in samples[count - tests :]]
        write_curated(samples, folder / "curated", provenance=Provenance("drawn", "synthetic smears"))
        (folder / "run.toml").write_text(QUICK.format(views=views))
        return folder

    return make
