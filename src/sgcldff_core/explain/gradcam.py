"""Grad-CAM of single cells: which part of the fused map speaks for a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from sgcldff_core.model import SgcldffNetwork

__all__ = ["class_activation", "class_evidence"]


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
    maps = torch.einsum("nc,nchw->nhw", weights, fused).relu()
    largest = maps.amax((1, 2), keepdim=True)
    return maps / torch.where(largest > 0, largest, torch.ones_like(largest))
