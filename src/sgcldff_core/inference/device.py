"""Where the network runs."""

from __future__ import annotations

import torch

from sgcldff_core.errors import ConfigError

__all__ = ["choose_device"]


def choose_device(name: str = "auto") -> str:
    """Return a device that is there.

    Parameters
    ----------
    name : str
        As torch names it (``cpu``, ``cuda``, ``cuda:1``, ``mps``), or ``auto`` for a graphics
        card where there is one.

    Returns
    -------
    str
        Name for torch.

    Raises
    ------
    ConfigError
        If torch does not know the name, or there is no such device in this computer.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as refused:
        reason = str(refused).splitlines()[0]
        raise ConfigError(f"device {name!r} cannot be used here ({reason}); use auto or cpu") from refused
    return name
