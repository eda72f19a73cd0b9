"""A figure with what to think of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Figure", "Verdict", "verdict_of"]


class Verdict(Enum):
    """What is to be thought of a figure."""

    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Attributes
    ----------
    title : str
        What is measured.
    text : str
        The value with its unit.
    verdict : Verdict
        What to think of it.
    tooltip : str
        What it means and what is usual.
    """

    title: str
    text: str
    verdict: Verdict
    tooltip: str


def verdict_of(value: float, poor: float, good: float) -> Verdict:
    """Return what to think of a figure of which more is better.

    Parameters
    ----------
    value : float
        The figure.
    poor : float
        What is below is poor.
    good : float
        What reaches it is good.
    """
    return Verdict.GOOD if value >= good else Verdict.POOR if value < poor else Verdict.FAIR
