"""A network in the form that runs fastest: batch norm folded into the convolutions, channels last in memory."""

from __future__ import annotations

import copy
import itertools
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sgcldff_core.model.backbone import HybridBackbone

if TYPE_CHECKING:
    from sgcldff_core.model.network import SgcldffNetwork

__all__ = ["folded"]


def folded(network: SgcldffNetwork) -> SgcldffNetwork:
    """Return a copy for inference that gives what the network gives, to rounding.

    Only the backbone of ours is folded: its parts stand in the order in which they are run, which
    nobody promises of others.

    Parameters
    ----------
    network : SgcldffNetwork
        Stays as it is; what it learns later is not in the copy.

    Returns
    -------
    SgcldffNetwork
        In evaluation mode, on the same device, without gradients.

    References
    ----------
    Jacob et al., Quantization and training of neural networks, CVPR 2018, section 3.2 (folding).
    """
    network = copy.deepcopy(network).eval().requires_grad_(False)
    if isinstance(network.backbone, HybridBackbone):
        for parent in list(network.backbone.modules()):
            _fold_children(parent)
    return network.to(memory_format=torch.channels_last)


def _fold_children(parent: nn.Module) -> None:
    for (first, convolution), (second, norm) in itertools.pairwise(list(parent.named_children())):
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(parent, first, fuse_conv_bn_eval(convolution, norm))
            # timm's norm carries the activation behind it.
            rest = [getattr(norm, part) for part in ("drop", "act") if hasattr(norm, part)]
            setattr(parent, second, nn.Sequential(*rest))
