"""The differential count with what chance alone would do to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sgcldff_core.errors import ConfigError

__all__ = ["ClassCount", "counted", "wilson_interval"]

_Z95 = 1.959963984540054  # 0.975 quantile of the standard normal distribution


@dataclass(frozen=True, slots=True)
class ClassCount:
    """One class of a differential count.

    Attributes
    ----------
    name : str
        Of the class.
    count : int
        Cells of it.
    percent : float or None
        Of all cells, 0 to 100; None where there are no cells.
    low, high : float
        Ends of the 95 % Wilson interval of `percent`; 0 and 100 where there are no cells.
    """

    name: str
    count: int
    percent: float | None
    low: float
    high: float


def wilson_interval(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % score interval of a proportion.

    Unlike the textbook interval it never leaves [0, 1] and is not empty where nothing was found: of
    100 cells without a basophil, up to 3.7 % basophils are still likely.

    Parameters
    ----------
    count : int
        How many of them have it.
    total : int
        How many were looked at.

    Returns
    -------
    low, high : float
        In [0, 1].

    Raises
    ------
    ConfigError
        If `count` is not between 0 and `total`.

    References
    ----------
    Wilson, J. Am. Stat. Assoc. 22 (1927). Rümke, The imprecision of the ratio of two percentages
    observed in differential white blood cell counts, Blood Cells 11 (1985).

    Examples
    --------
    >>> [round(end, 3) for end in wilson_interval(0, 100)]
    [0.0, 0.037]
    """
    if not 0 <= count <= total:
        raise ConfigError(f"a count lies between 0 and the total, got {count} of {total}")
    if total == 0:
        return 0.0, 1.0
    share, squared = count / total, _Z95**2
    middle = (share + squared / (2 * total)) / (1 + squared / total)
    reach = _Z95 * math.sqrt(share * (1 - share) / total + squared / (4 * total**2)) / (1 + squared / total)
    low = 0.0 if count == 0 else max(0.0, middle - reach)
    high = 1.0 if count == total else min(1.0, middle + reach)
    return low, high


def counted(counts: Mapping[str, int], classes: Sequence[str]) -> tuple[ClassCount, ...]:
    """Return a differential count in percent with its intervals.

    Parameters
    ----------
    counts : mapping of str to int
        Cells by class.
    classes : sequence of str
        All classes, in the order to list them; one without cells is listed with 0.

    Raises
    ------
    ConfigError
        If `counts` holds a class that is not in `classes`.
    """
    unknown = sorted(set(counts) - set(classes))
    if unknown:
        raise ConfigError(f"cells of class {', '.join(unknown)}, which is not among {', '.join(classes)}")
    total = sum(counts.values())
    rows = []
    for name in classes:
        count = counts.get(name, 0)
        low, high = wilson_interval(count, total)
        rows.append(ClassCount(name, count, 100 * count / total if total else None, 100 * low, 100 * high))
    return tuple(rows)
