"""The pipeline without a network: it finds drawn cells, names them, and is judged like a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sgcldff_core.cells import cell_columns
from sgcldff_core.errors import ConfigError, UnreadableImageError
from sgcldff_core.evaluation.assessment import assess_prediction, summarise
from sgcldff_core.evaluation.classical import ClassicalPipeline, fit_classical, outline_cells
from sgcldff_core.sample import Raster, Sample
from sgcldff_core.smear import SmearSettings, make_smear
from sgcldff_core.taxonomy import LEUKOCYTES

CLASSES = tuple(c.name for c in LEUKOCYTES)
SETTINGS = SmearSettings(
    height=128, width=128, diameter=60, leukocytes=1, stain="wright", touching=0, cut=0, platelets=0
)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return [make_smear(i, SETTINGS).to_sample(f"s{i}") for i in range(20)]


@pytest.fixture(scope="module")
def pipeline(samples: list[Sample]) -> ClassicalPipeline:
    return fit_classical(samples[:14], CLASSES)


def test_it_outlines_and_names_cells_that_it_never_saw(pipeline: ClassicalPipeline, samples: list[Sample]) -> None:
    """Far better than a disc in the middle, and than one name for all."""
    judged = [assess_prediction(s, pipeline.predict(s.read_image(), s.name)) for s in samples[14:]]
    figures = summarise(judged).figures
    assert figures["iou"] > 0.75
    assert figures["nucleus_iou"] > 0.7
    assert figures["accuracy"] >= 0.5


def test_what_it_returns_is_a_prediction_like_any_other(pipeline: ClassicalPipeline, samples: list[Sample]) -> None:
    prediction = pipeline.predict(samples[0].read_image(), "s0")
    assert list(prediction.cells.columns) == cell_columns(CLASSES)
    assert list(prediction.cells["label"]) == list(range(1, prediction.labels.max() + 1))
    assert not (prediction.nucleus & (prediction.labels == 0)).any()
    np.testing.assert_allclose(prediction.cells[[f"prob_{c}" for c in CLASSES]].sum(axis=1), 1, rtol=1e-5)
    assert len(prediction.stability) == len(prediction.cells)


def test_the_same_seed_learns_the_same(samples: list[Sample]) -> None:
    image = samples[19].read_image()
    one, other = (fit_classical(samples[:4], CLASSES, seed=3).predict(image) for _ in range(2))
    assert one.cells["confidence"].tolist() == other.cells["confidence"].tolist()


def test_touching_discs_are_parted() -> None:
    """Two nuclei with a rim each, in contact: two cells."""
    image = np.full((100, 160, 3), 235, np.uint8)
    rows, columns = np.indices((100, 160))
    for centre in (52, 108):
        away = np.hypot(rows - 50, columns - centre)
        image[away < 29] = (200, 170, 215)
        image[away < 20] = (95, 60, 150)
    labels, nucleus, _, diameter = outline_cells(image, 0.4)
    assert labels.max() == 2
    assert labels[50, 52] != labels[50, 108]
    assert nucleus[50, 52]
    assert diameter == pytest.approx(58, rel=0.15)


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_plain_image_has_no_cells(value: int) -> None:
    prediction = ClassicalPipeline(CLASSES, 0.4, None).predict(np.full((40, 50, 3), value, np.uint8))
    assert prediction.labels.max() == 0
    assert prediction.cells.empty


def test_without_masks_there_is_nothing_to_fit(samples: list[Sample]) -> None:
    with pytest.raises(ConfigError, match="needs training images with masks"):
        fit_classical([replace(s, labels=None) for s in samples[:2]], CLASSES)


def _broken(path: Path | None) -> np.ndarray:
    raise UnreadableImageError("gone.png", "is truncated")


def test_an_image_that_cannot_be_read_costs_only_itself(samples: list[Sample]) -> None:
    broken = replace(samples[0], image=Raster(_broken))
    fitted = fit_classical([broken, *samples[1:4]], CLASSES)
    assert fitted.failures == ("gone.png: is truncated",)
    assert fitted.forest is not None
