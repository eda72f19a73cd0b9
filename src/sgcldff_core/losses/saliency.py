"""Losses of where the network looks: on the cells, and not beside them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from sgcldff_core.model.fusion import pool_to

__all__ = ["activation_map", "alignment_loss", "background_suppression", "cam_alignment"]


def activation_map(fused: Tensor) -> Tensor:
    """Return the network's own saliency, the mean of the fused channels: (B, 1, h, w), not negative.

    Parameters
    ----------
    fused : Tensor, shape (B, C, h, w)
        The fused map.
    """
    return fused.relu().mean(1, keepdim=True)


def alignment_loss(fused: Tensor, attention: Tensor) -> Tensor:
    """One minus the cosine between the network's activation map and where it should look.

    Parameters
    ----------
    fused : Tensor
        (B, C, h, w).
    attention : Tensor
        (B, 1, H, W) in [0, 1]: the leukocytes where they are outlined, else the prior.

    Returns
    -------
    Tensor
        Scalar in [0, 1], mean over images; images where there is nothing to align to add zero.
    """
    wanted = pool_to(attention, fused).flatten(1)
    seen = activation_map(fused).flatten(1)
    apart = 1 - F.cosine_similarity(seen, wanted, dim=1, eps=1e-6)
    return (apart * (wanted.sum(1) > 0)).mean()


def background_suppression(fused: Tensor, attention: Tensor, outlined: Tensor, margin: int = 1) -> Tensor:
    """Share of the network's activation that lies outside the cells.

    Parameters
    ----------
    fused : Tensor
        (B, C, h, w).
    attention : Tensor
        (B, 1, H, W) in [0, 1], where the network should look.
    outlined : Tensor
        (B,) bool; images without masks, whose background is a guess, add zero.
    margin : int
        Pixels of the fused map around a cell that count as inside, since outlines need context.

    Returns
    -------
    Tensor
        Scalar in [0, 1], mean over images.
    """
    inside = F.adaptive_max_pool2d(attention, fused.shape[-2:])
    inside = F.max_pool2d(inside, 2 * margin + 1, stride=1, padding=margin)
    seen = activation_map(fused)
    outside = (seen * (1 - inside)).sum((1, 2, 3)) / seen.sum((1, 2, 3)).clamp_min(1e-6)
    return (outside * outlined).mean()


def cam_alignment(
    logits: Tensor, classes: Tensor, fused: Tensor, cells: Tensor, image_of_cell: Tensor, images: int
) -> Tensor:
    """Share of the differentiable class-activation map that lies outside its cell.

    The map is Grad-CAM's (Selvaraju 2017): channels of the fused map, weighted by the mean gradient
    of the logit of the cell's class, rectified. It is differentiated once more, through the
    classification head only, so it costs little.

    Parameters
    ----------
    logits : Tensor
        (N, classes), computed from `fused` in this graph.
    classes : Tensor
        (N,) long, the class to explain; cells with a negative one are left out.
    fused : Tensor
        (B, C, h, w).
    cells : Tensor
        (N, h, w) in [0, 1].
    image_of_cell : Tensor
        (N,) long.
    images : int
        Number of images in the batch.

    Returns
    -------
    Tensor
        Scalar in [0, 1], mean over images. Cells of one image share one map, against all their
        masks together.
    """
    known = classes >= 0
    if not known.any():
        return fused.sum() * 0.0
    score = logits[known].gather(1, classes[known, None]).sum()
    (gradient,) = torch.autograd.grad(score, fused, create_graph=True)
    weights = gradient.mean((2, 3), keepdim=True)
    cam = (weights * fused).sum(1).relu()  # (B, h, w)
    inside = cam.new_zeros(cam.shape).index_add(0, image_of_cell[known], cells[known]).clamp_max(1)
    explained = torch.zeros(images, dtype=torch.bool, device=cam.device)
    explained[image_of_cell[known]] = True
    outside = (cam * (1 - inside)).sum((1, 2)) / cam.sum((1, 2)).clamp_min(1e-6)
    return (outside * explained).mean()
