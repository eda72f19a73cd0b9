"""The network as graphs that other programs run: one makes the maps, one names the cells."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from sgcldff_core.extras import wants_extra
from sgcldff_core.files import write_json, written_atomically
from sgcldff_core.model import STRIDE

if TYPE_CHECKING:
    from sgcldff_core.model import Model, SgcldffNetwork

__all__ = [
    "CLASSES_GRAPH",
    "MAPS_GRAPH",
    "MAP_NAMES",
    "OPSET",
    "export_onnx",
    "write_classes_graph",
    "write_maps_graph",
]

MAPS_GRAPH, CLASSES_GRAPH = "maps.onnx", "classes.onnx"

MAP_NAMES = ("cell", "nucleus", "distance", "fused")
"""Outputs of the graph of maps, in order."""

OPSET = 18
"""Version of the ONNX operators that the graphs are written in."""

_TRACED_SIZE = (2, 6 * STRIDE, 8 * STRIDE)  # batch, height and width: unlike each other and unlike 1
_DYNAMIC = {0: "batch", 2: "height", 3: "width"}
_DYNAMIC_FUSED = {0: "batch", 2: "height/4", 3: "width/4"}


class _Interleave(nn.Module):
    """What `torch.nn.ChannelShuffle` does, in operators that ONNX has."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        interleaved: Tensor = x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)
        return interleaved


