"""Batch statistics: measured on windows of cells, moved layer by layer."""

from __future__ import annotations

import pytest
import torch

from sgcldff_core.adaptation.statistics import activation_moments, cell_windows, normalisation_layers, with_statistics
from sgcldff_core.errors import ConfigError
from sgcldff_core.inference.field import look_at
from sgcldff_core.model import Model, ModelConfig, SgcldffNetwork, build_network

CONFIG = ModelConfig(swin=False, width=32, cardinality=8, embedding=32)


@pytest.fixture(scope="module")
def network() -> SgcldffNetwork:
    torch.manual_seed(0)
    return build_network(CONFIG).eval()


@pytest.fixture(scope="module")
def windows() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    return torch.rand(4, 3, 64, 64), torch.rand(4, 1, 64, 64)


def buffers(network: SgcldffNetwork) -> torch.Tensor:
    layers = normalisation_layers(network).values()
    return torch.cat([torch.cat([layer.running_mean, layer.running_var]) for layer in layers])


def test_taken_over_entirely_they_are_those_of_the_windows(network, windows) -> None:
    moved = with_statistics(network, windows, 1.0)
    measured = activation_moments(moved, windows)
    for name, layer in normalisation_layers(moved).items():
        mean, variance = measured[name]
        assert torch.allclose(layer.running_mean, mean, atol=1e-3)
        inside = (layer.running_var > 1 / 8.9) & (layer.running_var < 8.9)  # larger changes are bounded
        assert torch.allclose(layer.running_var[inside], variance[inside], rtol=1e-2)


def test_the_network_that_was_given_stays_as_it_is(network, windows) -> None:
    before = buffers(network).clone()
    with_statistics(network, windows, 1.0)
    assert torch.equal(buffers(network), before)
    assert not network.training


def test_relative_to_the_same_images_nothing_moves(network, windows) -> None:
    moved = with_statistics(network, windows, 1.0, activation_moments(network, windows))
    assert torch.allclose(buffers(moved), buffers(network), rtol=1e-4, atol=1e-5)


def test_half_the_weight_goes_half_the_way_in_the_first_layer(network, windows) -> None:
    name, layer = next(iter(normalisation_layers(network).items()))
    whole, half = (normalisation_layers(with_statistics(network, windows, w))[name] for w in (1.0, 0.5))
    assert torch.allclose(half.running_mean, (layer.running_mean + whole.running_mean) / 2, atol=1e-5)


def test_a_shift_of_all_colours_is_taken_back(network, windows) -> None:
    images, priors = windows
    shifted = (0.8 * images + 0.1, priors)
    moved = with_statistics(network, shifted, 1.0, activation_moments(network, windows))

    def stem(which: SgcldffNetwork, shown: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        with torch.no_grad():
            return which(*shown).levels[0]

    wanted = stem(network, windows)
    assert (stem(moved, shifted) - wanted).abs().mean() < 0.5 * (stem(network, shifted) - wanted).abs().mean()


@pytest.mark.parametrize("weight", [-0.1, 1.1])
def test_a_weight_out_of_range_is_refused(network, windows, weight: float) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        with_statistics(network, windows, weight)


def test_windows_lie_around_cells_and_are_filled_beyond_the_image(source_images) -> None:
    model = Model("none", CONFIG, build_network(CONFIG).eval())
    views = [look_at(image, model, 50.0, tile=640) for image in source_images]
    images, priors = cell_windows(views, model.network.mean)
    assert images.shape[1:] == (3, 128, 128)
    assert len(images) == len(priors) >= len(views)
    beyond = (images == model.network.mean).all(1, keepdim=True)
    assert (priors[beyond] == 0).all()
    assert priors[:, :, 48:80, 48:80].mean() > 2 * priors.mean()  # without cells: where it is salient
