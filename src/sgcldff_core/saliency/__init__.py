"""Saliency priors: where in a stained smear the leukocytes are likely to be, before anything is learned."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError
from sgcldff_core.saliency.colour import background_contrast

__all__ = ["PRIORS", "compute_prior"]

_BUILT_IN = {"fused": background_contrast}

PRIORS: tuple[str, ...] = tuple(_BUILT_IN)
"""Names of the priors that `compute_prior` knows."""


def compute_prior(image: NDArray[Any], method: str = "fused") -> NDArray[np.float32]:
    """Return how much each pixel looks like part of a leukocyte.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB; uint8, uint16, or floating point in [0, 1].
    method : str, default "fused"
        Name of the prior, one of `PRIORS`.

    Returns
    -------
    ndarray
        (H, W) float32 in [0, 1].

    Raises
    ------
    ConfigError
        If `method` is unknown, or `image` has another shape or data type.
    """
    if method not in _BUILT_IN:
        raise ConfigError(f"unknown saliency prior {method!r}; known are: {', '.join(sorted(_BUILT_IN))}")
    return _BUILT_IN[method](image)
