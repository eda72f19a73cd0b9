"""What a user would pick instead: four common networks, run by exactly the code that runs ours.

Importing this module registers them as architectures. Each has the parts of ours (a backbone that
gives a stem and levels, a decoder to stride 4, a segmentation head to full size) and our pooled
classification head on the decoder's map at stride 4, so that it trains, saves, loads, predicts and
is explained like ours. The decoders are those of segmentation-models-pytorch with their defaults,
which is imported when a network is first built.

Of a `ModelConfig` they heed ``classes``, ``canonical_diameter``, ``prior`` (for scale and tables
only: no baseline sees the prior), ``embedding``, ``dropout``, and, where they start from ImageNet
weights, ``frozen_statistics``.

``unet-efficientnet-lite0`` starts from the same ImageNet weights as ours. The other three start at
random: their weights are downloads, and no package of the Python index carries them.

References
----------
Ronneberger et al., U-Net, MICCAI 2015. Chen et al., DeepLabV3+, ECCV 2018. Lin et al., FPN, CVPR
2017. He et al., ResNet, CVPR 2016. Sandler et al., MobileNetV2, CVPR 2018. Liu et al., Swin
Transformer, ICCV 2021.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import timm
import torch
from torch import Tensor, nn

from sgcldff_core.errors import ConfigError
from sgcldff_core.model import SgcldffNetwork, register_architecture
from sgcldff_core.model.backbone import LEVEL_CHANNELS, STEM_CHANNELS, HybridBackbone, imagenet_state
from sgcldff_core.model.heads import ClassificationHead

if TYPE_CHECKING:
    from sgcldff_core.model import ModelConfig

__all__ = ["BASELINES", "FROM_IMAGENET"]

_UNET_CHANNELS = (256, 128, 64, 32, 16)
_BLOCKS_TO_STRIDE_4 = 3
_MAPS = 3  # cell, nucleus, distance


def _unet_resnet34(config: ModelConfig, imagenet: bool) -> SgcldffNetwork:
    _refuse_imagenet("unet-resnet34", imagenet)
    net = _library().Unet("resnet34", encoder_weights=None, decoder_channels=_UNET_CHANNELS, classes=_MAPS)
    return _unet(_Pyramid(net.encoder), net.decoder, net.segmentation_head, config)


def _unet_efficientnet_lite0(config: ModelConfig, imagenet: bool) -> SgcldffNetwork:
    library = _library()
    backbone = HybridBackbone(3, swin=False, depth=0, window=0, frozen_statistics=config.frozen_statistics)
    if imagenet:
        backbone.load_state_dict(imagenet_state(3))
    decoder = library.decoders.unet.decoder.UnetDecoder((3, STEM_CHANNELS, *LEVEL_CHANNELS), _UNET_CHANNELS)
    head = library.base.SegmentationHead(_UNET_CHANNELS[-1], _MAPS)
    return _unet(backbone, decoder, head, config)


def _deeplabv3plus_mobilenetv2(config: ModelConfig, imagenet: bool) -> SgcldffNetwork:
    _refuse_imagenet("deeplabv3plus-mobilenetv2", imagenet)
    net = _library().DeepLabV3Plus("mobilenet_v2", encoder_weights=None, classes=_MAPS)
    decoder = net.decoder
    return _network(_Pyramid(net.encoder), _Decoder(decoder), _HeadOfFused(net.segmentation_head), 256, config)


def _swin_tiny(config: ModelConfig, imagenet: bool) -> SgcldffNetwork:
    _refuse_imagenet("swin-tiny", imagenet)
    library = _library()
    encoder: Any = timm.create_model(
        "swin_tiny_patch4_window7_224",
        pretrained=False,
        features_only=True,
        strict_img_size=False,  # any size, with windows padded and masked for it
        always_partition=True,
    )
    decoder = library.decoders.fpn.decoder.FPNDecoder(encoder.feature_info.channels(), encoder_depth=4)
    head = library.base.SegmentationHead(decoder.out_channels, _MAPS, kernel_size=1, upsampling=4)
    return _network(_SwinPyramid(encoder), _Decoder(decoder), _HeadOfFused(head), decoder.out_channels, config)


BASELINES: dict[str, Callable[[ModelConfig, bool], SgcldffNetwork]] = {
    "unet-resnet34": _unet_resnet34,
    "deeplabv3plus-mobilenetv2": _deeplabv3plus_mobilenetv2,
    "unet-efficientnet-lite0": _unet_efficientnet_lite0,
    "swin-tiny": _swin_tiny,
}
"""What builds each of them."""

FROM_IMAGENET = frozenset({"unet-efficientnet-lite0"})
"""Those that can start from ImageNet weights."""

for _name, _builder in BASELINES.items():
    register_architecture(_name, _builder)


def _library() -> Any:
    try:
        import segmentation_models_pytorch
    except ImportError as missing:
        raise ConfigError(
            "this network needs the package segmentation-models-pytorch: pip install segmentation-models-pytorch"
        ) from missing
    return segmentation_models_pytorch


def _refuse_imagenet(name: str, imagenet: bool) -> None:
    if imagenet:
        raise ConfigError(
            f"{name} has no ImageNet weights here; set start = 'random', and model.frozen_statistics = false with it"
        )


def _unet(backbone: nn.Module, decoder: Any, head: nn.Module, config: ModelConfig) -> SgcldffNetwork:
    """Part a U-Net at stride 4: what comes before is the fusion, what comes after the segmentation head."""
    width = _UNET_CHANNELS[_BLOCKS_TO_STRIDE_4 - 1]
    before, after = decoder.blocks[:_BLOCKS_TO_STRIDE_4], decoder.blocks[_BLOCKS_TO_STRIDE_4:]
    return _network(backbone, _UnetToStride4(before), _UnetToFullSize(after, head), width, config)


def _network(
    backbone: nn.Module, fusion: nn.Module, segmentation: nn.Module, width: int, config: ModelConfig
) -> SgcldffNetwork:
    with torch.no_grad():
        for module in segmentation.modules():
            if isinstance(module, nn.Conv2d) and module.out_channels == _MAPS and module.bias is not None:
                module.bias.fill_(-2.0)  # as in our head: most pixels are background
    return SgcldffNetwork(
        backbone,
        None,
        fusion,
        segmentation,
        ClassificationHead(width, config.embedding, len(config.classes), config.dropout),
        prior_channel=False,
        weighted_attention=False,
    )


class _Pyramid(nn.Module):
    """An encoder of the library: its maps at stride 2, and at 4 and deeper."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        _, stem, *levels = self.encoder(x)
        return stem, levels


