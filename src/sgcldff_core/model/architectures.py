"""Architectures by name, so that other networks train, load, predict and explain by the same code."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, TypeAlias

from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from sgcldff_core.model.config import ModelConfig
    from sgcldff_core.model.network import SgcldffNetwork

__all__ = ["ENTRY_POINTS", "Builder", "available_architectures", "find_builder", "register_architecture"]

Builder: TypeAlias = "Callable[[ModelConfig, bool], SgcldffNetwork]"
"""Makes the network that a config describes; the second argument asks for a start from ImageNet weights."""

ENTRY_POINTS = "sgcldff.architectures"
"""Group of entry points that name modules which register architectures when they are imported."""

_builders: dict[str, Builder] = {}


def register_architecture(name: str, builder: Builder) -> None:
    """Make an architecture known under a name.

    Parameters
    ----------
    name : str
        As a `ModelConfig` names it.
    builder : callable
        Called with the config and whether to start from ImageNet weights; imports what is heavy
        only then.

    Raises
    ------
    ConfigError
        If the name stands for another one already.
    """
    if _builders.setdefault(name, builder) is not builder:
        raise ConfigError(f"there is an architecture {name!r} already; register it under another name")


def available_architectures() -> tuple[str, ...]:
    """Return the names that a `ModelConfig` may carry, ours first."""
    _import_announced()
    return tuple(_builders)


def find_builder(name: str) -> Builder:
    """Return what builds an architecture.

    Parameters
    ----------
    name : str
        What `ModelConfig.architecture` says.

    Raises
    ------
    ConfigError
        If there is none of that name; those that there are are listed.
    """
    if name not in _builders:
        _import_announced()
    if name not in _builders:
        raise ConfigError(f"unknown architecture {name!r}; known are {', '.join(_builders)}")
    return _builders[name]


def _import_announced() -> None:
    for point in entry_points(group=ENTRY_POINTS):
        point.load()
