"""Devices, before and after torch is loaded."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from napari_sgcldff import devices
from napari_sgcldff.devices import DEVICES, hindrance


@pytest.fixture(autouse=True)
def _without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)


def _torch_of(monkeypatch: pytest.MonkeyPatch, folder: Path, version: str) -> None:
    (folder / "version.py").write_text(version)
    spec = types.SimpleNamespace(origin=str(folder / "__init__.py"))
    monkeypatch.setattr(devices, "find_spec", lambda name: spec)


def test_the_processor_is_always_there() -> None:
    assert list(DEVICES) == ["auto", "cpu", "cuda", "mps"]
    assert hindrance("auto") == hindrance("cpu") == ""


def test_a_torch_for_the_processor_only_is_told_from_its_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(devices, "_has_driver", lambda: True)
    _torch_of(monkeypatch, tmp_path, "cuda: Optional[str] = None\nhip: Optional[str] = None\n")
    assert hindrance("cuda") == "The installed PyTorch is one for the processor only."
    _torch_of(monkeypatch, tmp_path, "cuda: Optional[str] = None\nhip: Optional[str] = '6.2'\n")
    assert hindrance("cuda") == ""


def test_without_a_driver_there_is_no_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _torch_of(monkeypatch, tmp_path, "cuda: Optional[str] = '13.0'\n")
    monkeypatch.setattr(devices, "_has_driver", lambda: False)
    assert hindrance("cuda") == "No driver of a graphics card was found."


@pytest.mark.parametrize(("available", "reason"), [(True, ""), (False, "No graphics card that PyTorch can use")])
def test_once_it_is_loaded_torch_is_asked(monkeypatch: pytest.MonkeyPatch, available: bool, reason: str) -> None:
    cuda = types.SimpleNamespace(is_available=lambda: available)
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))  # type: ignore[arg-type]
    assert hindrance("cuda").startswith(reason)
    assert bool(hindrance("cuda")) != available


@pytest.mark.parametrize(
    ("system", "machine", "there"), [("darwin", "arm64", True), ("darwin", "x86_64", False), ("linux", "arm64", False)]
)
def test_apple_silicon_is_told_by_the_machine(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, there: bool
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert hindrance("mps") == ("" if there else "Only on Macs with Apple silicon.")
