"""Names that stay: what a network learns of outlines in a new laboratory must not change what it calls cells."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sgcldff_core.inference.field import look_again, look_at
from sgcldff_core.inference.forward import FieldMaps, evaluating
from sgcldff_core.inference.tiling import DEFAULT_TILE
from sgcldff_core.inference.windows import cell_windows
from sgcldff_core.model.heads import ClassificationHead
from sgcldff_core.smear import SmearSettings, make_smear

if TYPE_CHECKING:
    from sgcldff_core.adaptation.scoring import Look
    from sgcldff_core.model import Model, SgcldffNetwork

__all__ = ["drawn_smears", "keep_names"]

_SMEARS = SmearSettings(height=300, width=400, diameter=80, leukocytes=6)
_RIDGE = 0.01  # of the mean squared length of a feature vector: cells of one kind need not be told apart exactly


def drawn_smears(count: int = 20) -> list[NDArray[np.uint8]]:
    """Return synthetic smears of all kinds of cells, by which names can be held as well.

    Parameters
    ----------
    count : int
        Of (300, 400, 3) uint8 RGB images, the same ones each time.
    """
    return [np.asarray(make_smear(seed, _SMEARS).image) for seed in range(count)]


def keep_names(changed: Model, seen: Sequence[tuple[SgcldffNetwork, Sequence[Look]]]) -> Model:
    """Let a network whose features have moved name cells as the network before it did.

    Where features f move and the last layer (W, b) does not, names drift. The layer is moved along by as little as
    it takes: of all changes D of (W, b) the one with the least ``|f (W + D) - t|^2 + ridge |D|^2`` over the cells
    of some images, t being the logits that the network before gave them; in closed form,
    ``D = F^T (F F^T + ridge I)^-1 R`` with one row of features F and of what lacks, R, for each cell.

    Parameters
    ----------
    changed : Model
        Its network is another than those in `seen`; it stays as it is.
    seen : sequence of tuple of SgcldffNetwork and sequence of Look
        Images with the outlines and maps of the networks whose names are to be kept.

    Returns
    -------
    Model
        With a network of its own, and the same outlines; `changed` itself where no cell was seen, or where the
        head is not one of this package.

    References
    ----------
    Hoerl and Kennard, Ridge regression, Technometrics 1970; Li and Hoiem, Learning without forgetting, ECCV 2016.
    """
    if not isinstance(getattr(changed.network, "classification", None), ClassificationHead):
        return changed  # of a network that somebody registered nobody knows which layer is the last
    wanted: list[Tensor] = []
    features: list[Tensor] = []
    for before, looks in seen:
        for look in looks:
            view = look.view
            if view.labels.any():
                wanted.append(_named(before, view.maps, view.labels)[0])
                features.append(_named(changed.network, _seen_twice(changed, look), view.labels)[1])
    if not wanted:
        return changed
    network = copy.deepcopy(changed.network)
    layer = network.classification.linear
    f = functional.pad(torch.cat(features), (0, 1), value=1.0)  # the last column is for the bias
    lacking = torch.cat(wanted) - f @ torch.cat([layer.weight, layer.bias[:, None]], 1).double().T
    product = f @ f.T
    ridge = _RIDGE * product.diagonal().mean() * torch.eye(len(f), dtype=f.dtype, device=f.device)
    move = torch.linalg.solve(product + ridge, lacking).T @ f
    with torch.no_grad():
        layer.weight.add_(move[:, :-1].to(layer.weight))
        layer.bias.add_(move[:, -1].to(layer.bias))
    return replace(changed, network=network, sha256="")


def _named(network: SgcldffNetwork, maps: FieldMaps, labels: NDArray[np.int32]) -> tuple[Tensor, Tensor]:
    """Return logits and features of the cells of a field, in the order of `cell_windows`, float64."""
    found: list[tuple[Tensor, Tensor]] = []
    with torch.no_grad(), evaluating(network.classification):
        for windows in cell_windows(maps, labels):
            own_window = torch.arange(len(windows.fused), device=windows.fused.device)
            found.append(network.classify(windows.fused, windows.cells, windows.nuclei, own_window))
    logits, features = zip(*found, strict=True)
    return torch.cat(logits).double(), torch.cat(features).double()


def _seen_twice(model: Model, look: Look) -> FieldMaps:
    """Return the maps of a field as a prediction has them: mean of the image and its mirror image."""
    direct = look_at(look.view.image, model, model.config.canonical_diameter, tile=DEFAULT_TILE)
    return look_again(direct, model, [(False, True)], tile=DEFAULT_TILE)[0].maps
