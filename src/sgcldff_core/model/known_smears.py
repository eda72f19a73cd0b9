"""What stained smears look like as whole images, so that a model can tell when it is shown something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from sgcldff_core.errors import ConfigError
from sgcldff_core.model.kept_figures import figures, require_fields, rows
from sgcldff_core.model.stain import to_space

__all__ = ["LOOK", "KnownSmears", "focus", "image_look"]

LOOK = {
    "dark red": "red part of the direction of the darkest tenth's optical density, in green, over the glass's",
    "dark blue": "blue part of it",
    "middle red": "red part of that of the four tenths below",
    "middle blue": "blue part of it",
    "above glass": "root of the share of pixels that are brighter than the glass by 40 of 255 in one channel",
    "density": "logarithm of the darkest tenth's density in green over the glass's, 1 at most",
    "fine over coarse": "logarithm of the slope seen finely over that seen coarsely, at the sharpest broad edges",
    "edge strength": "logarithm of the steepest edges over the darkest tenth's density",
    "edge share": "share of pixels with a quarter of the steepest edges' slope",
    "noise": "logarithm of what varies from pixel to pixel over the darkest tenth's density",
}
"""What is measured of an image, and what each is."""

_DIAMETER = 32.0  # px of a cell in which looks are measured
_LEAST_NOISE = -4.5  # less is no smoother to the eye
_ABOVE = 40  # of 255; in density, noise in the dark channel of a yellow glass would be as much
_MOST = 1e6
_VERSION = 2  # 1 measured two figures of a look otherwise


@dataclass(frozen=True, slots=True)
class KnownSmears:
    """A normal distribution of the looks of smears.

    Attributes
    ----------
    mean : tuple of float
        (10,) of `LOOK`.
    spread : tuple of tuple of float
        (10, 10) rows of a matrix W with ``W @ W.T`` the inverse of the covariance.
    unit : float
        Mahalanobis distance from which on an image is taken for no smear: of smears that had no part in
        these figures but come from the same laboratories, hardly any is as far.
    sharp, blurred : float
        `focus` of the middle one of them, and that from which on an image is out of focus.
    """

    mean: tuple[float, ...]
    spread: tuple[tuple[float, ...], ...]
    unit: float
    sharp: float
    blurred: float

    def __post_init__(self) -> None:
        size = len(LOOK)
        figures(self.mean, (size,), "the mean of known smears", _MOST)
        figures(self.spread, (size, size), "the spread of known smears", _MOST)
        figures((self.unit, self.sharp, self.blurred), (3,), "what divides known smears from others", _MOST)
        if self.unit <= 0 or self.blurred >= self.sharp:
            raise ConfigError("known smears need a unit above 0, and a sharp image that is sharper than a blurred one")

    def distance(self, image: NDArray[np.uint8], diameter: float) -> float:
        """Return how far an image is from a smear in focus.

        Parameters
        ----------
        image : ndarray
            (H, W, 3) uint8 RGB.
        diameter : float
            Of a typical cell in px of the image.

        Returns
        -------
        float
            0 and above; above 1 is what is no smear, and few smears in a thousand. The larger of the
            distance of its look and of what it lacks in focus.
        """
        return self.distance_of_look(image_look(image, diameter))

    def distance_of_look(self, look: NDArray[np.floating]) -> float:
        """Return the same for what `image_look` measured.

        Parameters
        ----------
        look : ndarray
            (10,) float of `LOOK`.
        """
        away = float(np.linalg.norm((look - np.array(self.mean)) @ np.array(self.spread))) / self.unit
        return max(away, (self.sharp - focus(look)) / (self.sharp - self.blurred))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        tables = {"mean": list(self.mean), "spread": [list(row) for row in self.spread]}
        return {"version": _VERSION} | asdict(self) | tables

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> KnownSmears:
        """Build from what `to_dict` returned.

        Parameters
        ----------
        values : mapping
            Plain JSON types, not trusted.

        Raises
        ------
        ConfigError
            If the version is another, or something is missing, too much or out of range.
        """
        if isinstance(values, Mapping):
            version = values.get("version", 1)
            if version != _VERSION:
                raise ConfigError(
                    f"known smears of version {version!r}; this release reads {_VERSION}: "
                    "take known_smears out of model.json, and fit it anew with 'sgcldff models trust'"
                )
            values = {key: value for key, value in values.items() if key != "version"}
        require_fields(values, [field.name for field in fields(cls)], "a description of known smears")
        (mean,) = rows([values["mean"]], "the mean of known smears")
        return cls(**{**values, "mean": mean, "spread": rows(values["spread"], "the spread of known smears")})


def focus(look: NDArray[np.floating]) -> float:
    """Return how sharp an image is: its `LOOK` ``fine over coarse``.

    The sharpest tenth of the broad edges tells, since a smear in focus has some that are sharp and many
    that are not: pale cells, and what lies above or below.

    Parameters
    ----------
    look : ndarray
        (10,) float of `LOOK`.
    """
    return float(look[list(LOOK).index("fine over coarse")])


def image_look(image: NDArray[np.uint8], diameter: float) -> NDArray[np.float64]:
    """Measure how an image looks, whatever is in it.

    Colours are directions of optical density, less that of the glass: neither the lamp nor the
    strength of the stain has a part in them.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    diameter : float
        Of a typical cell in px of the image.

    Returns
    -------
    ndarray
        (10,) float64 of `LOOK`.
    """
    small = _at_scale(image, _DIAMETER / diameter)
    density = to_space(small, "density")
    flat = density.reshape(-1, 3)
    low, middle, high = np.quantile(flat[:, 1], (0.25, 0.5, 0.9))
    glass = flat[:, 1] <= low
    stain = flat - np.median(flat[glass], axis=0)
    shine = small.reshape(-1, 3) - np.median(small.reshape(-1, 3)[glass], axis=0)
    dark = stain[flat[:, 1] >= high]
    # The median itself counts, so that an image of one colour has a middle too.
    between = stain[(flat[:, 1] >= middle) & (flat[:, 1] <= high)]
    depth = max(float(dark[:, 1].mean()), 0.03)
    green = density[..., 1]
    fine, coarse = (ndimage.gaussian_gradient_magnitude(green, sigma) for sigma in (0.7, 2.5))
    steep = float(np.quantile(fine, 0.98))
    edges = coarse >= np.quantile(coarse, 0.95)
    sharpest = float(np.quantile((fine[edges] + 0.003) / (coarse[edges] + 0.003), 0.9))
    grain = float(np.median(np.abs(green - ndimage.gaussian_filter(green, 0.7))))
    look = [
        *_direction(dark),
        *_direction(between),
        np.sqrt(np.mean(shine.max(axis=1) > _ABOVE)),
        min(np.log(depth), 0),
        np.log(sharpest),
        np.log((steep + 0.003) / depth),
        np.mean(fine > 0.25 * steep),
        max(np.log((grain + 0.002) / depth), _LEAST_NOISE),
    ]
    return np.array(look, np.float64)


def _direction(stain: NDArray[np.float32]) -> tuple[float, float]:
    mean = stain.mean(axis=0)
    length = float(np.linalg.norm(mean)) + 0.05  # nearly nothing has no direction
    return float(mean[0]) / length, float(mean[2]) / length


def _at_scale(image: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    size = [max(8, round(side * factor)) for side in image.shape[1::-1]]
    return np.asarray(Image.fromarray(image).resize((size[0], size[1]), Image.Resampling.BILINEAR))
