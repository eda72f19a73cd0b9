"""Do maps depend on the weights? Randomise them block by block, from the head down, and see what is left."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from sgcldff_core.evaluation.map_similarity import Similarity, compare_maps
from sgcldff_core.explain import explain_subject
from sgcldff_core.inference import predict_image
from sgcldff_core.inference.cell_subjects import cell_subjects
from sgcldff_core.inference.encoded_part import EncodedPart, parts_with_cells
from sgcldff_core.inference.forward import evaluating
from sgcldff_core.inference.neighbourhood import LabelledField
from sgcldff_core.model.backbone import HybridBackbone

if TYPE_CHECKING:
    from sgcldff_core.model import Model, SgcldffNetwork

__all__ = ["INTACT", "CellSeries", "blocks_from_head", "cascade", "shuffle_weights"]

INTACT = "intact"
"""Name of the depth at which nothing is randomised yet."""


@dataclass(frozen=True, slots=True, eq=False)
class CellSeries:
    """The maps of one cell while the network is taken apart.

    Attributes
    ----------
    pixels : ndarray
        (H, W, 3) uint8, the window of the field that the maps cover, at the canonical scale.
    inside : ndarray
        (H, W) bool, the cell.
    maps : mapping of str to ndarray
        Depth to (H, W) float32 in [0, 1]; `INTACT` first, then each block from the head down.
    similarity : mapping of str to Similarity
        Of each depth's map with that of the intact network.
    """

    pixels: NDArray[np.uint8]
    inside: NDArray[np.bool_]
    maps: Mapping[str, NDArray[np.float32]]
    similarity: Mapping[str, Similarity]


def blocks_from_head(network: SgcldffNetwork, target: str) -> dict[str, list[nn.Module]]:
    """Part a network into blocks in the order in which they are randomised.

    Parameters
    ----------
    network : SgcldffNetwork
        Ours or a baseline; the backbone of a baseline is one block.
    target : {"class", "mask"}
        Which head is the first.
    """
    head = network.classification if target == "class" else network.segmentation
    blocks: dict[str, list[nn.Module]] = {f"{target} head": [head], "fusion": [network.fusion]}
    if network.gate is not None:
        blocks["gates"] = [network.gate]
    backbone = network.backbone
    if isinstance(backbone, HybridBackbone):
        for index in reversed(range(len(backbone.levels))):
            blocks[f"stride {4 * 2**index}"] = [backbone.attention[index], backbone.levels[index]]
        blocks["stem"] = [backbone.stem]
    else:
        blocks["backbone"] = [backbone]
    return blocks


def shuffle_weights(modules: Sequence[nn.Module], seed: int) -> None:
    """Shuffle the values within every parameter of some modules, in place.

    What a weight knows is gone, how large weights are is kept: activations neither vanish nor explode, as they might
    with values of another distribution under the batch statistics of the trained network.

    Parameters
    ----------
    modules : sequence of Module
        Their parameters are changed.
    seed : int
        Of the shuffle.
    """
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in modules:
            for parameter in module.parameters():
                order = torch.randperm(parameter.numel(), generator=drawn).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))


def cascade(
    image: NDArray[np.uint8],
    model: Model,
    *,
    method: str = "gradcam",
    level: int | None = None,
    target: str = "class",
    seed: int = 0,
) -> list[CellSeries]:
    """Explain every cell of an image with an ever smaller part of what the network learned.

    Outlines, the masks that the head pools by and the class that is explained stay those of the
    intact network: only the evidence may change.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    model : Model
        Not changed.
    method, level, target
        See `sgcldff_core.inference.explain_field.explain_field`.
    seed : int
        Of the shuffles.

    Returns
    -------
    list of CellSeries
        One a cell that was found.

    References
    ----------
    Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018 (cascading randomisation).
    """
    prediction = predict_image(image, model)
    if prediction.cells.empty:
        return []
    field = LabelledField.of(image, prediction.labels, model, prediction.diameter)
    names = model.config.classes
    kinds = {i + 1: names.index(kind) for i, kind in enumerate(prediction.cells["class"])}
    network = copy.deepcopy(model.network)
    series: list[CellSeries] = []
    with evaluating(network):
        parts = list(parts_with_cells(field, field.numbers.tolist()))
        intact = [EncodedPart.of(network, field, window) for window, _ in parts]
        steps: dict[str, list[nn.Module]] = {INTACT: [], **blocks_from_head(network, target)}
        found: dict[int, dict[str, NDArray[np.float32]]] = {}
        shown: dict[int, tuple[NDArray[np.uint8], NDArray[np.bool_]]] = {}
        for depth, (name, modules) in enumerate(steps.items()):
            shuffle_weights(modules, seed + depth)
            for (window, cells), first in zip(parts, intact, strict=True):
                part = replace(EncodedPart.of(network, field, window), logits=first.logits)
                for some in cell_subjects(part, cells, level=level, target=target, classes=kinds):
                    maps = explain_subject(some.subject, method).float()[:, None]
                    full = F.interpolate(maps, scale_factor=float(some.stride), mode="bilinear")[:, 0]
                    for cell, around, values in zip(some.cells, some.windows, full.cpu().numpy(), strict=True):
                        pixels = field.image[around]  # ends where the field does; the map may go on
                        found.setdefault(cell, {})[name] = values[: pixels.shape[0], : pixels.shape[1]]
                        shown[cell] = (pixels, field.labels[around] == cell)
    for cell, maps_of in sorted(found.items()):
        pixels, inside = shown[cell]
        alike = {name: compare_maps(maps_of[INTACT], values, inside) for name, values in maps_of.items()}
        series.append(CellSeries(pixels, inside, maps_of, alike))
    return series
