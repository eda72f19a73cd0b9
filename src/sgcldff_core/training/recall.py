"""A loss over remembered cells, beside that over new ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from sgcldff_core.model.heads import ClassificationHead
    from sgcldff_core.training.memory import Memory

__all__ = ["Recall"]


class Recall(nn.Module):
    """Cross-entropy of a classification head's last layer over cells drawn from a memory.

    Parameters
    ----------
    memory : Memory
        Cells of classes that the head does not have are left out.
    classes : sequence of str
        Of the head, in the order of its logits.
    smoothing : float
        Of the labels.
    draws : int
        Cells in one step, every class as often.
    weight : float
        Factor on the loss; the more, the less is forgotten, and the less is learned of what
        contradicts the memory (benchmarks/correction.py).
    """

    features: Tensor
    numbers: Tensor
    chances: Tensor

    def __init__(
        self, memory: Memory, classes: Sequence[str], smoothing: float, draws: int = 32, weight: float = 3.0
    ) -> None:
        super().__init__()
        rows = [i for i, name in enumerate(memory.classes) if name in classes]
        numbers = torch.tensor([list(classes).index(memory.classes[i]) for i in rows], dtype=torch.long)
        self.smoothing, self.draws, self.weight = smoothing, draws, weight
        self.register_buffer("features", memory.features[rows], persistent=False)
        self.register_buffer("numbers", numbers, persistent=False)
        self.register_buffer("chances", 1 / numbers.bincount().float()[numbers], persistent=False)

    def forward(self, head: ClassificationHead) -> Tensor:
        """Return the mean over the cells drawn; zero where nothing is remembered.

        Parameters
        ----------
        head : ClassificationHead
            Its last layer learns; its features are those remembered.
        """
        if not len(self.numbers):
            return head.linear.weight.sum() * 0.0
        drawn = torch.multinomial(self.chances.cpu(), self.draws, replacement=True).to(self.chances.device)
        logits = head.linear(head.dropout(self.features[drawn]))
        return self.weight * F.cross_entropy(logits, self.numbers[drawn], label_smoothing=self.smoothing)
