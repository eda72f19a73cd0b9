"""Tiles: they cover the field, they do not show, and the network is left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from sgcldff_core.errors import ConfigError
from sgcldff_core.inference.forward import evaluating, run_network
from sgcldff_core.inference.tiling import map_field, tile_starts
from sgcldff_core.model import Model, ModelConfig, NetworkOutput, build_network


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 5000), st.integers(5, 40), st.integers(1, 2))
def test_tiles_cover_every_pixel_and_share_enough(length: int, tiles: int, overlaps: int) -> None:
    """At multiples of 32, first at 0, neighbours sharing the overlap but for one stride, no tile beyond the end."""
    tile, overlap = 32 * (tiles + 2 * overlaps), 32 * overlaps
    starts = tile_starts(length, tile, overlap)
    assert starts[0] == 0
    assert all(start % 32 == 0 for start in starts)
    assert starts[-1] + tile >= length
    assert starts[-1] < length
    steps = np.diff(starts)
    assert (steps > 0).all()
    assert (steps <= tile - overlap + 32).all()


def field(height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    rng = np.random.default_rng(5)
    return rng.integers(0, 256, (height, width, 3), np.uint8), rng.random((height, width), np.float32)


def test_tiles_do_not_show_where_the_network_sees_single_pixels(stain_reader: Model) -> None:
    image, prior = field(700, 523)
    whole = map_field(stain_reader.network, image, prior, tile=1024)
    tiled = map_field(stain_reader.network, image, prior, tile=320)
    torch.testing.assert_close(tiled.logits[:2], whole.logits[:2], atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(tiled.fused, whole.fused, atol=1e-5, rtol=1e-5)
    assert tiled.logits.shape == (3, 700, 523)
    assert tiled.fused.shape == (2, 175, 131)


def test_tiles_hardly_show_in_the_real_network() -> None:
    torch.manual_seed(0)
    network = build_network(ModelConfig(prior_channel=True)).eval()
    image, prior = field(96, 480)
    whole = map_field(network, image, prior, tile=512).logits
    tiled = map_field(network, image, prior, tile=320).logits
    assert (tiled - whole).abs().mean() < 0.05 * whole.std()


def test_progress_counts_tiles(stain_reader: Model) -> None:
    image, prior = field(330, 610)
    seen: list[tuple[int, int]] = []
    map_field(stain_reader.network, image, prior, tile=320, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(k, 6) for k in range(1, 7)]


@pytest.mark.parametrize("tile", [300, 256, 0, -32])
def test_a_tile_that_cannot_work_is_refused(stain_reader: Model, tile: int) -> None:
    with pytest.raises(ConfigError, match=f"tile must be a multiple of 32 of at least 288 px, got {tile}"):
        map_field(stain_reader.network, *field(20, 20), tile=tile)


class Recorder(nn.Module):
    """Keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1))
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, image: Tensor, prior: Tensor) -> NetworkOutput:
        self.seen.append((image.clone(), prior.clone()))
        ramp = torch.arange(image.shape[-1]).expand(1, 1, *image.shape[-2:]).float()
        small = ramp[..., ::4, ::4]
        return NetworkOutput(image[:, :1], prior, ramp, small, (small,))


def test_outside_the_image_there_is_nothing_once_normalised() -> None:
    recorder = Recorder()
    image, prior = field(40, 33)
    run_network(recorder, image, prior)  # type: ignore[arg-type]
    shown, saliency = recorder.seen[0]
    assert shown.shape == (1, 3, 64, 64)
    torch.testing.assert_close(shown[0, :, :40, :33], torch.tensor(image).permute(2, 0, 1) / 255)
    outside = (shown - recorder.mean)[0]
    assert not outside[:, 40:].any()
    assert not outside[:, :, 33:].any()
    assert not saliency[..., 40:, :].any()
    assert not saliency[..., 33:].any()


@pytest.mark.parametrize("mirror", [(False, True), (True, False), (True, True)])
def test_what_a_mirror_shows_is_turned_back(mirror: tuple[bool, bool]) -> None:
    recorder = Recorder()
    image, prior = field(40, 33)
    maps = run_network(recorder, image, prior, mirror)  # type: ignore[arg-type]
    torch.testing.assert_close(maps.logits[0], torch.tensor(image[..., 0]) / 255)
    torch.testing.assert_close(maps.logits[1], torch.tensor(prior))
    columns = np.arange(33)
    assert maps.logits[2, 0].tolist() == (63 - columns if mirror[1] else columns).tolist()
    assert maps.fused.shape == (1, 10, 9)


def test_the_network_is_left_in_the_mode_it_was_in() -> None:
    network = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()))
    network.train()
    network[1][0].eval()
    before = [module.training for module in network.modules()]
    during = []

    def interrupted() -> None:
        with evaluating(network):
            during.extend(module.training for module in network.modules())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not any(during)
    assert [module.training for module in network.modules()] == before
