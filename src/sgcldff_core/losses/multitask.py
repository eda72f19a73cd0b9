"""All losses together, each by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from sgcldff_core.errors import ConfigError
from sgcldff_core.losses.classification import BALANCES, CentreLoss, ClassLoss
from sgcldff_core.losses.saliency import alignment_loss, background_suppression, cam_alignment
from sgcldff_core.losses.segmentation import box_supervision, distance_loss, mask_loss

if TYPE_CHECKING:
    from sgcldff_core.losses.targets import Targets
    from sgcldff_core.model.network import NetworkOutput

__all__ = ["LossConfig", "MultiTaskLoss"]


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights of the parts (0 switches one off) and how the class loss balances.

    Attributes
    ----------
    cell, nucleus, distance, box, classification, centre : float
        Weights of the supervised parts.
    alignment, suppression, cam : float
        Weights of saliency alignment, background suppression and of alignment of the
        class-activation map; they come in after the warm-up.
    balance : str
        See `ClassLoss`.
    beta : float
        Of the effective number of each class.
    smoothing : float
        Label smoothing.
    robust_q : float
        How far the class loss withstands wrong labels once classes are known: 0 is plain cross-entropy, 1
        absolute error, see `sgcldff_core.losses.classification.generalised_cross_entropy`.
    learned_weights : bool
        Learn one uncertainty per part (Kendall 2018) on top of the fixed weights.
    """

    cell: float = 1.0
    nucleus: float = 0.5
    distance: float = 0.5
    box: float = 0.3
    classification: float = 0.5
    centre: float = 0.0
    alignment: float = 0.1
    suppression: float = 0.1
    cam: float = 0.05
    balance: str = "effective"
    beta: float = 0.99
    smoothing: float = 0.05
    robust_q: float = 0.0
    learned_weights: bool = False

    def __post_init__(self) -> None:
        for name in PARTS:
            if getattr(self, name) < 0:
                raise ConfigError(f"loss weight {name} must not be negative, got {getattr(self, name)}")
        if self.balance not in BALANCES:
            raise ConfigError(f"unknown class balance {self.balance!r}; known are {', '.join(BALANCES)}")
        if not 0 <= self.smoothing < 1:
            raise ConfigError(f"label smoothing must be in [0, 1), got {self.smoothing}")
        if not 0 <= self.robust_q <= 1:
            raise ConfigError(f"robust_q must be between 0 (cross-entropy) and 1 (absolute error), got {self.robust_q}")


PARTS = ("cell", "nucleus", "distance", "box", "classification", "centre", "alignment", "suppression", "cam")
_SALIENCY = ("alignment", "suppression", "cam")


class MultiTaskLoss(nn.Module):
    """The weighted sum of all parts, with each part by name.

    Parameters
    ----------
    config : LossConfig
        Weights.
    counts : sequence of int
        Cells of each class in the training data.
    features : int
        Length of a cell's feature vector, for the centres.

    References
    ----------
    Kendall et al., Multi-task learning using uncertainty, CVPR 2018: ``exp(-s) L + s / 2`` with
    ``s = log sigma^2``, clamped to [-3, 3] so that no part can silence the others.
    """

    def __init__(self, config: LossConfig, counts: Sequence[int], features: int) -> None:
        super().__init__()
        self.config = config
        self.classification = ClassLoss(counts, config.balance, config.beta, config.smoothing, config.robust_q)
        # Centres that no loss reaches must not be trained: distributed training waits for their gradient.
        self.centre = CentreLoss(len(counts), features).requires_grad_(config.centre > 0)
        self.active = tuple(part for part in PARTS if getattr(config, part) > 0)
        self.log_variance = nn.Parameter(torch.zeros(len(self.active))) if config.learned_weights else None

    def forward(
        self,
        output: NetworkOutput,
        logits: Tensor,
        features: Tensor,
        targets: Targets,
        *,
        saliency: float = 1.0,
        robust: float = 1.0,
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Compare one batch with what is known of it.

        Parameters
        ----------
        output : NetworkOutput
            Of the B images.
        logits, features : Tensor
            (N, classes) and (N, F), of the N cells of `targets`.
        targets : Targets
            Annotation.
        saliency : float
            Factor on the saliency parts, 0 to 1, for their warm-up.
        robust : float
            Factor on ``robust_q``, 0 to 1: classes are learned by cross-entropy first.

        Returns
        -------
        total : Tensor
            Scalar.
        parts : mapping of str to Tensor
            Each active part before weighting, detached.
        """
        images = len(output.cell)
        pool = targets.pool_cell
        compute: dict[str, Callable[[], Tensor]] = {
            "cell": lambda: mask_loss(output.cell, targets.cell, targets.cell_weight),
            "nucleus": lambda: mask_loss(output.nucleus, targets.nucleus, targets.nucleus_weight),
            "distance": lambda: distance_loss(output.distance, targets.distance, targets.cell_weight),
            "box": lambda: box_supervision(output.cell, targets.guide, targets.box, targets.image_of_box),
            "classification": lambda: self.classification(
                logits, targets.class_of_cell, targets.image_of_cell, images, robust
            ),
            "centre": lambda: self.centre(features, targets.class_of_cell, targets.image_of_cell, images),
            "alignment": lambda: alignment_loss(output.fused, targets.attention),
            "suppression": lambda: background_suppression(output.fused, targets.attention, targets.outlined),
            "cam": lambda: cam_alignment(
                logits, targets.class_of_cell, output.fused, pool, targets.image_of_cell, images
            ),
        }
        total = logits.sum() * 0.0
        parts = {}
        for i, part in enumerate(self.active):
            if part in _SALIENCY and saliency == 0:
                continue
            loss = compute[part]()
            parts[part] = loss.detach()
            weighted = getattr(self.config, part) * loss * (saliency if part in _SALIENCY else 1.0)
            if self.log_variance is not None:
                s = self.log_variance[i].clamp(-3, 3)
                weighted = torch.exp(-s) * weighted + s / 2
            total = total + weighted
        return total, parts
