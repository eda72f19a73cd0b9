"""What runs the forward pass: torch with the network folded, or on the CPU ONNX Runtime and OpenVINO."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs
import torch
from torch import Tensor

from sgcldff_core.errors import ConfigError
from sgcldff_core.export.graphs import MAP_NAMES, MAPS_GRAPH, OPSET, write_maps_graph
from sgcldff_core.model.folding import folded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sgcldff_core.model import Engine, Model

__all__ = ["ENGINES", "cached_graph", "with_engine"]

ENGINES = ("torch", "onnxruntime", "openvino")
"""Names of the engines, the default first."""

_RELEASE = 1  # of the graphs: to be raised when the same weights give another graph


def with_engine(model: Model, name: str = ENGINES[0]) -> Model:
    """Return a model whose forward pass is run by an engine.

    The engine holds the network as it is now: what the network learns afterwards is not in it. Torch
    runs it folded, see `sgcldff_core.model.folding`; the graph that another engine needs is written
    at first use and kept for the next time.

    Parameters
    ----------
    model : Model
        For another engine than torch it is on the CPU, and saved: its graph is kept under the hash of
        its weights.
    name : str
        One of `ENGINES`.

    Returns
    -------
    Model
        With the same network, which classifies and explains as before.

    Raises
    ------
    ConfigError
        If there is no such engine, it is not installed, or it does not suit the model.
    """
    if name not in ENGINES:
        raise ConfigError(f"unknown engine {name!r}; known are {', '.join(ENGINES)}")
    if name == "torch":
        return replace(model, engine=_FoldedTorch(model))
    if model.network.mean.device.type != "cpu":
        raise ConfigError(f"engine {name} runs on the CPU, but the model is on {model.network.mean.device}")
    try:
        engine: Engine = _OnnxRuntime(model) if name == "onnxruntime" else _OpenVino(model)
    except ImportError as missing:
        raise ConfigError(f"engine {name} is not installed: pip install 'napari-sgcldff[{name}]'") from missing
    return replace(model, engine=engine)


def cached_graph(model: Model) -> Path:
    """Return the graph of a model's forward pass, written if it is not there yet.

    Parameters
    ----------
    model : Model
        Saved, so that its weights have a hash.

    Returns
    -------
    Path
        In the user's cache folder; to delete it is safe.

    Raises
    ------
    ConfigError
        If the model was not saved, or ``onnx`` is not installed.
    """
    if not model.sha256:
        raise ConfigError(f"model {model.name!r} was not saved yet; save and load it, then choose an engine")
    home = Path(platformdirs.user_cache_dir("sgcldff", appauthor=False)) / "graphs"
    graph = home / f"{model.sha256}-{OPSET}-{_RELEASE}" / MAPS_GRAPH
    if not graph.is_file():
        write_maps_graph(model.network, graph)
    return graph


class _FoldedTorch:
    name = "torch"

    def __init__(self, model: Model) -> None:
        self.network = folded(model.network)

    def __call__(self, image: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
        out = self.network(image, prior)
        return out.logits, out.fused


class _OnnxRuntime:
    name = "onnxruntime"

    def __init__(self, model: Model) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        graph = str(cached_graph(model))
        self.session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def __call__(self, image: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
        return _joined(self.session.run(list(MAP_NAMES), {"image": _plain(image), "prior": _plain(prior)}))


class _OpenVino:
    name = "openvino"

    def __init__(self, model: Model) -> None:
        import openvino

        # Single precision whatever the CPU could do: labels are to be the same on every machine.
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": str(torch.get_num_threads())}
        self.compiled: Any = openvino.Core().compile_model(str(cached_graph(model)), "CPU", settings)
        self.own = threading.local()  # one request serves one thread at a time

    def __call__(self, image: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
        if not hasattr(self.own, "request"):
            self.own.request = self.compiled.create_infer_request()
        given = self.own.request.infer({"image": _plain(image), "prior": _plain(prior)})
        return _joined([np.array(given[name]) for name in MAP_NAMES])


def _plain(tensor: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.numpy())


def _joined(maps: list[NDArray[np.float32]]) -> tuple[Tensor, Tensor]:
    cell, nucleus, distance, fused = maps
    return torch.from_numpy(np.concatenate([cell, nucleus, distance], 1)), torch.from_numpy(fused)
