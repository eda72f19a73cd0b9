"""From optical density to what the camera records."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage as ndi

from sgcldff_core.smear.outline import Grid
from sgcldff_core.smear.texture import Ripples

if TYPE_CHECKING:
    from sgcldff_core.smear.settings import SmearSettings
    from sgcldff_core.smear.stain import Camera, Stain

__all__ = ["Exposure", "expose"]

_BRIGHTNESS = np.array([0.3, 0.5, 0.2], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """How one slide is lit and photographed; everything but the grain of single pixels.

    Attributes
    ----------
    blur : tuple of float
        Standard deviation of the blur of red, green and blue, in pixels.
    shifts : tuple of tuple of float
        By how much red and blue lie beside green (row, column), in pixels, at most 1.
    noise : float
        Standard deviation of the sensor's noise in grey levels.
    vignetting : float
        Share of the light lost in the corners.
    middle, tilt : tuple of float
        Brightest point, from -1 to 1 along both axes, and slope of the light.
    dust : float
        Mean number of dust rings in an area of ten squared diameters.
    quality : int
        Of the JPEG; 100 for none.
    plasma, lines, patches : Ripples
        Where dried plasma took up stain.
    """

    blur: tuple[float, float, float]
    shifts: tuple[tuple[float, float], tuple[float, float]]
    noise: float
    vignetting: float
    middle: tuple[float, float]
    tilt: tuple[float, float]
    dust: float
    quality: int
    plasma: Ripples
    lines: Ripples
    patches: Ripples

    @classmethod
    def draw(cls, rng: np.random.Generator, camera: Camera, settings: SmearSettings) -> Exposure:
        """Draw what the settings leave open, within what the camera does.

        Parameters
        ----------
        rng : Generator
            Where chance comes from.
        camera : Camera
            Between what the values may lie.
        settings : SmearSettings
            Defocus, noise and vignetting may be fixed there.
        """
        blur = rng.uniform(*camera.blur) * settings.diameter
        noise, vignetting = rng.uniform(*camera.noise), rng.uniform(*camera.vignetting)
        blur = blur if settings.defocus is None else settings.defocus
        # Red and blue come to a focus a little before and behind green, and beside it.
        red, blue = (math.hypot(blur, most * rng.random()) for most in (0.25, 0.4))
        shifts = np.clip(rng.normal(0, camera.fringes, (2, 2)), -1, 1).tolist()
        middle, tilt = rng.normal(0, 0.15, 2).tolist(), rng.normal(0, 0.012, 2).tolist()
        return cls(
            blur=(red, float(blur), blue),
            shifts=((shifts[0][0], shifts[0][1]), (shifts[1][0], shifts[1][1])),
            noise=float(noise if settings.noise is None else settings.noise),
            vignetting=float(vignetting if settings.vignetting is None else settings.vignetting),
            middle=(middle[0], middle[1]),
            tilt=(tilt[0], tilt[1]),
            dust=camera.dust,
            quality=int(rng.integers(camera.quality[0], camera.quality[1] + 1)),
            plasma=Ripples(rng, 2.5 * settings.diameter),
            lines=Ripples(rng, 0.7 * settings.diameter, 16),
            patches=Ripples(rng, 1.2 * settings.diameter, 16),
        )

    def reach(self, diameter: float) -> int:
        """Return how far a pixel's light may travel, in pixels.

        Parameters
        ----------
        diameter : float
            Of a typical cell, in pixels.
        """
        return math.ceil(3 * max(self.blur) + 2.5 * _sharpening_reach(diameter)) + 2


def expose(
    rng: np.random.Generator,
    density: NDArray[np.float32],
    stain: Stain,
    exposure: Exposure,
    diameter: float,
    origin: tuple[int, int] = (0, 0),
) -> NDArray[np.uint8]:
    """Photograph a smear.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of the pixels' own noise, and of dust.
    density : ndarray
        (H, W, 3) float32 optical density, natural logarithm; changed in place.
    stain : Stain
        Background and camera.
    exposure : Exposure
        Light, focus and sensor.
    diameter : float
        Of a typical leukocyte, in pixels.
    origin : tuple of int, optional
        Place of the top-left pixel on the slide (row, column).

    Returns
    -------
    ndarray
        (H, W, 3) uint8 RGB.
    """
    light = _light(density.shape[:2], stain, exposure, origin)
    np.negative(density, out=density)
    image = np.exp(density, out=density)
    image *= light
    _dust(rng, image, exposure.dust, diameter)
    for channel, sigma in enumerate(exposure.blur):
        if sigma > 0.15:
            image[..., channel] = ndi.gaussian_filter(image[..., channel], sigma, truncate=3.0)
    for channel, (dy, dx) in zip((0, 2), exposure.shifts, strict=True):
        image[..., channel] = _shifted(_shifted(image[..., channel], dy, 0), dx, 1)
    brightness = np.asarray(image @ _BRIGHTNESS, np.float32)
    brightness -= ndi.gaussian_filter(brightness, _sharpening_reach(diameter), truncate=2.5)
    image += np.float32(stain.camera.sharpening) * brightness[..., None]
    if exposure.noise:
        # Cameras interpolate colours from one sensor, so most of the noise is in the brightness.
        grain = rng.standard_normal((*image.shape[:2], 4), dtype=np.float32)
        image += np.float32(exposure.noise) * (np.float32(0.75) * grain[..., :1] + np.float32(0.65) * grain[..., 1:])
    return _compressed(np.clip(image + np.float32(0.5), 0, 255).astype(np.uint8), exposure.quality)


def _sharpening_reach(diameter: float) -> float:
    return max(1.0, 0.012 * diameter)


def _light(shape: tuple[int, int], stain: Stain, exposure: Exposure, origin: tuple[int, int]) -> NDArray[np.float32]:
    height, width = shape
    y = ((2 * np.arange(height, dtype=np.float32) + 1) / height - 1)[:, None]
    x = ((2 * np.arange(width, dtype=np.float32) + 1) / width - 1)[None, :]
    corner = ((y - np.float32(exposure.middle[0])) ** 2 + (x - np.float32(exposure.middle[1])) ** 2) / 2
    slope = 1 + np.float32(exposure.tilt[0]) * y + np.float32(exposure.tilt[1]) * x
    even = slope * (1 - np.float32(exposure.vignetting) * np.minimum(corner, 1))
    # Plasma takes up a little stain, unevenly, and leaves lines where it dried.
    plasma = np.maximum(exposure.plasma.window(*origin, height, width), -1)
    lines = exposure.lines.window(*origin, height, width)
    patches = np.clip(exposure.patches.window(*origin, height, width), 0, 2)
    residue = np.float32(stain.residue) * patches * (0.12 + np.exp(-((lines / np.float32(0.08)) ** 2)))
    veil = np.exp(-(np.float32(0.025) * plasma + residue)[..., None] * stain.pink)
    return np.asarray(even[..., None] * veil * stain.background, np.float32)


def _dust(rng: np.random.Generator, image: NDArray[np.float32], density: float, diameter: float) -> None:
    """Draw the rings of dust on the optics, which stand at the same place in every field."""
    height, width = image.shape[:2]
    for _ in range(rng.poisson(density * height * width / (10 * diameter**2))):
        radius = diameter * rng.uniform(0.014, 0.035)
        y, x = rng.random(2) * (height, width)
        grid = Grid.around(float(y), float(x), 2.5 * radius + 2)
        y0, x0 = max(grid.y0, 0), max(grid.x0, 0)
        part = image[y0 : grid.y0 + grid.shape[0], x0 : grid.x0 + grid.shape[1]]
        distance = np.hypot(grid.y, grid.x)[y0 - grid.y0 :, x0 - grid.x0 :][: part.shape[0], : part.shape[1]]
        ring = np.exp(-(((distance - radius) / (0.4 * radius)) ** 2)) - 0.5 * np.exp(
            -((distance / (0.5 * radius)) ** 2)
        )
        part *= (1 - np.float32(rng.uniform(0.03, 0.14)) * ring)[..., None]


def _shifted(plane: NDArray[np.float32], by: float, axis: int) -> NDArray[np.float32]:
    length = plane.shape[axis]
    source = np.clip(np.arange(length) + (1 if by > 0 else -1), 0, length - 1)
    return np.asarray(plane * np.float32(1 - abs(by)) + plane.take(source, axis) * np.float32(abs(by)), np.float32)


def _compressed(pixels: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    if quality >= 100:
        return pixels
    store = io.BytesIO()
    Image.fromarray(pixels).save(store, "JPEG", quality=quality, subsampling=2 if quality < 92 else 0)
    store.seek(0)
    with Image.open(store) as image:
        return np.asarray(image)
