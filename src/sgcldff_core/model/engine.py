"""What may multiply in place of the network's own forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Engine"]


class Engine(Protocol):
    """Gives what the network gives, by other means; may be called by several threads at once.

    Attributes
    ----------
    name : str
        What it is chosen by.
    """

    name: str

    def __call__(self, image: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network once.

        Parameters
        ----------
        image : Tensor
            (B, 3, H, W) float32 RGB in [0, 1]; H and W multiples of 32.
        prior : Tensor
            (B, 1, H, W) float32 in [0, 1].

        Returns
        -------
        logits : Tensor
            (B, 3, H, W): cell, nucleus, distance.
        fused : Tensor
            (B, width, H/4, W/4).
        """
        ...
