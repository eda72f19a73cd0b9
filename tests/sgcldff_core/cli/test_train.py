"""Where ``train`` finds the processes that it is to be one of."""

from __future__ import annotations

import pytest

from sgcldff_core.cli.train import _launched_from_outside
from sgcldff_core.errors import ConfigError


def test_processes_are_those_of_torchrun_where_it_runs_this(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    assert _launched_from_outside(3) == (3, 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert _launched_from_outside(1) == (2, 4)
    with pytest.raises(ConfigError, match="--devices 3 contradicts the 2 processes"):
        _launched_from_outside(3)
