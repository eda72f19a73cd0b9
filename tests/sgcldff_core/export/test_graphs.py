"""Graphs that left the house: they say what the network says, at any batch and size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sgcldff_core.export.graphs import MAP_NAMES, export_onnx
from sgcldff_core.model import Model, load_model

onnxruntime = pytest.importorskip("onnxruntime")

SIZES = [(1, 64, 64), (3, 96, 160), (1, 224, 32), (3, 32, 352)]


@pytest.fixture(scope="module", params=["leukocytes", "leukocytes-small"])
def model(request: pytest.FixtureRequest) -> Model:
    return load_model(request.param)


@pytest.fixture(scope="module")
def graphs(model: Model, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return export_onnx(model, tmp_path_factory.mktemp("onnx"))


def shown(batch: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(height * width + batch)
    return torch.rand(batch, 3, height, width, generator=generator), torch.rand(
        batch, 1, height, width, generator=generator
    )


@pytest.fixture(scope="module")
def maps(graphs: tuple[Path, Path]) -> Any:
    return onnxruntime.InferenceSession(str(graphs[0]), providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_graph_of_maps_equals_the_network(model: Model, maps: Any, size: tuple[int, int, int]) -> None:
    """At a batch of one and of three, and at sizes that no window divides; traced at two of 192 x 256."""
    image, prior = shown(*size)
    with torch.inference_mode():
        own = model.network(image, prior)
    given = maps.run(None, {"image": image.numpy(), "prior": prior.numpy()})
    for name, values in zip(MAP_NAMES, given, strict=True):
        np.testing.assert_allclose(values, getattr(own, name).numpy(), atol=1e-4, rtol=0, err_msg=name)


@pytest.mark.parametrize(("batch", "image_of_cell"), [(1, [0]), (3, [2, 0, 2, 1, 0, 0, 2])], ids=str)
def test_the_graph_of_classes_equals_the_head(
    model: Model, graphs: tuple[Path, Path], batch: int, image_of_cell: list[int]
) -> None:
    session = onnxruntime.InferenceSession(str(graphs[1]), providers=["CPUExecutionProvider"])
    generator = torch.Generator().manual_seed(batch)
    fused = 3 * torch.rand(batch, model.config.width, 20, 28, generator=generator)
    cells = torch.rand(len(image_of_cell), 20, 28, generator=generator)
    nuclei = cells * (torch.rand(len(image_of_cell), 20, 28, generator=generator) > 0.5)
    nuclei[0] = 0  # a cell without a nucleus is pooled as a whole
    index = torch.tensor(image_of_cell)
    with torch.inference_mode():
        own, _ = model.network.classify(fused, cells, nuclei, index)
    feed = {"fused": fused, "cells": cells, "nuclei": nuclei, "image_of_cell": index}
    logits, probabilities = session.run(None, {name: tensor.numpy() for name, tensor in feed.items()})
    np.testing.assert_allclose(logits, own.numpy(), atol=1e-4, rtol=0)
    np.testing.assert_allclose(probabilities, (own / model.temperature).softmax(1).numpy(), atol=1e-5)


def test_what_else_is_needed_lies_beside_the_graphs(model: Model, graphs: tuple[Path, Path]) -> None:
    described = json.loads((graphs[0].parent / "model.json").read_text(encoding="utf-8"))
    assert described["classes"] == list(model.config.classes)
    assert described["canonical_diameter"] == model.config.canonical_diameter
    assert described["sha256"] == model.sha256


def test_the_model_is_left_as_it_was(model: Model) -> None:
    assert not any(module.training for module in model.network.modules())
    assert any(isinstance(module, torch.nn.ChannelShuffle) for module in model.network.modules())
