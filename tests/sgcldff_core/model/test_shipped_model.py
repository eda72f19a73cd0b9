"""The model that ships: small enough, described honestly, good on every set it learned from and on one unseen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sgcldff_core.datasets import open_dataset
from sgcldff_core.evaluation.assessment import assess, summarise
from sgcldff_core.model import Model, find_model, load_model
from sgcldff_core.sample import Sample


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model()


def _some(folder: Path, source: str, count: int) -> list[Sample]:
    samples = [s for s in open_dataset(folder) if s.source == source and s.labels is not None]
    return samples[:: max(1, len(samples) // count)][:count]


def test_it_fits_into_the_wheel() -> None:
    folder = find_model()
    assert (folder / "model.safetensors").stat().st_size < 16e6
    assert sum(p.numel() for p in load_model().network.parameters()) <= 8_000_000


def test_its_card_says_what_it_is_for_and_what_not() -> None:
    card = (find_model() / "CARD.md").read_text(encoding="utf-8")
    for word in ("not a medical device", "GPL-3.0", "ALL-IDB2", "held out", "Intended use"):
        assert word in card


def test_it_never_saw_all_idb2(model: Model) -> None:
    assert set(model.training["images"]) == {"zheng1", "zheng2", "bccd", "bccd_crops"}
    assert "all_idb" not in json.dumps(dict(model.training))


@pytest.mark.parametrize(
    ("folder", "source", "least"), [("zheng", "zheng1", 0.94), ("zheng", "zheng2", 0.88), ("bccd", "bccd", 0.88)]
)
def test_it_outlines_cells_of_each_set(real_data: Path, model: Model, folder: str, source: str, least: float) -> None:
    """A floor below the figures of docs/results.md, which are of images that a sister model had not seen."""
    samples = _some(real_data / folder, source, 6)
    assert len(samples) == 6
    figures = summarise(assess(samples, model)).figures
    assert figures["iou"] > least
    assert figures["iou"] > figures["disc_iou"]
    assert figures["accuracy"] >= 0.6


def test_it_outlines_cells_of_a_laboratory_never_seen(real_data: Path, model: Model) -> None:
    samples = [s for s in open_dataset(real_data / "all_idb2") if s.labels is not None][::40]
    assert len(samples) == 5
    assert summarise(assess(samples, model)).figures["iou"] > 0.85


def test_an_off_centre_cell_is_found_all_the_same(real_data: Path, model: Model) -> None:
    """Public crops are centred; a network that learned that would fail here."""
    from dataclasses import replace

    from sgcldff_core.sample import Raster

    shifted = []
    for sample in _some(real_data / "zheng", "zheng2", 4):
        image, labels = sample.read_image(), sample.read_labels()
        rows, columns = np.nonzero(labels)
        corner = slice(max(0, rows.min() - 8), None), slice(max(0, columns.min() - 8), None)
        shifted.append(
            replace(
                sample, image=Raster.of(image[corner]), labels=Raster.of(labels[corner]), nucleus=None, classes=None
            )
        )
    assert summarise(assess(shifted, model)).figures["iou"] > 0.85
