"""Learning from sure outlines: what counts as sure, what is learned, and how weights are blended."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sgcldff_core.adaptation.scoring import Look, look_at_all
from sgcldff_core.adaptation.self_training import SelfTraining, between, outline_sure_cells, self_train
from sgcldff_core.errors import ConfigError
from sgcldff_core.inference.field import FieldView
from sgcldff_core.inference.forward import FieldMaps
from sgcldff_core.model import Model, ModelConfig, build_network, load_model
from sgcldff_core.smear import SmearSettings, make_smear
from sgcldff_core.training.prepared import UNSURE

SMALL = ModelConfig(swin=False, width=32, cardinality=8, embedding=32, canonical_diameter=40.0)
SETTINGS = SelfTraining()


def drawn(cells: dict[tuple[int, int], tuple[float, float, float]]) -> tuple[np.ndarray, Look]:
    """Return an image of squares of 40 px, with probability, share of nucleus and saliency of each."""
    side = 160
    cell, nucleus, prior = np.full((side, side), 0.05), np.zeros((side, side)), np.zeros((side, side))
    labels = np.zeros((side, side), np.int32)
    for (y, x), (probability, kernel, salient) in cells.items():
        cell[y : y + 40, x : x + 40] = probability
        cell[y - 4 : y, x : x + 40] = 0.5  # a rim of which nobody is sure
        nucleus[y : y + int(40 * kernel), x : x + 40] = 1
        prior[y : y + 40, x : x + 40] = salient
        if probability > 0.9:
            labels[y : y + 40, x : x + 40] = labels.max() + 1
    logits = torch.logit(torch.tensor(np.stack([cell, nucleus, cell]), dtype=torch.float32), eps=1e-4)
    maps = FieldMaps(logits, torch.zeros(SMALL.width, side // 4, side // 4))
    model = Model("small", SMALL, build_network(SMALL).eval())
    view = FieldView(40.0, np.zeros((side, side, 3), np.uint8), prior.astype(np.float32), maps, model, labels)
    empty = np.zeros((side, side), bool)
    return np.zeros((side, side, 3), np.uint8), Look(view, empty, empty, empty)


@pytest.fixture(scope="module")
def small() -> Model:
    return Model("small", SMALL, build_network(SMALL).eval())


def test_sure_cells_are_outlined_and_doubtful_ones_left_open(small: Model) -> None:
    places = {
        (10, 10): (0.95, 0.4, 0.8),
        (10, 100): (0.8, 0.4, 0.8),
        (100, 10): (0.95, 0.0, 0.8),
        (100, 100): (0.95, 0.4, 0.1),
    }
    image, look = drawn(places)
    sample = outline_sure_cells("a", "laboratory", image, look, small, SETTINGS)
    assert sample is not None
    labels = sample.read_labels()
    assert labels[30, 30] > 0
    assert labels[30, 120] > 0  # inference took it for debris, but it is sure enough to learn from
    assert labels[30, 30] != labels[30, 120]
    assert labels[120, 30] == 0  # no nucleus: a red cell
    assert labels[120, 120] == UNSURE  # not salient
    assert labels[8, 30] == UNSURE
    assert labels[80, 80] == 0
    assert sample.read_nucleus()[12, 12]
    assert not sample.read_nucleus()[120, 120]


def test_an_image_without_a_sure_cell_teaches_nothing(small: Model) -> None:
    image, look = drawn({(10, 10): (0.6, 0.4, 0.8)})
    assert outline_sure_cells("a", "laboratory", image, look, small, SETTINGS) is None
    with pytest.raises(ConfigError, match="in none of the images"):
        self_train(small, [(image, look)], [], SETTINGS)


def test_a_student_differs_and_its_teacher_stays(source_images: list[np.ndarray]) -> None:
    teacher = load_model()
    before = {k: v.clone() for k, v in teacher.network.state_dict().items()}
    seen = list(zip(source_images[:2], look_at_all(source_images[:2], teacher), strict=True))
    shares: list[float] = []
    student = self_train(teacher, seen, seen, replace(SETTINGS, steps=2, synthetic=1), shares.append)
    assert shares == [0.5, 1.0]
    assert all(value.equal(before[name]) for name, value in teacher.network.state_dict().items())
    assert any(not value.equal(before[name]) for name, value in student.network.state_dict().items())
    assert student.calibration == teacher.calibration


def test_weights_between_two_networks(small: Model) -> None:
    other = build_network(SMALL)
    for share, nearest in ((0.0, small.network), (1.0, other)):
        mixed = between(small.network, other, share).state_dict()
        assert all(torch.allclose(v, nearest.state_dict()[k], atol=1e-6) for k, v in mixed.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 0}, "must be above 0"),
        ({"low": 0.9}, "low and high part pixels"),
        ({"learning_rate": -1.0}, "above 0"),
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SelfTraining(**change)  # type: ignore[arg-type]


def test_smears_are_drawn_with_cells_to_be_sure_of() -> None:
    settings = SmearSettings(height=110, width=110, diameter=50, leukocytes=1, touching=0, cut=0, stain="wright")
    image = np.asarray(make_smear(0, settings).image)
    shipped = load_model()
    sample = outline_sure_cells("a", "laboratory", image, look_at_all([image], shipped)[0], shipped, SETTINGS)
    assert sample is not None
    assert sample.classes is None or set(sample.classes.values()) <= set(shipped.config.classes)
    truth = make_smear(0, settings).to_sample("t").read_labels() > 0
    found = sample.read_labels() > 0
    assert (found & truth).sum() / found.sum() > 0.9


def test_a_red_cell_that_stands_alone_is_background(small: Model) -> None:
    image, look = drawn({(10, 10): (0.95, 0.4, 0.8), (100, 60): (0.95, 0.0, 0.8), (120, 120): (0.95, 0.0, 0.8)})
    labels = outline_sure_cells("a", "laboratory", image, look, small, SETTINGS).read_labels()
    assert labels[120, 80] == 0
    assert labels[140, 140] == UNSURE  # cut by the border: its nucleus may lie beyond