class _SwinPyramid(nn.Module):
    """timm's Swin, whose maps are channels-last; it has nothing at stride 2."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        levels = [level.permute(0, 3, 1, 2).contiguous() for level in self.encoder(x)]
        return levels[0], levels


class _Decoder(nn.Module):
    """A decoder of the library that ends at stride 4."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, levels: Sequence[Tensor], prior: Tensor | None) -> Tensor:
        # The library counts maps from the image itself; neither that nor the one at stride 2 is used.
        fused: Tensor = self.decoder([levels[0], levels[0], *levels])
        return fused


class _UnetToStride4(nn.Module):
    def __init__(self, blocks: nn.ModuleList) -> None:
        super().__init__()
        self.blocks = blocks

    def forward(self, levels: Sequence[Tensor], prior: Tensor | None) -> Tensor:
        *skips, x = levels
        for block, skip in zip(self.blocks, reversed(skips), strict=True):
            x = block(x, *skip.shape[-2:], skip_connection=skip)
        return x


class _UnetToFullSize(nn.Module):
    def __init__(self, blocks: nn.ModuleList, head: nn.Module) -> None:
        super().__init__()
        self.blocks = blocks
        self.head = head

    def forward(self, fused: Tensor, stem: Tensor) -> Tensor:
        height, width = stem.shape[-2:]
        x = self.blocks[0](fused, height, width, skip_connection=stem)
        logits: Tensor = self.head(self.blocks[1](x, 2 * height, 2 * width))
        return logits


class _HeadOfFused(nn.Module):
    """A segmentation head that needs nothing but the decoder's map."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, fused: Tensor, stem: Tensor) -> Tensor:
        logits: Tensor = self.head(fused)
        return logits
