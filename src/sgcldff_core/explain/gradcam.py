"""Grad-CAM of single cells: which part of the fused map, or of a level below it, speaks for a class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from sgcldff_core.model import SgcldffNetwork

__all__ = ["Look", "class_activation", "class_evidence", "level_activation", "scaled_to_one", "weighed_sum"]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What the network computed of one field before it fused the levels, seen directly or in a mirror.

    Attributes
    ----------
    levels : tuple of Tensor
        (1, C_l, H_l, W_l) float, gated, shallow to deep, as they were computed: still mirrored.
    prior : Tensor
        (1, 1, H, W) float in [0, 1], mirrored likewise.
    fused : Tensor
        (1, C, H/4, W/4) float, likewise.
    mirrored : tuple of int
        Dimensions, from the last, that turn it back.
    """

    levels: tuple[Tensor, ...]
    prior: Tensor
    fused: Tensor
    mirrored: tuple[int, ...] = ()


def class_evidence(
    network: SgcldffNetwork, fused: Tensor, cells: Tensor, nuclei: Tensor, classes: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Name cells, and weigh each channel of the fused map by what it did for the name.

    The weight of channel k for class c is ``alpha_k = mean over x of d y_c / d A_k(x)``, the
    gradient of the cell's class logit. Each cell has a window of its own, so one backward pass
    serves them all, and no part of the backbone is run again. Since a cell is pooled inside its
    own mask, nothing outside it has a gradient: windows may be tight.

    Parameters
    ----------
    network : SgcldffNetwork
        In evaluation mode; its parameters gather no gradient.
    fused : Tensor
        (N, C, k, k) float, a window of the fused map for each cell.
    cells, nuclei : Tensor
        (N, k, k) float in [0, 1], soft masks of the cell and of its nucleus.
    classes : Tensor, optional
        (N,) long, the class to explain; each cell's most probable one by default.

    Returns
    -------
    logits : Tensor
        (N, classes).
    weights : Tensor
        (N, C), up to a positive factor.

    References
    ----------
    Selvaraju et al., Grad-CAM, ICCV 2017.
    """
    own_window = torch.arange(len(fused), device=fused.device)
    with torch.enable_grad():
        seen = fused.clone().requires_grad_()
        logits, _ = network.classify(seen, cells, nuclei, own_window)
        explained = logits.argmax(1) if classes is None else classes
        (gradient,) = torch.autograd.grad(logits[own_window, explained].sum(), seen)
    return logits.detach(), gradient.mean((2, 3))


def class_activation(fused: Tensor, weights: Tensor) -> Tensor:
    """Return Grad-CAM maps, ``ReLU(sum over k of alpha_k A_k)``, each scaled to a largest value of 1.

    Parameters
    ----------
    fused : Tensor
        (N, C, k, k) float, windows of any size around the cells.
    weights : Tensor
        (N, C) from `class_evidence`.

    Returns
    -------
    Tensor
        (N, k, k) float in [0, 1]; zero everywhere where nothing speaks for the class.
    """
    return scaled_to_one(weighed_sum(fused, weights))


def weighed_sum(maps: Tensor, weights: Tensor) -> Tensor:
    """Return what speaks for a score, ``ReLU(sum over k of w_k A_k)``, (N, h, w) float, not scaled.

    Parameters
    ----------
    maps : Tensor
        (N, C, h, w) float.
    weights : Tensor
        (N, C), of each channel.
    """
    return torch.einsum("nc,nchw->nhw", weights, maps).relu()


def scaled_to_one(maps: Tensor) -> Tensor:
    """Scale maps so that the largest value of each is 1; a map of zeros stays one.

    Parameters
    ----------
    maps : Tensor
        (N, h, w) float, not negative.
    """
    largest = maps.amax((1, 2), keepdim=True)
    return maps / torch.where(largest > 0, largest, torch.ones_like(largest))


def level_activation(
    network: SgcldffNetwork,
    looks: Sequence[Look],
    level: int | None,
    cells: Tensor,
    nuclei: Tensor,
    classes: Sequence[Sequence[int]],
) -> Iterator[Tensor]:
    """Map where on one level the evidence for classes of cells lies, cell by cell.

    Cells are named on the mean fused map of all looks. Of each look the level A is held fixed, and
    the logit is followed back to it through the head and the fusion:
    ``L_c = ReLU(sum over looks and k of turned_back(alpha_k A_k))`` with
    ``alpha_k = mean over x of d y_c / d A_k(x)``. On the fused map itself that is the Grad-CAM of
    the mean, as `class_evidence` and `class_activation` give it. One forward pass of the fusion
    serves all cells.

    Parameters
    ----------
    network : SgcldffNetwork
        In evaluation mode; its parameters gather no gradient.
    looks : sequence of Look
        At the same field.
    level : int or None
        Index into the levels, None for the fused map.
    cells, nuclei : Tensor
        (N, H/4, W/4) float in [0, 1], soft masks on the fused map, turned back.
    classes : sequence of sequence of int
        Of each of the N cells, the classes to explain.

    Yields
    ------
    Tensor
        (number of classes of the cell, H_l, W_l) float, not negative, turned back, not scaled. Zero
        where nothing speaks for a class, or where the fusion does not use the level.

    References
    ----------
    Selvaraju et al., Grad-CAM, ICCV 2017.
    """
    with torch.enable_grad():
        held, turned = [], []
        for look in looks:
            fused = look.fused.detach().clone()
            levels = [x.detach().clone() for x in look.levels]
            own = (fused if level is None else levels[level]).requires_grad_()
            held.append(own)
            turned.append((own if level is None else network.fuse(levels, look.prior)).flip(look.mirrored))
        mean = torch.stack(turned).mean(0)
    for cell, nucleus, wanted in zip(cells, nuclei, classes, strict=True):
        # A cell is pooled inside its own mask: the rest of the map says nothing of it.
        rows, columns = _extent(torch.maximum(cell, nucleus))
        inside, core = cell[rows, columns], nucleus[rows, columns]
        with torch.enable_grad():
            logits, _ = network.classify(
                mean[..., rows, columns], inside[None], core[None], torch.zeros(1, dtype=torch.long, device=cell.device)
            )
            maps = []
            for index in wanted:
                gradients = torch.autograd.grad(logits[0, index], held, retain_graph=True, allow_unused=True)
                maps.append(_evidence(held, gradients, looks))
        yield torch.stack(maps)


def _extent(mask: Tensor) -> tuple[slice, slice]:
    """Return rows and columns that hold all of a mask; all of them where it is empty."""
    sides = [(mask.amax(dim) > 0).nonzero()[:, 0].tolist() or [0, mask.shape[1 - dim] - 1] for dim in (1, 0)]
    return slice(sides[0][0], sides[0][-1] + 1), slice(sides[1][0], sides[1][-1] + 1)


def _evidence(held: Sequence[Tensor], gradients: Sequence[Tensor | None], looks: Sequence[Look]) -> Tensor:
    total = torch.zeros_like(held[0][0, 0]).detach()
    for own, gradient, look in zip(held, gradients, looks, strict=True):
        if gradient is not None:
            weighed = torch.einsum("c,chw->hw", gradient.mean((2, 3))[0], own.detach()[0])
            total = total + weighed.flip(look.mirrored)
    return total.relu()
