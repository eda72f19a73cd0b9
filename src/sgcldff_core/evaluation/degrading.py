"""Images made worse, as they come from a poor focus, a coarse camera or another stain."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.transform import resize

from sgcldff_core.errors import ConfigError
from sgcldff_core.model.stain import from_space, to_space

__all__ = ["HARD", "MILD", "Degradation", "blurred"]


@dataclass(frozen=True, slots=True)
class Degradation:
    """How much worse an image becomes; which of the three happens to it, its name decides.

    Attributes
    ----------
    name : str
        In tables.
    blur : tuple of float
        Sigma, over the diameter of a cell.
    pixels : tuple of float
        Px that are left of the diameter of a cell.
    stain : float
        Largest change of each channel's optical density, as a share; a quarter of it is added.
    """

    name: str
    blur: tuple[float, float]
    pixels: tuple[float, float]
    stain: float

    def __post_init__(self) -> None:
        if (
            not 0 <= self.blur[0] <= self.blur[1]
            or not 1 <= self.pixels[0] <= self.pixels[1]
            or not 0 <= self.stain < 1
        ):
            raise ConfigError(f"a degradation goes from less to more, and its stain stays below 1; got {self}")

    def apply(self, image: NDArray[np.uint8], diameter: float, key: str) -> NDArray[np.uint8]:
        """Return (H, W, 3) uint8 RGB, made worse.

        Parameters
        ----------
        image : ndarray
            (H, W, 3) uint8 RGB.
        diameter : float
            Of a typical cell, px.
        key : str
            Decides what is done and how much; the same key, the same image.
        """
        rng = np.random.default_rng(
            int(hashlib.md5((key + self.name).encode(), usedforsecurity=False).hexdigest()[:8], 16)
        )
        kind = rng.integers(3)
        if kind == 0:
            return blurred(image, rng.uniform(*self.blur) * diameter)
        if kind == 1:
            factor = min(1.0, rng.uniform(*self.pixels) / diameter)
            shape = (max(8, round(image.shape[0] * factor)), max(8, round(image.shape[1] * factor)))
            small = resize(image, shape, anti_aliasing=True, preserve_range=True)
            return np.asarray(np.rint(resize(small, image.shape[:2], preserve_range=True)).clip(0, 255), np.uint8)
        gain = rng.uniform(1 - self.stain, 1 + self.stain, 3)
        density = to_space(image, "density") * gain + rng.uniform(-self.stain / 4, self.stain / 4, 3)
        return from_space(density.astype(np.float32), "density")


MILD = Degradation("mild", (0.02, 0.035), (28, 40), 0.12)
"""What passes in a routine: slightly out of focus, a coarse camera, a neighbour's stain."""

HARD = Degradation("hard", (0.03, 0.09), (10, 28), 0.4)
"""What makes errors to learn from."""


def blurred(image: NDArray[np.uint8], sigma: float) -> NDArray[np.uint8]:
    """Return an image out of focus, (H, W, 3) uint8 RGB.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    sigma : float
        Standard deviation of the Gaussian in px.
    """
    soft = [ndimage.gaussian_filter(image[..., c].astype(np.float32), sigma) for c in range(3)]
    return np.asarray(np.rint(np.stack(soft, axis=-1)), np.uint8)
