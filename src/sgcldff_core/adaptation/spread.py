"""Which of many images to look at, where a few tell as much: some spread evenly over all."""

from __future__ import annotations

import numpy as np

__all__ = ["spread_evenly"]


def spread_evenly(count: int, most: int) -> list[int]:
    """Return the positions of some of many, spread evenly from the first to the last.

    Parameters
    ----------
    count : int
        How many there are.
    most : int
        How many to take at most.

    Returns
    -------
    list of int
        Ascending, each once; all of them if there are no more than `most`.
    """
    return [int(i) for i in np.unique(np.linspace(0, count - 1, min(most, count)).round())]
