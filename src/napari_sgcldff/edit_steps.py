"""Edits that can be undone: what a step changed, and the steps that were taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Change", "Step", "Steps"]


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """A change of labels and of the table of cells, in one direction.

    Attributes
    ----------
    what : str
        What is done, in words.
    plane : tuple of int
        Which plane of the layer it is about: an index for each axis before rows and columns.
    place : tuple of (int, int)
        Rows and columns, from one to before another, of the window whose pixels change; empty where none do.
    pixels : ndarray or None
        (h, w) int, the window after the change.
    labels : tuple of int
        Cells whose rows change.
    rows : DataFrame
        Their rows after the change, see `napari_sgcldff.edited_rows`; a cell without a row is gone.
    label : int
        The cell to look at afterwards, 0 for none.
    """

    what: str
    plane: tuple[int, ...]
    place: tuple[tuple[int, int], ...]
    pixels: NDArray[Any] | None
    labels: tuple[int, ...]
    rows: pd.DataFrame
    label: int = 0

    @property
    def window(self) -> tuple[slice, ...]:
        """Where the pixels change, to index the plane with."""
        return tuple(slice(low, high) for low, high in self.place)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """An edit and its opposite."""

    done: Change
    undone: Change


@dataclass(slots=True)
class Steps:
    """The steps that were taken, and those that were taken back and may be taken again.

    Attributes
    ----------
    taken, taken_back : list of Step
        The latest last.
    most : int
        Older steps are forgotten.
    """

    taken: list[Step] = field(default_factory=list)
    taken_back: list[Step] = field(default_factory=list)
    most: int = 500

    def take(self, step: Step) -> None:
        """Add a new step, after which nothing that was taken back can be taken again.

        Parameters
        ----------
        step : Step
            Done already; the oldest steps beyond `most` are forgotten.
        """
        self.taken.append(step)
        del self.taken[: -self.most]
        self.taken_back.clear()

    def back(self) -> Step | None:
        """Return the step to undo, and count it as undone."""
        if not self.taken:
            return None
        self.taken_back.append(self.taken.pop())
        return self.taken_back[-1]

    def again(self) -> Step | None:
        """Return the step to take again, and count it as taken."""
        if not self.taken_back:
            return None
        self.taken.append(self.taken_back.pop())
        return self.taken[-1]
