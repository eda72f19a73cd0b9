"""What a model keeps of itself as JSON: whether it has the fields that it should, and figures of the right shape."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError

__all__ = ["figures", "require_fields", "rows"]


def require_fields(values: object, names: Collection[str], what: str) -> None:
    """Refuse what has not exactly the fields that it should.

    Parameters
    ----------
    values : object
        Plain JSON types, not trusted.
    names : collection of str
        Of the fields.
    what : str
        For the message, with its article: "a review rule".

    Raises
    ------
    ConfigError
        If it is no mapping, or something is missing or too much.
    """
    if not isinstance(values, Mapping) or set(values) != set(names):
        raise ConfigError(f"{what} has {', '.join(sorted(names))}; got {values!r:.200}")


def figures(values: object, shape: tuple[int, ...], what: str, most: float) -> NDArray[np.float64]:
    """Return numbers as an array, after a look at their shape and size.

    Parameters
    ----------
    values : object
        Nested sequences of numbers, not trusted.
    shape : tuple of int
        That they should have.
    what : str
        For the message, without the verb: "the mean of known stain 'a'".
    most : float
        Largest magnitude allowed, so that what is damaged is not calculated with.

    Raises
    ------
    ConfigError
        If they have another shape, are no numbers, are not finite, or too large.
    """
    try:
        numbers = np.array(values, np.float64)
    except (TypeError, ValueError) as broken:
        raise ConfigError(f"{what} is no table of numbers ({broken})") from broken
    if numbers.shape != shape:
        raise ConfigError(f"{what} has shape {numbers.shape}, not {shape}")
    if not (np.abs(numbers) <= most).all():
        raise ConfigError(f"{what} has numbers that are not finite or beyond {most:g}")
    return numbers


def rows(table: Any, what: str) -> tuple[tuple[Any, ...], ...]:
    """Return lists of lists, as JSON has them, as tuples of tuples.

    Parameters
    ----------
    table : object
        Not trusted; what is in the rows is not looked at.
    what : str
        For the message.

    Raises
    ------
    ConfigError
        If it is no list of lists.
    """
    try:
        return tuple(tuple(row) for row in table)
    except TypeError as broken:
        raise ConfigError(f"{what} is no list of lists ({broken})") from broken
