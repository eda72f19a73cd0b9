"""With which weights a run starts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from sgcldff_core.errors import ConfigError
from sgcldff_core.model import Model, SgcldffNetwork, build_network

if TYPE_CHECKING:
    from sgcldff_core.training.config import TrainingConfig

__all__ = ["PRIOR_SHIFT", "SCRATCH", "grown_from", "starting_network"]

PRIOR_SHIFT = "log_prior_shift"
"""Under this name a model's description notes what was added to its class logits when it was kept."""


SCRATCH = ("imagenet", "random")
"""Starts that are no model."""


def starting_network(config: TrainingConfig, base: Model | None) -> SgcldffNetwork:
    """Return the network that a run starts with, of which only what is trained takes gradients.

    Parameters
    ----------
    config : TrainingConfig
        Architecture, start and what is trained.
    base : Model or None
        The model that the run goes on from; None for a start that is no model.
    """
    if base is None:
        network = build_network(config.model, imagenet=config.start == "imagenet")
    else:
        network = grown_from(base, config)
    if config.train == "heads":
        head = network.classification
        for part in (network.backbone, network.gate, network.fusion, head.embed, head.norm):
            if part is not None:
                part.requires_grad_(False)
    return network


def grown_from(base: Model, config: TrainingConfig) -> SgcldffNetwork:
    """Take over another model's weights, and its class logits for classes of the same name.

    Parameters
    ----------
    base : Model
        Stays as it is.
    config : TrainingConfig
        May have other classes, but no other architecture.

    Raises
    ------
    ConfigError
        If the architectures differ.
    """
    if replace(base.config, classes=config.model.classes, dropout=config.model.dropout) != config.model:
        raise ConfigError(f"model {base.name} has another architecture than the settings' [model]; make them equal")
    network = build_network(config.model)
    fresh = network.classification.linear
    state = base.network.state_dict()
    # A new class speaks for no cell until it has learned of one.
    weight = torch.zeros_like(fresh.weight)
    # What made up for how rarely classes were shown is added again at the end; twice would be once too often.
    learned_bias = state["classification.linear.bias"] - fresh.bias.new_tensor(base.training.get(PRIOR_SHIFT, 0.0))
    bias = torch.full_like(fresh.bias, float(learned_bias.min()))
    for i, name in enumerate(config.model.classes):
        if name in base.config.classes:
            j = base.config.classes.index(name)
            weight[i], bias[i] = state["classification.linear.weight"][j], learned_bias[j]
    network.load_state_dict(state | {"classification.linear.weight": weight, "classification.linear.bias": bias})
    return network
