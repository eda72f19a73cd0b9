"""Saliency gates and cross-layer fusion: how shallow texture and deep context meet in one map."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "CrossLayerFusion",
    "SaliencyAttention",
    "SaliencyGate",
    "SaliencyVote",
    "TopDownDecoder",
    "pool_to",
    "resize_to",
]


def resize_to(x: Tensor, like: Tensor) -> Tensor:
    """Resize a map bilinearly to the height and width of another.

    Parameters
    ----------
    x : Tensor, shape (B, C, h, w)
        The map.
    like : Tensor, shape (..., H, W)
        Only its last two axes count.

    Returns
    -------
    Tensor, shape (B, C, H, W)
        `x` itself if it has that size already.
    """
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def pool_to(x: Tensor, like: Tensor) -> Tensor:
    """Average a map down to the height and width of another, of which its own are whole multiples.

    Parameters
    ----------
    x : Tensor, shape (B, C, h, w)
        The map, such as a prior.
    like : Tensor, shape (..., H, W)
        Only its last two axes count.

    Returns
    -------
    Tensor, shape (B, C, H, W)
        Means of the pixels that fall together.
    """
    # Adaptive pooling would do the same, but exports to no graph of free size.
    return F.avg_pool2d(x, (int(x.shape[-2]) // int(like.shape[-2]), int(x.shape[-1]) // int(like.shape[-1])))


class SaliencyGate(nn.Module):
    """Lift each level where the prior is salient: ``F_l * (1 + alpha_l * S)`` with ``alpha_l >= 0``.

    Parameters
    ----------
    levels : int
        Number of levels, each with an alpha of its own.
    start : float
        Value of every alpha at the start.
    """

    def __init__(self, levels: int, start: float = 0.3) -> None:
        super().__init__()
        # softplus keeps alpha positive without a dead zone; its inverse gives the start value
        self.raw = nn.Parameter(torch.full((levels,), math.log(math.expm1(start))))

    @property
    def alpha(self) -> Tensor:
        """The (levels,) gate strengths."""
        return F.softplus(self.raw)

    def forward(self, levels: Sequence[Tensor], prior: Tensor) -> list[Tensor]:
        """Gate every level.

        Parameters
        ----------
        levels : sequence of Tensor
            (B, C_l, H_l, W_l) each.
        prior : Tensor
            (B, 1, H, W) in [0, 1].
        """
        return [level * (1 + alpha * pool_to(prior, level)) for level, alpha in zip(levels, self.alpha, strict=True)]


class SaliencyVote(nn.Module):
    """Give the prior a vote on each pixel: ``y + beta * (S - tau)`` with ``beta >= 0``.

    The prior alone outlines well where few pixels were ever labelled. As a channel of the stem it
    starts at nothing and has to find its way through the encoder; here it counts from the first
    step, and the network learns only where it errs.

    Parameters
    ----------
    weight : float
        Value of beta at the start, in logits.
    threshold : float
        Value of tau at the start: the saliency above which the prior speaks for a leukocyte.
    """

    def __init__(self, weight: float = 2.5, threshold: float = 0.35) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.tensor(math.log(math.expm1(weight))))
        self.threshold = nn.Parameter(torch.tensor(threshold))

    @property
    def beta(self) -> Tensor:
        """How many logits lie between no saliency and full."""
        return F.softplus(self.raw)

    def forward(self, logits: Tensor, prior: Tensor) -> Tensor:
        """Return the (B, 1, H, W) logits of the leukocyte after the prior's vote.

        Parameters
        ----------
        logits : Tensor
            (B, 1, H, W) of the leukocyte.
        prior : Tensor
            (B, 1, H, W) in [0, 1].
        """
        return logits + self.beta * (prior - self.threshold)


class SaliencyAttention(nn.Module):
    """Efficient channel attention whose global mean is weighted by the prior.

    A plain mean describes a field mostly by its background, and changes with the share of
    background: the same cell would be treated one way in a crop and another in a field. Weighted
    by saliency, the description is of what is salient. Without a prior it is plain ECA.

    Parameters
    ----------
    channels : int
        Channels of the map.

    References
    ----------
    Wang et al., ECA-Net, CVPR 2020 (kernel size from the number of channels, gamma 2, b 1).
    """

    floor = 0.05  # an empty field, where the prior is zero, is still described by its mean

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = int(abs(math.log2(channels) / 2 + 0.5))
        kernel += 1 - kernel % 2
        self.mix = nn.Conv1d(1, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor, prior: Tensor | None) -> Tensor:
        """Scale the channels of ``x`` (B, C, H, W).

        Parameters
        ----------
        x : Tensor, shape (B, C, H, W)
            Features.
        prior : Tensor of shape (B, 1, h, w), or None
            In [0, 1], at any size; where it is high counts more in describing a channel. None weighs all alike.

        Returns
        -------
        Tensor, shape (B, C, H, W)
            Every channel times a factor in (0, 1).
        """
        if prior is None:
            described = x.mean((2, 3))
        else:
            weight = pool_to(prior, x) + self.floor
            described = torch.einsum("bchw,bhw->bc", x, weight[:, 0]) / weight.sum((2, 3))
        scale: Tensor = self.mix(described.unsqueeze(1)).squeeze(1).sigmoid()
        return x * scale[:, :, None, None]


class CrossLayerFusion(nn.Module):
    """Bring every level to stride 4 and one width, and transform them together.

    Per level a 1x1 convolution to ``width``; on the concatenation of all levels aggregated grouped
    transformations (3x3, ``cardinality`` groups), channel attention, a 1x1 convolution back to
    ``width``; and a residual path that sums the levels. A group spans channels of one level only
    where cardinality is a multiple of the number of levels, so channels are interleaved first:
    every group then sees all levels.

    Parameters
    ----------
    channels : sequence of int
        Channels of the levels, from stride 4 on.
    width : int
        Channels of the fused map.
    cardinality : int
        Groups of the aggregated transformation.

    References
    ----------
    Xie et al., ResNeXt, CVPR 2017; ResNeXt-CC, Sci. Rep. 14 (2024), s41598-024-69076-1.
    """

    def __init__(self, channels: Sequence[int], width: int, cardinality: int) -> None:
        super().__init__()
        joint = width * len(channels)
        self.laterals = nn.ModuleList(nn.Sequential(nn.Conv2d(c, width, 1), LayerNorm2d(width)) for c in channels)
        self.interleave = nn.ChannelShuffle(len(channels))
        self.transform = nn.Sequential(
            nn.Conv2d(joint, joint, 3, padding=1, groups=cardinality, bias=False), LayerNorm2d(joint), nn.ReLU6()
        )
        self.attention = SaliencyAttention(joint)
        self.project = nn.Conv2d(joint, width, 1)
        self.norm = LayerNorm2d(width)
        self.activate = nn.ReLU()

    def forward(self, levels: Sequence[Tensor], prior: Tensor | None) -> Tensor:
        """Return the fused map.

        Parameters
        ----------
        levels : sequence of Tensor
            (B, C_l, H_l, W_l), shallow to deep.
        prior : Tensor or None
            (B, 1, H, W) in [0, 1] to weight the channel attention; None for a plain mean.

        Returns
        -------
        Tensor
            (B, width, H_0, W_0), not negative.
        """
        lateral = [project(level) for project, level in zip(self.laterals, levels, strict=True)]
        aligned = [resize_to(x, lateral[0]) for x in lateral]
        joint = self.transform(self.interleave(torch.cat(aligned, 1)))
        joint = self.project(self.attention(joint, prior))
        residual = sum(aligned[1:], start=aligned[0])  # a stack of them, summed, takes twenty times as long
        fused: Tensor = self.activate(self.norm(joint + residual))
        return fused


class TopDownDecoder(nn.Module):
    """The ablation of fusion: only the deepest level goes on, step by step up to stride 4.

    Parameters
    ----------
    channels : sequence of int
        Channels of the levels; only the last is used.
    width : int
        Channels of the map that comes out.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.Sequential(nn.Conv2d(channels[-1], width, 1), LayerNorm2d(width))
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), LayerNorm2d(width), nn.ReLU())
            for _ in channels[1:]
        )

    def forward(self, levels: Sequence[Tensor], prior: Tensor | None) -> Tensor:
        """Return the decoded map (B, width, H_0, W_0); `prior` is not used.

        Parameters
        ----------
        levels : sequence of Tensor, shape (B, C_l, H_l, W_l)
            From the finest to the deepest.
        prior : Tensor or None
            Taken so that the decoder and the fusion can be exchanged.
        """
        x: Tensor = self.lateral(levels[-1])
        for step, finer in zip(self.steps, reversed(levels[:-1]), strict=True):
            x = step(resize_to(x, finer))
        return x
