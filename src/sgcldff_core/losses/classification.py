"""Losses of the class: rare classes count, and cells of one class gather."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgcldff_core.errors import ConfigError
from sgcldff_core.losses.targets import UNKNOWN

__all__ = [
    "BALANCES",
    "CentreLoss",
    "ClassLoss",
    "effective_number_weights",
    "generalised_cross_entropy",
    "mean_per_image",
]


BALANCES = ("effective", "logit_adjustment", "none")
"""Ways of making up for unequal counts of cells."""


def effective_number_weights(counts: Sequence[int], beta: float = 0.99) -> Tensor:
    """Weight classes by the inverse of their effective number, ``(1 - beta) / (1 - beta^n)``.

    Parameters
    ----------
    counts : sequence of int
        Cells of each class in the training data.
    beta : float
        0 gives equal weights; towards 1 they approach 1 / n. At counts of tens to hundreds 0.99 to
        0.999 is the useful range.

    Returns
    -------
    Tensor
        (classes,) float, scaled to a mean of one over the classes that occur; zero for the others.

    References
    ----------
    Cui et al., Class-balanced loss based on effective number of samples, CVPR 2019.
    """
    if not 0 <= beta < 1:
        raise ConfigError(f"beta of the effective number must be in [0, 1), got {beta}")
    n = torch.tensor([float(c) for c in counts], dtype=torch.float64)
    weights = torch.where(n > 0, (1 - beta) / (1 - beta**n).clamp_min(1e-12), 0.0)
    occurring = (n > 0).sum().clamp_min(1)
    return (weights * occurring / weights.sum().clamp_min(1e-12)).float()


def generalised_cross_entropy(logits: Tensor, classes: Tensor, robust_q: float, smoothing: float = 0.0) -> Tensor:
    """Return ``(1 - p^q) / q`` of each cell's class: cross-entropy at q = 0, absolute error at q = 1.

    Cross-entropy pulls the harder the less a cell looks like its label, and so learns wrong labels
    by heart in the end. Here the pull is ``p^q`` times as strong: a cell that looks like anything
    but its label is let go.

    Parameters
    ----------
    logits : Tensor
        (N, classes).
    classes : Tensor
        (N,) long.
    robust_q : float
        In [0, 1]; Zhang and Sabuncu recommend 0.7.
    smoothing : float
        Share of each label that is spread evenly over all classes.

    Returns
    -------
    Tensor
        (N,), not negative.

    References
    ----------
    Zhang and Sabuncu, Generalized cross entropy loss for training deep neural networks with noisy
    labels, NeurIPS 2018.
    """
    if robust_q == 0:
        return F.cross_entropy(logits, classes, reduction="none", label_smoothing=smoothing)
    # expm1 keeps its digits as q p approaches 0, where 1 - p^q loses all of them.
    each = -torch.expm1(robust_q * logits.log_softmax(1)) / robust_q
    own = each.gather(1, classes[:, None])[:, 0]
    return (1 - smoothing) * own + smoothing * each.mean(1)


class ClassLoss(nn.Module):
    """Cross-entropy over cells, plain or robust, with one way of making up for unequal counts.

    Parameters
    ----------
    counts : sequence of int
        Cells of each class in the training data.
    balance : {"effective", "logit_adjustment", "none"}
        Weights by effective number, or logits shifted by the log prior, or neither. The two are
        not combined: each alone already makes up for the counts.
    beta : float
        Of the effective number.
    smoothing : float
        Label smoothing.
    robust_q : float
        How far wrong labels are withstood, see `generalised_cross_entropy`.

    References
    ----------
    Menon et al., Long-tail learning via logit adjustment, ICLR 2021.
    """

    weights: Tensor
    shift: Tensor

    def __init__(
        self, counts: Sequence[int], balance: str, beta: float, smoothing: float, robust_q: float = 0.0
    ) -> None:
        super().__init__()
        if balance not in BALANCES:
            raise ConfigError(f"unknown class balance {balance!r}; known are {', '.join(BALANCES)}")
        n = torch.tensor([float(c) for c in counts])
        even = torch.ones(len(counts))
        weights = effective_number_weights(counts, beta) if balance == "effective" else even
        shift = torch.log(n.clamp_min(0.5) / n.sum().clamp_min(1)) if balance == "logit_adjustment" else 0 * even
        self.smoothing = smoothing
        self.robust_q = robust_q
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("shift", shift, persistent=False)

    @property
    def emphasis(self) -> list[float]:
        """How much a cell of each class weighs, whether by a factor on its loss or by shifted logits."""
        weights = self.weights * torch.exp(-self.shift)
        return [float(w) for w in weights]

    def forward(
        self, logits: Tensor, class_of_cell: Tensor, image_of_cell: Tensor, images: int, robust: float = 1.0
    ) -> Tensor:
        """Return the mean over images of the mean over each image's cells of known class.

        Parameters
        ----------
        logits : Tensor
            (N, classes).
        class_of_cell, image_of_cell : Tensor
            (N,) long.
        images : int
            Number of images in the batch.
        robust : float
            Factor on ``robust_q``, in [0, 1].
        """
        known = class_of_cell != UNKNOWN
        if not known.any():
            return logits.sum() * 0.0
        logits, classes, image = logits[known], class_of_cell[known], image_of_cell[known]
        entropy = generalised_cross_entropy(logits + self.shift, classes, robust * self.robust_q, self.smoothing)
        return mean_per_image(entropy * self.weights[classes], image, images)


class CentreLoss(nn.Module):
    """Half the squared distance of a cell's features to the learned centre of its class.

    Parameters
    ----------
    classes : int
        Number of centres.
    features : int
        Length of a feature vector.

    References
    ----------
    Wen et al., A discriminative feature learning approach for deep face recognition, ECCV 2016.
    """

    def __init__(self, classes: int, features: int) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.zeros(classes, features))

    def forward(self, features: Tensor, class_of_cell: Tensor, image_of_cell: Tensor, images: int) -> Tensor:
        """Return the mean over images; see `ClassLoss.forward`.

        Parameters
        ----------
        features : Tensor, shape (N, C)
            The vectors that the classes are told from.
        class_of_cell, image_of_cell, images
            As for `ClassLoss.forward`.
        """
        known = class_of_cell != UNKNOWN
        if not known.any():
            return (features.sum() + self.centres.sum()) * 0.0
        apart = features[known] - self.centres[class_of_cell[known]]
        return mean_per_image(apart.square().mean(1) / 2, image_of_cell[known], images)


def mean_per_image(values: Tensor, image: Tensor, images: int) -> Tensor:
    """Average values of cells within each image, then over all images, those without cells as zero.

    Parameters
    ----------
    values : Tensor
        (N,), one a cell.
    image : Tensor
        (N,) long, which image each cell is in.
    images : int
        Number of images in the batch.

    Returns
    -------
    Tensor
        Scalar.
    """
    sums = values.new_zeros(images).index_add(0, image, values)
    counts = values.new_zeros(images).index_add(0, image, torch.ones_like(values))
    return (sums / counts.clamp_min(1)).mean()
