"""The part of a smear that is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sgcldff_core.smear.outline import Disc

__all__ = ["Window"]


@dataclass(frozen=True, slots=True)
class Window:
    """A window on the endless plane of a smear, in pixels."""

    y0: int
    x0: int
    height: int
    width: int

    def near(self, disc: Disc, margin: float) -> bool:
        """Whether a disc comes within `margin` of the window.

        Parameters
        ----------
        disc : Disc
            Centre and radius, in pixels of the slide.
        margin : float
            In pixels.
        """
        reach = disc.radius + margin
        return (
            self.y0 - reach < disc.y < self.y0 + self.height + reach
            and self.x0 - reach < disc.x < self.x0 + self.width + reach
        )
