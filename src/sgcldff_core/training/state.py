"""Checkpoints of a run: one safetensors file that holds all there is to go on from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sgcldff_core.errors import FormatError
from sgcldff_core.files import written_atomically

if TYPE_CHECKING:
    from torch.optim import Optimizer

__all__ = ["load_checkpoint", "save_checkpoint"]


def save_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], optimizer: Optimizer, notes: Mapping[str, Any]
) -> None:
    """Write modules, optimiser and notes as one file, whole or not at all.

    Parameters
    ----------
    path : Path
        A ``.safetensors`` file.
    modules : mapping of str to Module
        By a name without dots.
    optimizer : Optimizer
        Its tensors are kept by number of parameter.
    notes : mapping
        Plain JSON types.
    """
    tensors = {f"{name}.{k}": v for name, module in modules.items() for k, v in module.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{k}": torch.as_tensor(v) for k, v in state.items()}
    copies = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    with written_atomically(path) as draft:
        save_file(copies, draft, metadata={"notes": json.dumps(dict(notes))})


def load_checkpoint(path: Path, modules: Mapping[str, nn.Module], optimizer: Optimizer) -> dict[str, Any]:
    """Bring modules and optimiser back to where `save_checkpoint` left them.

    Parameters
    ----------
    path : Path
        Written by `save_checkpoint`.
    modules : mapping of str to nn.Module
        By the names that they were saved under; changed in place.
    optimizer : Optimizer
        Made for the same parameters in the same order; changed in place.

    Returns
    -------
    dict
        The notes.

    Raises
    ------
    FormatError
        If the file is damaged or belongs to another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            notes: dict[str, Any] = json.loads(file.metadata()["notes"])
            tensors = {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118 - not a mapping
        for name, module in modules.items():
            module.load_state_dict(_under(name, tensors))
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as broken:
        raise FormatError(path, f"is no checkpoint of this run ({broken})", "start anew without --resume") from broken
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in _under("optimizer", tensors).items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return notes


def _under(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(f"{name}."): v for k, v in tensors.items() if k.startswith(f"{name}.")}
