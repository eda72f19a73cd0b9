"""What an explanation is of: cells, each on a map of its own, and the score that is to be explained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Score", "Subject"]

Score = Callable[["Tensor", "Tensor"], "Tensor"]
"""(M, C, h, w) maps and (M,) long, which of the subject's cells each map is of; gives (M,) scores."""

_AT_ONCE = 2  # cells followed back together on a processor


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """N cells, each on a map of its own, and how a map makes the score of its cell.

    Methods of explanation see nothing else: not the network, not the image. So one method serves
    the class and the mask, the fused map, every level below it, and the image itself.

    Attributes
    ----------
    activation : Tensor
        (N, C, h, w) float, what the network computed, without a graph.
    score : Score
        Scores of maps as they might have been; differentiable. Cells do not influence each other.
    neutral : Tensor
        (C,) or (N, C, h, w) float, values that say nothing: what a map is faded to.
    patch : int
        Side in pixels of the map of the smallest part whose absence is worth a question.
    """

    activation: Tensor
    score: Score
    neutral: Tensor
    patch: int = 3

    def rows(self) -> Tensor:
        """Return 0..N-1, long."""
        return torch.arange(len(self.activation), device=self.activation.device)

    def baseline(self) -> Tensor:
        """Return maps of the shape of `activation` that hold `neutral` throughout."""
        values = self.neutral if self.neutral.ndim == 4 else self.neutral[None, :, None, None]
        return values.expand_as(self.activation).contiguous()

    def gradient(self) -> Tensor:
        """Return the (N, C, h, w) gradient of each cell's score.

        Scores of cells do not influence each other, so one backward pass could serve all of them. On a
        processor a few cells at a time take half as long: what is computed for all at once has to be
        fetched from memory, and what is computed for a few stays in the cache.
        """
        at_once = _AT_ONCE if self.activation.device.type == "cpu" else len(self.activation)
        return torch.cat([self._gradient_of(rows) for rows in self.rows().split(max(1, at_once))])

    def _gradient_of(self, rows: Tensor) -> Tensor:
        with torch.enable_grad():
            seen = self.activation[rows].detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.score(seen, rows).sum(), seen, allow_unused=True)
        return torch.zeros_like(seen) if gradient is None else gradient.detach()
