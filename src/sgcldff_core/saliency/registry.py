"""The priors by name: those of this package, and those of others that are installed beside it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError
from sgcldff_core.saliency.barrier import barrier
from sgcldff_core.saliency.colour import border_distance, frequency_tuned, inverse_green, saturation_green
from sgcldff_core.saliency.fusion import fused
from sgcldff_core.saliency.optical_density import stain_contrast
from sgcldff_core.saliency.pixels import check_image
from sgcldff_core.saliency.spectral import spectral_residual

__all__ = ["ENTRY_POINTS", "PRIORS", "available_priors", "compute_prior"]

Prior = Callable[[NDArray[Any]], NDArray[np.float32]]

ENTRY_POINTS = "sgcldff.priors"
"""Group of entry points under which other packages announce priors."""

_OWN: dict[str, Prior] = {
    "fused": fused,
    "stain": stain_contrast,
    "barrier": barrier,
    "border_distance": border_distance,
    "frequency_tuned": frequency_tuned,
    "inverse_green": inverse_green,
    "saturation_green": saturation_green,
    "spectral_residual": spectral_residual,
}

PRIORS: tuple[str, ...] = tuple(_OWN)
"""Names of the priors of this package, the default first."""


def available_priors() -> tuple[str, ...]:
    """Return the names that `compute_prior` takes.

    Returns
    -------
    tuple of str
        `PRIORS`, then those that other installed packages announce in the entry point group
        ``sgcldff.priors``, sorted. A name of this package cannot be taken over.
    """
    others = {point.name for point in entry_points(group=ENTRY_POINTS)}
    return PRIORS + tuple(sorted(others - set(PRIORS)))


def compute_prior(image: NDArray[Any], method: str = "fused") -> NDArray[np.float32]:
    """Return how much each pixel looks like part of a leukocyte.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) RGB; uint8, uint16, or floating point in [0, 1]. Integers count from 0 to the
        largest value of their dtype.
    method : str, default "fused"
        Name of the prior, one of `available_priors`.

    Returns
    -------
    ndarray
        (H, W) float32 in [0, 1].

    Raises
    ------
    ConfigError
        If `method` is unknown, if `image` has another shape, dtype or range, or if a prior of
        another package does not return such a map.

    Examples
    --------
    >>> compute_prior(np.full((4, 6, 3), 230, np.uint8)).shape
    (4, 6)
    """
    prior = _OWN.get(method)
    if prior is not None:
        return prior(image)
    check_image(image)
    announced = entry_points(group=ENTRY_POINTS, name=method)
    if not announced:
        raise ConfigError(f"unknown saliency prior {method!r}; known are {', '.join(available_priors())}")
    point = next(iter(announced))
    found = np.asarray(point.load()(image))
    if found.shape != image.shape[:2] or found.dtype != np.float32 or not (found.min() >= 0 and found.max() <= 1):
        raise ConfigError(
            f"the prior {method!r} of {point.value} must return float32 in 0..1 of shape {image.shape[:2]}, "
            f"got {found.dtype} of shape {found.shape}"
        )
    return found
