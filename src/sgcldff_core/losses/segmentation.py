"""Losses of the masks: outlines from pixels, and outlines from boxes alone."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["box_supervision", "distance_loss", "mask_loss"]

# Every loss here is a mean over the images of the batch of a value per image. An image that knows
# nothing adds zero but still counts: so the mean over processes equals the mean over one big batch.


def mask_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Weighted binary cross-entropy plus weighted Dice.

    Parameters
    ----------
    logits, target, weight : Tensor
        (B, 1, H, W); target in [0, 1], weight not negative and zero where nothing is known.

    Returns
    -------
    Tensor
        Scalar, the mean over images of ``BCE + Dice``. Dice is left out of an image without
        foreground, where it is undefined and cross-entropy says all there is to say.

    References
    ----------
    Milletari et al., V-Net, 3DV 2016 (soft Dice).
    """
    known = weight.sum((1, 2, 3))
    entropy = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="none").sum((1, 2, 3))
    entropy = entropy / known.clamp_min(1e-6)
    probability = logits.sigmoid()
    overlap = (weight * probability * target).sum((1, 2, 3))
    total = (weight * (probability + target)).sum((1, 2, 3))
    dice = 1 - 2 * overlap / total.clamp_min(1e-6)
    has_foreground = (weight * target).sum((1, 2, 3)) > 0
    return ((known > 0) * entropy + has_foreground * dice).mean()


def distance_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Smooth L1 of the distance to the outline; cells and background have an equal say.

    Parameters
    ----------
    logits, target, weight : Tensor
        (B, 1, H, W); target in [0, 1].

    Returns
    -------
    Tensor
        Scalar, the mean over images.
    """
    error = F.smooth_l1_loss(logits.sigmoid(), target, beta=0.1, reduction="none")
    parts = []
    for region in (weight * (target > 0), weight * (target <= 0)):
        parts.append((error * region).sum((1, 2, 3)) / region.sum((1, 2, 3)).clamp_min(1e-6))
    return (parts[0] + parts[1]).mean()


def box_supervision(logits: Tensor, prior: Tensor, box: Tensor, image_of_box: Tensor) -> Tensor:
    """Supervise a mask by boxes alone: its projections fill the box, and inside it follows the prior.

    Parameters
    ----------
    logits : Tensor
        (B, 1, H, W) logits of the leukocyte.
    prior : Tensor
        (B, 1, H, W) in [0, 1]; stretched to its own range inside each box.
    box : Tensor
        (K, 4) y0, x0, y1, x1 in px.
    image_of_box : Tensor
        (K,) long.

    Returns
    -------
    Tensor
        Scalar; the mean over a batch's images of the sum over their boxes.

    References
    ----------
    Tian et al., BoxInst, CVPR 2021 (projection term; the prior takes the place of colour affinity).
    """
    height, width = logits.shape[-2:]
    total = logits.sum() * 0.0
    for (y0, x0, y1, x1), image in zip(box.round().long().tolist(), image_of_box.tolist(), strict=True):
        rows, columns = slice(max(y0, 0), min(y1, height)), slice(max(x0, 0), min(x1, width))
        inside = logits[image, 0, rows, columns]
        if min(inside.shape) < 2:
            continue
        projections = torch.cat([inside.amax(0), inside.amax(1)])
        fills = F.binary_cross_entropy_with_logits(projections, torch.ones_like(projections))
        guide = prior[image, 0, rows, columns]
        guide = (guide - guide.amin()) / (guide.amax() - guide.amin()).clamp_min(1e-3)
        # Only where the prior is sure: between, the network is free to do better than the prior.
        sure = ((guide < 0.2) | (guide > 0.6)).float()
        follows = F.binary_cross_entropy_with_logits(inside, (guide > 0.5).float(), sure)
        total = total + fills + 0.5 * follows
    return total / len(logits)
