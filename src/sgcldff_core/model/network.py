"""The whole network, put together from its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from sgcldff_core.model.architectures import find_builder, register_architecture
from sgcldff_core.model.backbone import STEM_CHANNELS, HybridBackbone, imagenet_state, level_channels
from sgcldff_core.model.fusion import CrossLayerFusion, SaliencyGate, SaliencyVote, TopDownDecoder
from sgcldff_core.model.heads import ClassificationHead, SegmentationHead

if TYPE_CHECKING:
    from sgcldff_core.model.config import ModelConfig

__all__ = ["FUSED_STRIDE", "IMAGENET_MEAN", "STRIDE", "NetworkOutput", "SgcldffNetwork", "build_network"]

STRIDE = 32
"""Inputs must be a multiple of this high and wide."""

FUSED_STRIDE = 4
"""Pixels of the input for one pixel of the fused map."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""RGB in [0, 1] that normalisation turns into zero."""

_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class NetworkOutput:
    """What one forward pass gives.

    Attributes
    ----------
    cell, nucleus : Tensor
        (B, 1, H, W) logits of the masks.
    distance : Tensor
        (B, 1, H, W) logits of the distance to the cell's outline over its largest value in the cell.
    fused : Tensor
        (B, width, H/4, W/4) fused map, on which cells are classified and explained.
    levels : tuple of Tensor
        Gated levels at strides 4, 8, 16 and, where the backbone goes that deep, 32.
    """

    cell: Tensor
    nucleus: Tensor
    distance: Tensor
    fused: Tensor
    levels: tuple[Tensor, ...]

    @property
    def logits(self) -> Tensor:
        """(B, 3, H, W) cell, nucleus and distance in one."""
        return torch.cat([self.cell, self.nucleus, self.distance], 1)


class SgcldffNetwork(nn.Module):
    """Saliency-guided cross-layer deep feature fusion.

    Parameters
    ----------
    backbone, gate, fusion, segmentation, classification : Module
        The parts; `build_network` makes them from a config. `gate` is None without gating.
    prior_channel : bool
        Whether the backbone takes the prior as its fourth channel.
    weighted_attention : bool
        Whether the fusion's channel attention is weighted by the prior.
    vote : SaliencyVote, optional
        Where the prior has a vote of its own on the leukocyte mask.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        gate: SaliencyGate | None,
        fusion: nn.Module,
        segmentation: nn.Module,
        classification: ClassificationHead,
        *,
        prior_channel: bool,
        weighted_attention: bool,
        vote: SaliencyVote | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.gate = gate
        self.fusion = fusion
        self.segmentation = segmentation
        self.classification = classification
        self.vote = vote
        self.prior_channel = prior_channel
        self.weighted_attention = weighted_attention
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor, prior: Tensor) -> NetworkOutput:
        """Segment, and make the map on which `classify` works.

        Parameters
        ----------
        image : Tensor
            (B, 3, H, W) float RGB in [0, 1]; H and W multiples of `STRIDE`.
        prior : Tensor
            (B, 1, H, W) float in [0, 1].
        """
        stem, levels = self.encode(image, prior)
        fused = self.fuse(levels, prior)
        cell, nucleus, distance = self.segment(fused, stem).split(1, 1)
        if self.vote is not None:
            cell = self.vote(cell, prior)
        return NetworkOutput(cell, nucleus, distance, fused, tuple(levels))

    def encode(self, image: Tensor, prior: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the stem's map at stride 2 and the gated levels: what comes before `fuse`.

        Parameters
        ----------
        image, prior : Tensor
            As for `forward`.
        """
        x = (image - self.mean) / self.std
        if self.prior_channel:
            x = torch.cat([x, prior], 1)
        stem, levels = self.backbone(x)
        if self.gate is not None:
            levels = self.gate(levels, prior)
        return stem, list(levels)

    def fuse(self, levels: Sequence[Tensor], prior: Tensor) -> Tensor:
        """Return the fused map of gated levels: what lies between `NetworkOutput.levels` and `classify`.

        Parameters
        ----------
        levels : sequence of Tensor
            (B, C_l, H_l, W_l) each, gated.
        prior : Tensor
            (B, 1, H, W) float in [0, 1].
        """
        fused: Tensor = self.fusion(levels, prior if self.weighted_attention else None)
        return fused

    def segment(self, fused: Tensor, stem: Tensor) -> Tensor:
        """Return (B, 3, H, W) logits of a fused map and the stem's map, before any vote: cell, nucleus, distance.

        Parameters
        ----------
        fused : Tensor
            (B, C, H / 4, W / 4), from `fuse`.
        stem : Tensor
            (B, C_stem, H / 2, W / 2), from `encode`.
        """
        return self.segmentation(fused, stem)  # type: ignore[no-any-return]

    def classify(self, fused: Tensor, cells: Tensor, nuclei: Tensor, image_of_cell: Tensor) -> tuple[Tensor, Tensor]:
        """Return class logits and feature vectors of cells; see `ClassificationHead.forward`.

        Parameters
        ----------
        fused : Tensor, shape (B, C, h, w)
            The fused maps of the images.
        cells, nuclei : Tensor, shape (N, h, w)
            Soft masks in [0, 1], one a cell, at the fused map's size.
        image_of_cell : Tensor of int64, shape (N,)
            Which image each cell is in.

        Returns
        -------
        logits : Tensor, shape (N, classes)
            Before temperature and prior odds.
        """
        return self.classification(fused, cells, nuclei, image_of_cell)  # type: ignore[no-any-return]


def build_network(config: ModelConfig, *, imagenet: bool = False) -> SgcldffNetwork:
    """Make the network that a config describes.

    Parameters
    ----------
    config : ModelConfig
        The architecture.
    imagenet : bool
        Start the encoder from ImageNet weights instead of at random.

    Returns
    -------
    SgcldffNetwork
        On the CPU, in training mode.

    Raises
    ------
    ConfigError
        If the architecture is unknown, or ImageNet weights are asked for and cannot be had.
    """
    return find_builder(config.architecture)(config, imagenet)


def _build_sgcldff(config: ModelConfig, imagenet: bool) -> SgcldffNetwork:
    channels = 4 if config.prior_channel else 3
    levels = level_channels(config.deepest)
    backbone = HybridBackbone(
        channels,
        swin=config.swin,
        depth=config.swin_depth,
        window=config.window,
        frozen_statistics=config.frozen_statistics,
        deepest=config.deepest,
    )
    if imagenet:
        backbone.load_state_dict(imagenet_state(channels, config.deepest), strict=False)
    elif config.prior_channel:
        with torch.no_grad():
            backbone.stem.get_parameter("0.weight")[:, 3:].zero_()
    fusion: nn.Module = (
        CrossLayerFusion(levels, config.width, config.cardinality)
        if config.fusion
        else TopDownDecoder(levels, config.width)
    )
    return SgcldffNetwork(
        backbone,
        SaliencyGate(len(levels)) if config.gating else None,
        fusion,
        SegmentationHead(config.width, STEM_CHANNELS if config.fusion else 0, config.detail),
        ClassificationHead(config.width, config.embedding, len(config.classes), config.dropout),
        prior_channel=config.prior_channel,
        weighted_attention=config.gating,
        vote=SaliencyVote() if config.prior_vote else None,
    )


register_architecture("sgcldff", _build_sgcldff)
