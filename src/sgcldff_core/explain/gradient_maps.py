"""Class activation maps that weigh a map by the gradient of the score, in one backward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sgcldff_core.explain.gradcam import weighed_sum

if TYPE_CHECKING:
    from torch import Tensor

    from sgcldff_core.explain.subject import Subject

__all__ = ["grad_cam", "grad_cam_plus_plus", "hires_cam"]


def grad_cam(subject: Subject) -> Tensor:
    """Weigh each channel by its mean gradient: ``ReLU(sum over k of alpha_k A_k)``.

    With ``alpha_k = mean over x of d y / d A_k(x)``: what a channel did for the score where the
    score looked, shown wherever the channel is active.

    Parameters
    ----------
    subject : Subject
        N cells.

    Returns
    -------
    Tensor
        (N, h, w) float, not negative, not scaled.

    References
    ----------
    Selvaraju et al., Grad-CAM, ICCV 2017.
    """
    weights = subject.gradient().mean((2, 3))
    return weighed_sum(subject.activation, weights)


def grad_cam_plus_plus(subject: Subject) -> Tensor:
    """Weigh each channel by its positive gradients, each by how much of the channel it accounts for.

    ``ReLU(sum over k of w_k A_k)`` with ``w_k = sum over x of a_k(x) ReLU(g_k(x))``,
    ``a_k(x) = g_k(x)^2 / (2 g_k(x)^2 + S_k g_k(x)^3)``, ``g_k(x) = d y / d A_k(x)`` and
    ``S_k = sum over x of A_k(x)``. That is the paper's form for a score ``exp(y)``, whose higher
    derivatives are powers of g. Where the denominator is 0, so is the weight.

    Parameters
    ----------
    subject : Subject
        N cells.

    Returns
    -------
    Tensor
        (N, h, w) float, not negative, not scaled.

    References
    ----------
    Chattopadhay et al., Grad-CAM++, WACV 2018, equations 5, 10 and 19.
    """
    gradient = subject.gradient()
    total = subject.activation.sum((2, 3), keepdim=True)
    square = gradient**2
    below = 2 * square + total * square * gradient
    share = torch.where(below != 0, square / torch.where(below != 0, below, torch.ones_like(below)), 0)
    weights = (share * gradient.relu()).sum((2, 3))
    return weighed_sum(subject.activation, weights)


def hires_cam(subject: Subject) -> Tensor:
    """Multiply gradient and map place by place: ``ReLU(sum over k of g_k(x) A_k(x))``.

    Where the score is linear in the map, the sum over x of what is under the ReLU is the score less
    its bias: the map shows where the score came from and nothing else. For the same reason nothing
    outside the part that the score looks at can light up.

    Parameters
    ----------
    subject : Subject
        N cells.

    Returns
    -------
    Tensor
        (N, h, w) float, not negative, not scaled.

    References
    ----------
    Draelos and Carin, Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional
    neural networks, arXiv 2011.08891.
    """
    return (subject.gradient() * subject.activation).sum(1).relu()
