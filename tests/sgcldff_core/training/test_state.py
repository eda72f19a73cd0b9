"""Checkpoints of strangers: nothing in them runs."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from sgcldff_core.errors import FormatError
from sgcldff_core.training.state import load_checkpoint, save_checkpoint


class _Intruder:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.mark,)


def test_a_pickle_under_the_name_of_a_checkpoint_is_refused_and_does_not_run(tmp_path: Path) -> None:
    stream = io.BytesIO()
    torch.save({"network.weight": _Intruder(tmp_path / "was here")}, stream)
    (tmp_path / "checkpoint.safetensors").write_bytes(stream.getvalue())
    network = nn.Linear(2, 2)
    with pytest.raises(FormatError, match=r"checkpoint\.safetensors: is no checkpoint of this run"):
        load_checkpoint(
            tmp_path / "checkpoint.safetensors", {"network": network}, torch.optim.AdamW(network.parameters())
        )
    assert not (tmp_path / "was here").exists()


def test_a_checkpoint_holds_no_pickle(tmp_path: Path) -> None:
    network = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    save_checkpoint(tmp_path / "a.safetensors", {"network": network}, optimizer, {"epochs": 3})
    raw = (tmp_path / "a.safetensors").read_bytes()
    assert raw[8:9] == b"{"
    assert int.from_bytes(raw[:8], "little") < len(raw)
    assert load_checkpoint(tmp_path / "a.safetensors", {"network": network}, optimizer) == {"epochs": 3}
