"""Class activation maps without a gradient: the main direction of a map, and what each channel alone would score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sgcldff_core.explain.gradcam import weighed_sum

if TYPE_CHECKING:
    from torch import Tensor

    from sgcldff_core.explain.subject import Subject

__all__ = ["eigen_cam", "score_cam"]

_CHANNELS_AT_ONCE = 16  # bounds the memory of score_cam


def eigen_cam(subject: Subject) -> Tensor:
    """Project each map on its first principal component: ``ReLU(sum over k of v_k A_k)``.

    v is the first right singular vector of A as a (pixels, channels) matrix, not centred, as in the
    paper. A singular vector has no sign of its own: it is chosen so that the projection sums to
    more than 0. The score plays no part, so that all classes have the same map.

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
    Muhammad and Yeasin, Eigen-CAM, IJCNN 2020.
    """
    pixels = subject.activation.detach().flatten(2)  # (N, C, P)
    # The right singular vectors of a tall matrix are the eigenvectors of a small one.
    _, vectors = torch.linalg.eigh((pixels @ pixels.transpose(1, 2)).double())
    first = vectors[..., -1].to(pixels.dtype)  # eigenvalues ascend
    projected = torch.einsum("nc,nchw->nhw", first, subject.activation.detach())
    sign = torch.where(projected.sum((1, 2), keepdim=True) < 0, -1.0, 1.0)
    return (sign * projected).relu()


def score_cam(subject: Subject) -> Tensor:
    """Weigh each channel by the score that is left when the map is kept only where the channel is active.

    ``ReLU(sum over k of w_k A_k)`` with ``w = softmax over k of y(A * H_k) - y(baseline)``, where H_k is channel
    k scaled to run from 0 to 1. The paper masks the image and runs the whole network once for each
    channel; here the map itself is masked and only what follows it runs, since the per-cell head
    takes maps. A channel that is the same everywhere tells no part from another: it gets no weight.

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
    Wang et al., Score-CAM, CVPR workshops 2020.
    """
    activation = subject.activation.detach()
    low, high = activation.amin((2, 3), keepdim=True), activation.amax((2, 3), keepdim=True)
    spread = high - low
    masks = (activation - low) / torch.where(spread > 0, spread, torch.ones_like(spread))  # (N, C, h, w)
    baseline = subject.baseline()
    rows = subject.rows()
    with torch.no_grad():
        nothing = subject.score(baseline, rows)
        parts = []
        for some in masks.split(_CHANNELS_AT_ONCE, 1):
            kept = some[:, :, None]  # (N, K, 1, h, w)
            seen = kept * activation[:, None] + (1 - kept) * baseline[:, None]
            scores = subject.score(seen.flatten(0, 1), rows.repeat_interleave(some.shape[1]))
            parts.append(scores.view(len(rows), -1) - nothing[:, None])
    gain = torch.cat(parts, 1).masked_fill(spread[..., 0, 0] <= 0, -torch.inf)
    weights = gain.softmax(1).nan_to_num(0.0)  # every channel is constant: nothing to show
    return weighed_sum(activation, weights)