class _Maps(nn.Module):
    def __init__(self, network: SgcldffNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, prior: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        out = self.network(image, prior)
        return out.cell, out.nucleus, out.distance, out.fused


class _Classes(nn.Module):
    """The classification head for graphs: every mask meets every image, and its own is kept.

    The head itself sorts masks by image, which depends on values; the sums are the same ones.
    """

    def __init__(self, network: SgcldffNetwork, temperature: float) -> None:
        super().__init__()
        self.head = network.classification
        self.temperature = temperature

    def forward(self, fused: Tensor, cells: Tensor, nuclei: Tensor, image_of_cell: Tensor) -> tuple[Tensor, Tensor]:
        embedded = self.head.embed(fused).flatten(2).transpose(1, 2)  # (B, h*w, embedding)
        present = nuclei.flatten(1).sum(1) > 0.5
        nuclei = torch.where(present[:, None, None], nuclei, cells)
        pooled = [self._means(embedded, masks.flatten(1), image_of_cell) for masks in (cells, nuclei)]
        logits = self.head.linear(self.head.norm(torch.cat(pooled, 1)))
        return logits, (logits / self.temperature).softmax(1)

    @staticmethod
    def _means(embedded: Tensor, masks: Tensor, image_of_cell: Tensor) -> Tensor:
        weights = masks / masks.sum(1, keepdim=True).clamp_min(1e-4)
        everywhere = weights @ embedded  # (B, N, embedding)
        index = image_of_cell[None, :, None].expand(1, -1, embedded.shape[2])
        return everywhere.gather(0, index)[0]


def export_onnx(model: Model, folder: Path) -> tuple[Path, Path]:
    """Write a model as two ONNX graphs of free batch, height and width, and a description.

    ``maps.onnx`` takes ``image`` (B, 3, H, W) float32 RGB in [0, 1] and ``prior`` (B, 1, H, W)
    float32 in [0, 1], H and W multiples of 32, and gives `MAP_NAMES` as `NetworkOutput` has them.
    ``classes.onnx`` takes ``fused``, soft masks ``cells`` and ``nuclei`` (N, H/4, W/4) and
    ``image_of_cell`` (N,) int64, and gives ``logits`` and calibrated ``probabilities`` (N, classes).
    ``model.json`` says what else is needed: classes in order, canonical diameter, prior, thresholds.

    Parameters
    ----------
    model : Model
        On any device; left as it is.
    folder : Path
        Made if it is missing.

    Returns
    -------
    maps, classes : Path
        The two graphs.

    Raises
    ------
    ConfigError
        If ``onnx`` is not installed.
    """
    maps, classes = folder / MAPS_GRAPH, folder / CLASSES_GRAPH
    write_maps_graph(model.network, maps)
    write_classes_graph(model, classes)
    write_json(
        folder / "model.json",
        {
            "name": model.name,
            "sha256": model.sha256,
            "classes": list(model.config.classes),
            "canonical_diameter": model.config.canonical_diameter,
            "prior": model.config.prior,
            "stride": STRIDE,
            "calibration": dict(model.calibration),
        },
    )
    return maps, classes


def write_maps_graph(network: SgcldffNetwork, file: Path) -> None:
    """Write the graph that takes image and prior and gives the maps, see `export_onnx`.

    Parameters
    ----------
    network : SgcldffNetwork
        On any device; left as it is.
    file : Path
        The graph; appears whole or not at all.

    Raises
    ------
    ConfigError
        If ``onnx`` is not installed.
    """
    axes = dict.fromkeys(("image", "prior", *MAP_NAMES), _DYNAMIC) | {"fused": _DYNAMIC_FUSED}
    _write(_Maps(_traceable(network)), _shown(), file, ("image", "prior"), MAP_NAMES, axes)


def write_classes_graph(model: Model, file: Path) -> None:
    """Write the graph that names cells on the fused map, see `export_onnx`.

    Parameters
    ----------
    model : Model
        Its temperature goes into the graph.
    file : Path
        The graph; appears whole or not at all.

    Raises
    ------
    ConfigError
        If ``onnx`` is not installed.
    """
    batch, height, width = _TRACED_SIZE
    generator = torch.Generator().manual_seed(0)
    fused = torch.rand(batch, model.config.width, height // 4, width // 4, generator=generator)
    masks = torch.rand(2, 5, height // 4, width // 4, generator=generator)
    image_of_cell = torch.tensor([0, 1, 1, 0, 1])
    of_cells = {0: "cells", 1: "height/4", 2: "width/4"}
    axes = {
        "fused": _DYNAMIC_FUSED,
        "cells": of_cells,
        "nuclei": of_cells,
        **{name: {0: "cells"} for name in ("image_of_cell", "logits", "probabilities")},
    }
    _write(
        _Classes(_traceable(model.network), model.temperature),
        (fused, masks[0], masks[1], image_of_cell),
        file,
        ("fused", "cells", "nuclei", "image_of_cell"),
        ("logits", "probabilities"),
        axes,
    )


def _traceable(network: SgcldffNetwork) -> SgcldffNetwork:
    copied = copy.deepcopy(network).cpu().float().eval()
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.ChannelShuffle):
                setattr(parent, name, _Interleave(child.groups))
    return copied


def _shown() -> tuple[Tensor, Tensor]:
    batch, height, width = _TRACED_SIZE
    generator = torch.Generator().manual_seed(0)
    return torch.rand(batch, 3, height, width, generator=generator), torch.rand(
        batch, 1, height, width, generator=generator
    )


def _write(
    module: nn.Module,
    arguments: tuple[Tensor, ...],
    file: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
    axes: dict[str, dict[int, str]],
) -> None:
    with wants_extra("export", "graphs for other programs"):
        import onnx  # noqa: F401 - torch.onnx needs it, and says so less clearly
    # The exporter by tracing: that by torch.export makes the same graph of the same sizes, but takes minutes, most
    # of them with the algebra of sizes in shifted windows.
    with torch.no_grad(), _tracing_quietly(), written_atomically(file) as draft:
        torch.onnx.export(
            module.eval(),
            arguments,
            str(draft),
            dynamo=False,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes=axes,
            opset_version=OPSET,
        )


@contextmanager
def _tracing_quietly() -> Iterator[None]:
    with warnings.catch_warnings():
        # That a size was taken for a constant is what the tests of other sizes are for.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield
