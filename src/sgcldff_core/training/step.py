"""One forward pass of training, as a module: what runs on every process alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgcldff_core.model import FUSED_STRIDE, NetworkOutput, SgcldffNetwork

if TYPE_CHECKING:
    from sgcldff_core.losses import MultiTaskLoss, Targets

__all__ = ["Handed", "TrainingStep", "pooling_nuclei"]


class Handed:
    """Carries targets past Fabric, which rounds the tensors of a step's input and refuses frozen records.

    Parameters
    ----------
    targets : Targets
        In full precision, and staying so.
    """

    def __init__(self, targets: Targets) -> None:
        self.targets = targets


class TrainingStep(nn.Module):
    """Network and loss in one, so that a distributed wrapper sees a single forward.

    Parameters
    ----------
    network : SgcldffNetwork
        What is trained.
    loss : MultiTaskLoss
        How it is judged.
    recall : Module, optional
        A loss over remembered cells, see `Recall`; on top of the weight of the class loss.
    """

    def __init__(self, network: SgcldffNetwork, loss: MultiTaskLoss, recall: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.recall = recall

    def forward(
        self, image: Tensor, prior: Tensor, annotation: Handed, saliency: float, robust: float = 1.0
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return the loss and its parts; see `MultiTaskLoss.forward`.

        Parameters
        ----------
        image, prior : Tensor
            (B, 3, H, W) and (B, 1, H, W).
        annotation : Handed
            Of these images.
        saliency : float
            Factor on the saliency losses.
        robust : float
            Factor on ``robust_q`` of the class loss.
        """
        targets = annotation.targets
        output = self.network(image, prior)
        # The network may run in half precision; sums over thousands of pixels in the losses may not.
        with torch.autocast(image.device.type, enabled=False):
            output = _in_full_precision(output)
            if not output.fused.requires_grad:
                output.fused.requires_grad_()  # with heads alone to train, activation maps still need its gradient
            nuclei = _mixed_nuclei(output, targets)
            logits, features = self.network.classify(output.fused, targets.pool_cell, nuclei, targets.image_of_cell)
            total, parts = self.loss(output, logits, features, targets, saliency=saliency, robust=robust)
            if self.recall is not None:
                recalled = self.recall(self.network.classification)
                total = total + self.loss.config.classification * recalled
                parts = {**parts, "recall": recalled.detach()}
        return total, parts


def _in_full_precision(output: NetworkOutput) -> NetworkOutput:
    maps = {name: getattr(output, name).float() for name in ("cell", "nucleus", "distance", "fused")}
    return replace(output, **maps)


def pooling_nuclei(output: NetworkOutput, cells: Tensor, image_of_cell: Tensor) -> Tensor:
    """Return the network's own nuclei within cells, (N, h, w) at the fused map's size, detached.

    Parameters
    ----------
    output : NetworkOutput
        Of B images.
    cells : Tensor, shape (N, h, w)
        Soft masks of the cells in [0, 1], at the fused map's size.
    image_of_cell : Tensor of int64, shape (N,)
        Which image each cell is in.
    """
    nucleus = F.avg_pool2d(output.nucleus.detach().sigmoid(), FUSED_STRIDE)
    return nucleus[image_of_cell, 0] * cells


def _mixed_nuclei(output: NetworkOutput, targets: Targets) -> Tensor:
    # Half of the images pool by the annotated nucleus, half by the network's own, which is all that
    # there is at inference; where none is annotated there is no choice.
    own = pooling_nuclei(output, targets.pool_cell, targets.image_of_cell)
    annotated = targets.pool_nucleus.flatten(1).sum(1) > 0
    use_annotated = annotated & (targets.image_of_cell % 2 == 0)
    return torch.where(use_annotated[:, None, None], targets.pool_nucleus, own)
