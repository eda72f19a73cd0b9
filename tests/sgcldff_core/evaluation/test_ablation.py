"""The rows of the ablation: each switches off what it says, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.ablation import FULL, PAPER_ROWS, ROWS, choose_rows, row_config
from sgcldff_core.losses import LossConfig
from sgcldff_core.model import ModelConfig, build_network
from sgcldff_core.training import AugmentationConfig, TrainingConfig

RECIPE = TrainingConfig(synthetic_images=8, augmentation=AugmentationConfig(synthetic=0.1))
SWITCHED = {
    "full": {},
    "no-prior-channel": {"model.prior_channel": False},
    "no-gating": {"model.gating": False},
    "no-vote": {"model.prior_vote": False},
    "no-saliency": {
        "model.prior_channel": False,
        "model.gating": False,
        "model.prior_vote": False,
        "loss.alignment": 0.0,
        "loss.cam": 0.0,
        "loss.suppression": 0.0,
    },
    "no-fusion": {"model.fusion": False},
    "no-alignment": {"loss.alignment": 0.0, "loss.cam": 0.0},
    "no-suppression": {"loss.suppression": 0.0},
    "plain-cross-entropy": {"loss.balance": "none", "class_power": 0.0},
    "no-swin": {"model.swin": False},
    "random-start": {"start": "random", "backbone_rate": 1.0, "model.frozen_statistics": False},
    "no-synthetic": {"synthetic_images": 0, "augmentation.synthetic": 0.0},
}


def _flat(config: TrainingConfig) -> dict[str, object]:
    plain = config.to_dict()
    sections = {name: plain.pop(name) for name in ("model", "loss", "augmentation")}
    return plain | {f"{name}.{k}": v for name, section in sections.items() for k, v in section.items()}


def test_every_row_is_described_and_those_of_the_paper_are_there() -> None:
    assert list(ROWS) == list(SWITCHED)
    assert set(PAPER_ROWS) <= set(ROWS)
    assert all(name == row.name and row.title and row.explanation.endswith(".") for name, row in ROWS.items())


@pytest.mark.parametrize("name", ROWS)
def test_a_row_switches_off_what_it_says_and_nothing_else(name: str) -> None:
    before, after = _flat(RECIPE), _flat(row_config(name, RECIPE))
    assert {k: v for k, v in after.items() if v != before[k]} == SWITCHED[name]


@pytest.mark.parametrize("name", [name for name in ROWS if name != FULL])
def test_a_row_that_would_change_nothing_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"row '{name}' changes nothing"):
        row_config(name, row_config(name, RECIPE))


def test_rows_are_taken_in_the_order_of_the_table_and_unknown_ones_refused() -> None:
    assert choose_rows(["no-fusion", "full"], RECIPE) == (["full", "no-fusion"], {})
    with pytest.raises(ConfigError, match="unknown row 'no-fun'; known are full, no-prior-channel"):
        choose_rows(["full", "no-fun"], RECIPE)


def test_what_the_recipe_does_without_already_is_left_out_with_a_word() -> None:
    rows, skipped = choose_rows((), TrainingConfig(loss=LossConfig(suppression=0.0)))
    assert set(skipped) == {"no-suppression", "no-synthetic"} == set(ROWS) - set(rows)
    assert "changes nothing" in skipped["no-synthetic"]


def test_weights_of_a_model_are_not_put_into_another_architecture() -> None:
    grown = replace(RECIPE, start="some-model")
    with pytest.raises(ConfigError, match="the weights of some-model do not fit"):
        row_config("no-fusion", grown)
    assert row_config("no-suppression", grown).start == "some-model"
    assert row_config("random-start", grown).start == "random"


@pytest.mark.parametrize(
    ("name", "looks"), [("full", True), ("no-prior-channel", True), ("no-saliency", False), ("no-fusion", True)]
)
def test_only_without_saliency_is_the_prior_not_looked_at(name: str, looks: bool) -> None:
    small = replace(RECIPE, model=ModelConfig(swin=False, width=32, cardinality=8, embedding=32))
    network = build_network(row_config(name, small).model).eval()
    torch.manual_seed(0)
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        with_prior, without = (
            network(image, prior).cell for prior in (torch.rand(1, 1, 64, 64), torch.zeros(1, 1, 64, 64))
        )
    assert torch.equal(with_prior, without) != looks
