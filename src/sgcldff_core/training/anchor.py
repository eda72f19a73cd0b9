"""Not to forget: weights are pulled back to where they started."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

__all__ = ["Anchor"]


class Anchor:
    """Decay of trained weights towards those that they started from.

    Weight decay pulls towards zero and so forgets what the start knew. This pulls towards the start
    instead, apart from the gradient as in AdamW, so that each weight is pulled alike whatever the
    size of its gradients: what a few new cells do not speak of stays as it was.

    Parameters
    ----------
    network : Module
        As it is at the start; what takes no gradient needs no anchor.
    strength : float
        Each step takes off this times the learning rate of the way from the start.

    References
    ----------
    Li et al., Explicit inductive bias for transfer learning with convolutional networks, ICML 2018
    (L2-SP); Loshchilov and Hutter, Decoupled weight decay regularization, ICLR 2019.
    """

    def __init__(self, network: nn.Module, strength: float) -> None:
        self.strength = strength
        trained = network.parameters() if strength else ()
        self._start: dict[Tensor, Tensor] = {p: p.detach().clone() for p in trained if p.requires_grad}

    @torch.no_grad()
    def pull(self, optimizer: Optimizer) -> None:
        """Bring the weights of an optimiser a little back, each by its group's learning rate.

        Parameters
        ----------
        optimizer : Optimizer
            After its step.
        """
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                start = self._start.get(parameter)
                if start is not None:
                    parameter.lerp_(start.to(parameter.device), min(group["lr"] * self.strength, 1.0))
