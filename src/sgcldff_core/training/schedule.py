"""What changes while a run goes on: learning rate, weight of the saliency losses, running mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel

if TYPE_CHECKING:
    from sgcldff_core.model import SgcldffNetwork
    from sgcldff_core.training.config import TrainingConfig

__all__ = [
    "ROBUST_FROM",
    "learning_rate_factor",
    "make_optimizer",
    "rising_factor",
    "running_mean",
    "set_learning_rate",
]

ROBUST_FROM = 0.3
"""Share of the training in which classes are learned by plain cross-entropy.

The robust loss lets go of cells that look like anything but their label, which at the beginning are all but those
of the commonest class: in force from the first step on, it may never learn another.
"""


def learning_rate_factor(progress: float, warmup: float) -> float:
    """Return the factor on the learning rate: a linear rise, then half a cosine down to 1 %.

    Parameters
    ----------
    progress : float
        Share of all steps that is done, 0 to 1.
    warmup : float
        Share of all steps for the rise.
    """
    if progress < warmup:
        return 0.1 + 0.9 * progress / warmup
    rest = (progress - warmup) / max(1 - warmup, 1e-9)
    return 0.01 + 0.99 * (1 + math.cos(math.pi * min(rest, 1))) / 2


def rising_factor(progress: float, warmup: float) -> float:
    """Return the factor on what comes in late: none for `warmup`, then a linear rise for as long.

    So do the saliency losses, since a network that is aligned before it has learned anything only learns to
    repeat the prior, and so does ``robust_q``, see `ROBUST_FROM`.

    Parameters
    ----------
    progress, warmup : float
        Shares of the whole training, in [0, 1].

    Returns
    -------
    float
        In [0, 1].
    """
    if warmup <= 0:
        return 1.0
    return float(min(max(progress / warmup - 1, 0), 1))


def make_optimizer(network: SgcldffNetwork, loss: nn.Module, config: TrainingConfig) -> Optimizer:
    """Return AdamW with a lower rate for the pretrained encoder and no decay of norms and biases.

    Parameters
    ----------
    network : SgcldffNetwork
        Parameters that ask for no gradient are left out.
    loss : nn.Module
        Whose weights may be learned too.
    config : TrainingConfig
        Rates and decay.
    """
    pretrained = {id(p) for name, p in network.backbone.named_parameters() if name.startswith(("stem", "levels"))}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter in (*network.parameters(), *loss.parameters()):
        if parameter.requires_grad:
            key = (id(parameter) in pretrained, parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    return AdamW(
        [
            {
                "params": parameters,
                "lr": config.learning_rate * (config.backbone_rate if is_pretrained else 1.0),
                "base": config.learning_rate * (config.backbone_rate if is_pretrained else 1.0),
                "weight_decay": config.weight_decay if decays else 0.0,
            }
            for (is_pretrained, decays), parameters in groups.items()
        ]
    )


def set_learning_rate(optimizer: Optimizer, factor: float) -> None:
    """Set every group to its own base rate times a factor.

    Parameters
    ----------
    optimizer : Optimizer
        From `make_optimizer`, which notes the base rates.
    factor : float
        What the schedule says for this step.
    """
    for group in optimizer.param_groups:
        group["lr"] = group["base"] * factor


def running_mean(network: nn.Module, decay: float) -> AveragedModel:
    """Return an exponential running mean of a network's weights.

    Its memory grows with the steps taken, up to `decay`, so that the mean does not remember the
    random weights of the start.

    Parameters
    ----------
    network : nn.Module
        Is not changed; the mean begins as a copy of it.
    decay : float
        Share of the mean that stays at each step, in [0, 1).
    """

    def update(means: Sequence[Tensor], current: Sequence[Tensor], taken: Tensor | int) -> None:
        n = int(taken)
        torch._foreach_lerp_(list(means), list(current), 1 - min(decay, (1 + n) / (10 + n)))

    # The stubs name a narrower callable than what is documented.
    averaging: Callable[..., None] = torch.no_grad()(update)
    return AveragedModel(network, multi_avg_fn=averaging)
