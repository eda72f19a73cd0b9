"""One forward pass: an image and its prior in, maps out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sgcldff_core.model import FUSED_STRIDE, STRIDE, Engine, SgcldffNetwork

__all__ = ["FieldMaps", "evaluating", "network_input", "run_network"]


@dataclass(frozen=True, slots=True, eq=False)
class FieldMaps:
    """What the network says of one field at the canonical scale.

    Attributes
    ----------
    logits : Tensor
        (3, H, W) float32: cell, nucleus, distance to the outline.
    fused : Tensor
        (C, ceil(H/4), ceil(W/4)) float32, on which cells are classified and explained.
    """

    logits: Tensor
    fused: Tensor

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """(H, W) bool, pixels that are more likely leukocyte than not."""
        return np.asarray((self.logits[0] > 0).cpu().numpy())


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Hold a network in evaluation mode, and put every part back to the mode it was in.

    Parameters
    ----------
    network : torch.nn.Module
        Its parts may be in different modes.
    """
    training = [module for module in network.modules() if module.training]
    if training:
        network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def run_network(
    network: SgcldffNetwork,
    image: NDArray[np.uint8],
    prior: NDArray[np.float32],
    mirror: tuple[bool, bool] = (False, False),
    *,
    engine: Engine | None = None,
) -> FieldMaps:
    """Run the network over a whole image at once.

    What lies beyond the image, up to the next multiple of the network's stride, has the ImageNet
    mean colour (zero once normalised) and no saliency, as in training.

    Parameters
    ----------
    network : SgcldffNetwork
        On any device; its mode is left as it was.
    image : ndarray
        (H, W, 3) uint8 RGB at the canonical scale.
    prior : ndarray
        (H, W) float32 in [0, 1].
    mirror : tuple of bool
        Whether to show the image upside down, and whether left to right; the maps are turned back.
    engine : Engine, optional
        What multiplies instead of the network; a model carries its own.

    Returns
    -------
    FieldMaps
        On the network's device.
    """
    height, width = prior.shape
    dims = [d for d, turned in zip((-2, -1), mirror, strict=True) if turned]
    with torch.inference_mode(), evaluating(network) if engine is None else nullcontext():
        x, p = network_input(network, image, prior)
        if engine is None:
            out = network(x.flip(dims), p.flip(dims))
            logits, fused = out.logits, out.fused
        else:
            logits, fused = engine(x.flip(dims), p.flip(dims))
        logits, fused = logits.flip(dims)[0].float(), fused.flip(dims)[0].float()
    small = (-(-height // FUSED_STRIDE), -(-width // FUSED_STRIDE))
    return FieldMaps(logits[:, :height, :width], fused[:, : small[0], : small[1]])


def network_input(
    network: SgcldffNetwork, image: NDArray[np.uint8], prior: NDArray[np.float32]
) -> tuple[Tensor, Tensor]:
    """Return an image and its prior as the network takes them, filled up to a multiple of its stride.

    Parameters
    ----------
    network : SgcldffNetwork
        On any device.
    image : ndarray
        (H, W, 3) uint8 RGB at the canonical scale.
    prior : ndarray
        (H, W) float32 in [0, 1].

    Returns
    -------
    image, prior : Tensor
        (1, 3, h, w) and (1, 1, h, w) float32, on the network's device.
    """
    device = network.mean.device
    height, width = prior.shape
    padded = (-(-height // STRIDE) * STRIDE, -(-width // STRIDE) * STRIDE)
    x = network.mean.expand(1, 3, *padded).clone(memory_format=torch.channels_last)
    x[..., :height, :width] = torch.tensor(image, device=device).permute(2, 0, 1).float() / 255
    p = x.new_zeros(1, 1, *padded)
    p[0, 0, :height, :width] = torch.tensor(prior)
    return x, p
