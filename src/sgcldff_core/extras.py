"""Packages that only some of the work needs, and what to install where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sgcldff_core.errors import ConfigError

__all__ = ["wants_extra"]


@contextmanager
def wants_extra(extra: str, work: str) -> Iterator[None]:
    """Say what to install where an import fails.

    Parameters
    ----------
    extra : str
        Of this package, in `pyproject.toml`, that brings what is imported within.
    work : str
        What needs it, in the plural: "slides".

    Raises
    ------
    ConfigError
        If an import within fails.
    """
    try:
        yield
    except ImportError as missing:
        raise ConfigError(
            f"{work} need {missing.name or 'a package'}, which is not installed: pip install 'napari-sgcldff[{extra}]'"
        ) from missing
