"""Models on disk: what is saved comes back, and what is damaged is refused by name."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sgcldff_core import model_folders
from sgcldff_core.errors import ConfigError, CorruptModelError, ModelNotFoundError
from sgcldff_core.model import Model, ModelConfig, add_model, available_models, build_network, load_model, save_model

CONFIG = ModelConfig(swin=False, width=32, cardinality=8)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = build_network(CONFIG).eval()
    model = Model("mine", CONFIG, network, calibration={"temperature": 1.5}, training={"data": "none"})
    return save_model(model, tmp_path_factory.mktemp("models") / "mine", half=False)


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    folder.mkdir()
    for file in saved.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def test_what_is_saved_comes_back(saved: Path) -> None:
    model, again = load_model(saved), load_model(saved)
    assert model.config == CONFIG
    assert model.temperature == 1.5
    assert not model.network.training
    image, prior = torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        assert torch.equal(model.network(image, prior).cell, again.network(image, prior).cell)


def test_half_precision_halves_the_file_and_keeps_the_result(saved: Path, tmp_path: Path) -> None:
    model = load_model(saved)
    small = save_model(model, tmp_path / "small")
    ratio = (small / "model.safetensors").stat().st_size / (saved / "model.safetensors").stat().st_size
    assert 0.45 < ratio < 0.55
    image, prior = torch.rand(1, 3, 64, 64), torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        full = model.network(image, prior).cell.sigmoid()
        half = load_model(small).network(image, prior).cell.sigmoid()
    assert torch.allclose(full, half, atol=0.02)


def test_a_flipped_byte_is_refused(copy: Path) -> None:
    file = copy / "model.safetensors"
    raw = bytearray(file.read_bytes())
    raw[-100] ^= 1
    file.write_bytes(raw)
    with pytest.raises(CorruptModelError, match=r"model\.safetensors: its sha256 is not the one in model\.json"):
        load_model(copy)


def _rewrite(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    save_file(tensors, folder / "model.safetensors")
    description = json.loads((folder / "model.json").read_text())
    description["sha256"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "model.json").write_text(json.dumps(description))


class _Intruder:
    """What a stranger might send: code that runs as soon as it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.mark,)


def _pickled(intruder: _Intruder) -> bytes:
    return pickle.dumps(intruder)


def _as_torch_saves(intruder: _Intruder) -> bytes:
    stream = io.BytesIO()
    torch.save({"weight": intruder}, stream)
    return stream.getvalue()


@pytest.mark.parametrize("pack", [_pickled, _as_torch_saves])
def test_a_pickle_under_the_name_of_weights_is_refused_and_does_not_run(
    copy: Path, tmp_path: Path, monkeypatch, pack: Callable[[_Intruder], bytes]
) -> None:
    """Even where the description vouches for its hash."""
    mark = tmp_path / "was here"
    raw = pack(_Intruder(mark))
    (copy / "model.safetensors").write_bytes(raw)
    description = json.loads((copy / "model.json").read_text())
    description["sha256"] = hashlib.sha256(raw).hexdigest()
    (copy / "model.json").write_text(json.dumps(description))
    with pytest.raises(CorruptModelError, match=r"model\.safetensors is not usable"):
        load_model(copy)
    monkeypatch.setattr(model_folders, "user_models", lambda: tmp_path / "home")
    with pytest.raises(CorruptModelError):
        add_model(copy, "theirs")
    assert not mark.exists()
    pickle.loads(pickle.dumps(_Intruder(mark)))
    assert mark.exists()  # so much for what it would have done


@pytest.mark.parametrize("length", [2**63, 10**9, 0])
def test_weights_that_announce_an_endless_or_empty_header_are_refused(copy: Path, length: int) -> None:
    raw = length.to_bytes(8, "little") + b"{}"
    (copy / "model.safetensors").write_bytes(raw)
    description = json.loads((copy / "model.json").read_text())
    description["sha256"] = hashlib.sha256(raw).hexdigest()
    (copy / "model.json").write_text(json.dumps(description))
    with pytest.raises(CorruptModelError, match=r"model\.safetensors is not usable"):
        load_model(copy)


def test_a_missing_tensor_is_named(copy: Path) -> None:
    tensors = load_file(copy / "model.safetensors")
    del tensors["segmentation.out.bias"]
    _rewrite(copy, tensors)
    with pytest.raises(CorruptModelError, match=r"lacks \['segmentation\.out\.bias'\]"):
        load_model(copy)


def test_a_tensor_of_another_shape_is_named(copy: Path) -> None:
    tensors = load_file(copy / "model.safetensors")
    tensors["segmentation.out.bias"] = torch.zeros(4)
    _rewrite(copy, tensors)
    with pytest.raises(CorruptModelError, match=r"segmentation\.out\.bias has shape \(4,\), not \(3,\)"):
        load_model(copy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("[]", "format version None, this release reads 1"),
        ('{"format": 99}', "format version 99, this release reads 1"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(copy: Path, text: str, message: str) -> None:
    (copy / "model.json").write_text(text)
    with pytest.raises(CorruptModelError, match=message):
        load_model(copy)


def test_missing_weights_are_named(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(CorruptModelError, match=r"model\.safetensors: cannot be read"):
        load_model(copy)


def test_an_unknown_setting_in_the_description_is_refused(copy: Path) -> None:
    description = json.loads((copy / "model.json").read_text())
    description["config"]["wings"] = 2
    (copy / "model.json").write_text(json.dumps(description))
    with pytest.raises(CorruptModelError, match="unknown model setting wings"):
        load_model(copy)


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(ModelNotFoundError, match="no model 'nosuch'"):
        load_model("nosuch")


def test_a_model_is_added_once_under_a_plain_name(saved: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(model_folders, "user_models", lambda: tmp_path / "home")
    target = add_model(saved, "ours")
    assert available_models()["ours"] == target
    assert load_model("ours").config == CONFIG
    with pytest.raises(ConfigError, match="there is a model 'ours' already"):
        add_model(saved, "ours")
    with pytest.raises(ConfigError, match="is no name for a model"):
        add_model(saved, "../ours")
    notes = json.dumps({"classes": ["monocyte"], "sha256": load_model(saved).sha256})
    save_file({"features": torch.ones(1, 4)}, saved / "memory.safetensors", {"notes": notes})
    add_model(saved, "ours", overwrite=True)
    assert (target / "memory.safetensors").read_bytes() == (saved / "memory.safetensors").read_bytes()
    with pytest.raises(ConfigError, match="there is a model 'leukocytes' already"):
        add_model(saved, "leukocytes", overwrite=True)


def test_a_damaged_model_is_not_added(copy: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(model_folders, "user_models", lambda: tmp_path / "home")
    (copy / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(CorruptModelError):
        add_model(copy, "ours")
    assert not (tmp_path / "home" / "ours").exists()
