"""Weights into a network: each tensor that it expects, in its shape, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sgcldff_core.errors import CorruptModelError

if TYPE_CHECKING:
    from torch import Tensor

    from sgcldff_core.model.network import SgcldffNetwork

__all__ = ["fill_network"]


def fill_network(network: SgcldffNetwork, tensors: Mapping[str, Tensor], file: Path) -> None:
    """Give a network weights, after checking that they fit.

    Parameters
    ----------
    network : SgcldffNetwork
        As its description says.
    tensors : mapping of str to Tensor
        By the names of its state; of any floating-point precision.
    file : Path
        Where they come from, for messages.

    Raises
    ------
    CorruptModelError
        If a tensor is missing, too much or of another shape.
    """
    expected = network.state_dict()
    missing = sorted(set(expected) - set(tensors))
    surplus = sorted(set(tensors) - set(expected))
    if missing or surplus:
        raise CorruptModelError(
            f"{file}: does not fit its description; it lacks {missing[:3]} and has {surplus[:3]} too many"
        )
    for name, tensor in expected.items():
        if tensors[name].shape != tensor.shape:
            raise CorruptModelError(f"{file}: {name} has shape {tuple(tensors[name].shape)}, not {tuple(tensor.shape)}")
    network.load_state_dict({k: v.to(torch.float32) if v.is_floating_point() else v for k, v in tensors.items()})
