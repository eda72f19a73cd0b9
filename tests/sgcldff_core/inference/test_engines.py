"""Other engines: the same cells, the graph made once."""

from __future__ import annotations

import copy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sgcldff_core.datasets.rasters import read_rgb
from sgcldff_core.errors import ConfigError
from sgcldff_core.inference import engines, predict_image
from sgcldff_core.inference.engines import ENGINES, cached_graph, with_engine
from sgcldff_core.inference.forward import network_input, run_network
from sgcldff_core.model import Model, load_model
from sgcldff_core.saliency import compute_prior
from sgcldff_core.smear import SmearSettings, make_smear


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model("leukocytes-small")


@pytest.fixture(scope="module", params=ENGINES[1:])
def other(request: pytest.FixtureRequest, model: Model, tmp_path_factory: pytest.TempPathFactory) -> Model:
    pytest.importorskip(request.param)
    pytest.importorskip("onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines.platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path_factory.mktemp("cache")))
        return with_engine(model, request.param)


def _differing(image: NDArray[np.uint8], one: Model, two: Model, diameter: float | None) -> float:
    seen = [predict_image(image, model, diameter=diameter) for model in (one, two)]
    assert list(seen[0].cells["class"]) == list(seen[1].cells["class"])
    assert seen[0].labels.any()
    assert two.engine is not None
    return float((seen[0].labels != seen[1].labels).mean())


def test_cells_are_the_same_on_a_synthetic_smear(model: Model, other: Model) -> None:
    """Not only within half a percent of the pixels, but nearly to the last one."""
    settings = SmearSettings(height=300, width=420, diameter=90, leukocytes=5, cut=0, stain="wright")
    image = np.asarray(make_smear(4, settings).image)
    assert _differing(image, model, other, 90.0) < 0.0005


def test_cells_are_the_same_on_a_real_field(model: Model, other: Model, real_data: Path) -> None:
    image = read_rgb(real_data / "bccd" / "BCCD" / "JPEGImages" / "BloodImage_00004.jpg")
    assert _differing(image, model, other, None) < 0.005


def test_the_graph_is_made_once(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def write(network: object, file: Path) -> None:
        file.parent.mkdir(parents=True)
        file.write_bytes(b"graph")
        made.append(file)

    monkeypatch.setattr(engines, "write_maps_graph", write)
    monkeypatch.setattr(engines.platformdirs, "user_cache_dir", lambda *_, **__: str(tmp_path))
    assert cached_graph(model) == cached_graph(model) == made[0]
    assert model.sha256 in str(made[0])
    assert len(made) == 1
    assert cached_graph(replace(model, sha256="0" * 64)) != made[0]


def test_torch_takes_the_place_of_another_engine(model: Model) -> None:
    class Mirror:
        name = "mirror"

        def __call__(self, image: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
            return image, prior

    engine = with_engine(replace(model, engine=Mirror()), "torch").engine
    assert engine is not None
    assert engine.name == "torch"


def test_what_cannot_be_is_refused(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="unknown engine 'abacus'; known are torch, onnxruntime, openvino"):
        with_engine(model, "abacus")
    with pytest.raises(ConfigError, match="was not saved yet"):
        cached_graph(replace(model, sha256=""))
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(
        ConfigError, match=r"engine openvino is not installed: pip install 'napari-sgcldff\[openvino\]'"
    ):
        with_engine(model, "openvino")


def test_folded_torch_gives_what_the_network_gives(model: Model) -> None:
    image = np.asarray(make_smear(4, SmearSettings(height=200, width=300, diameter=90, leukocytes=2)).image)
    quick = with_engine(model)
    assert quick.engine is not None
    shown, prior = network_input(model.network, image, compute_prior(image, model.config.prior))
    with torch.inference_mode():
        out, (logits, fused) = model.network(shown, prior), quick.engine(shown, prior)
    torch.testing.assert_close(logits, torch.cat([out.cell, out.nucleus, out.distance], 1), atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(fused, out.fused, atol=1e-3, rtol=1e-4)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in quick.engine.network.modules())
    assert _differing(image, model, quick, 90.0) < 0.0005


def test_what_the_network_learns_later_is_not_in_the_folded_copy(model: Model) -> None:
    image = np.asarray(make_smear(4, SmearSettings(height=64, width=64, diameter=60, leukocytes=1)).image)
    own = replace(model, network=copy.deepcopy(model.network))
    quick = with_engine(own)
    before = run_network(own.network, image, np.zeros(image.shape[:2], np.float32), engine=quick.engine)
    with torch.no_grad():
        for weight in own.network.parameters():
            weight.zero_()
    after = run_network(own.network, image, np.zeros(image.shape[:2], np.float32), engine=quick.engine)
    assert torch.equal(before.logits, after.logits)
