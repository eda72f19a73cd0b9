"""What the prior does within a network, measured on networks of which it is known."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.ablation_guidance import measure_guidance
from sgcldff_core.model import ModelConfig, SgcldffNetwork, build_network
from sgcldff_core.smear import SmearSettings, make_smear
from sgcldff_core.training import PreparedSample, prepare, typical_diameters

SMALL = ModelConfig(swin=False, width=32, cardinality=8, embedding=32, canonical_diameter=40.0)


@pytest.fixture(scope="module")
def samples() -> list[PreparedSample]:
    settings = SmearSettings(height=96, width=96, diameter=48, leukocytes=1, stain="wright", touching=0)
    drawn = [make_smear(seed, settings).to_sample(f"s{seed}") for seed in range(3)]
    ready, failures = prepare(drawn, SMALL.classes, 40.0, typical_diameters(drawn), "fused")
    assert not failures
    return ready


@pytest.fixture
def network() -> SgcldffNetwork:
    torch.manual_seed(0)
    return build_network(SMALL, imagenet=True)


def test_a_fresh_network_has_its_gates_ajar_and_no_ear_for_the_prior_channel(
    network: SgcldffNetwork, samples: list[PreparedSample]
) -> None:
    found = measure_guidance(network, samples, 40.0)
    assert found.alpha == pytest.approx((0.3,) * 4)
    assert found.channel_weight == 0
    assert found.vote == pytest.approx((2.5, 0.35))
    assert 0 < found.area < 0.6
    assert 0 < found.inside < 1
    assert network.training


def test_the_weight_of_the_prior_channel_is_relative_to_the_colours(
    network: SgcldffNetwork, samples: list[PreparedSample]
) -> None:
    with torch.no_grad():
        weight = network.backbone.get_parameter("stem.0.weight")
        weight[:] = 1
        weight[:, 3] = -2
    assert measure_guidance(network, samples[:1], 40.0).channel_weight == pytest.approx(2)


def test_a_network_without_saliency_loses_nothing_with_the_prior(samples: list[PreparedSample]) -> None:
    torch.manual_seed(0)
    blind = build_network(replace(SMALL, prior_channel=False, gating=False, prior_vote=False))
    found = measure_guidance(blind, samples, 40.0)
    assert (found.alpha, found.channel_weight, found.vote) == ((), None, ())
    assert found.figures == found.blank_figures
    assert "iou_synthetic" in found.figures


def test_a_map_that_follows_the_prior_is_seen_to_lie_inside(
    network: SgcldffNetwork, samples: list[PreparedSample]
) -> None:
    class OnlyPrior(torch.nn.Module):
        def forward(self, levels: list[torch.Tensor], prior: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.avg_pool2d((prior > 0.5).float(), 4).expand(-1, 32, -1, -1)

    network.fusion = OnlyPrior()
    found = measure_guidance(network, samples, 40.0)
    assert found.inside > 0.7 > 2 * found.area


def test_without_masks_there_is_nothing_to_measure(network: SgcldffNetwork, samples: list[PreparedSample]) -> None:
    with pytest.raises(ConfigError, match="no image with masks"):
        measure_guidance(network, [], 40.0)
    with pytest.raises(ConfigError, match="s0 has no masks"):
        measure_guidance(network, [replace(samples[0], labels=None, nucleus=None)], 40.0)
