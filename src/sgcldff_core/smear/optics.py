"""From optical density to what the camera records."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage as ndi

from sgcldff_core.smear.outline import Grid
from sgcldff_core.smear.texture import Ripples

if TYPE_CHECKING:
    from sgcldff_core.smear.settings import SmearSettings
    from sgcldff_core.smear.stain import Stain

__all__ = ["expose"]


def expose(
    rng: np.random.Generator, density: NDArray[np.float32], stain: Stain, settings: SmearSettings
) -> NDArray[np.uint8]:
    """Photograph a smear.

    Parameters
    ----------
    rng : numpy.random.Generator
        The exposure's own stream.
    density : ndarray
        (H, W, 3) float32 optical density, natural logarithm; changed in place.
    stain : Stain
        Background and camera.
    settings : SmearSettings
        Blur, noise and vignetting where they were asked for.

    Returns
    -------
    ndarray
        (H, W, 3) uint8 RGB.
    """
    camera = stain.camera
    light = _light(rng, density.shape[:2], stain, settings)
    np.negative(density, out=density)
    image = np.exp(density, out=density)
    image *= light
    if camera.dust:
        _dust(rng, image, camera.dust, settings.diameter)
    drawn = rng.uniform(*camera.blur) * settings.diameter
    blur = drawn if settings.defocus is None else settings.defocus
    image = _blurred(rng, image, float(blur))
    if camera.sharpening:
        reach = max(1.0, 0.012 * settings.diameter)
        brightness = image @ np.array([0.3, 0.5, 0.2], np.float32)
        brightness -= ndi.gaussian_filter(brightness, reach, truncate=2.5)
        image += np.float32(camera.sharpening) * brightness[..., None]
    drawn = rng.uniform(*camera.noise)
    noise = drawn if settings.noise is None else settings.noise
    if noise:
        # Eyepiece cameras interpolate colours from one sensor, so most of the noise is in the brightness.
        grain = rng.standard_normal((*image.shape[:2], 4), dtype=np.float32)
        image += np.float32(noise) * (np.float32(0.75) * grain[..., :1] + np.float32(0.65) * grain[..., 1:])
    pixels = np.clip(image + np.float32(0.5), 0, 255).astype(np.uint8)
    quality = int(rng.integers(camera.quality[0], camera.quality[1] + 1))
    return _compressed(pixels, quality)


def _light(
    rng: np.random.Generator, shape: tuple[int, int], stain: Stain, settings: SmearSettings
) -> NDArray[np.float32]:
    height, width = shape
    drawn = rng.uniform(*stain.camera.vignetting)
    loss = drawn if settings.vignetting is None else settings.vignetting
    off_y, off_x, tilt_y, tilt_x = rng.normal(0, (0.15, 0.15, 0.012, 0.012))
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None] if height > 1 else np.zeros((1, 1), np.float32)
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :] if width > 1 else np.zeros((1, 1), np.float32)
    corner = ((y - np.float32(off_y)) ** 2 + (x - np.float32(off_x)) ** 2) / 2
    even = (1 - np.float32(loss) * np.minimum(corner, 1)) * (1 + np.float32(tilt_y) * y + np.float32(tilt_x) * x)
    # Plasma takes up a little stain, unevenly.
    plasma = np.maximum(Ripples(rng, 2.5 * settings.diameter).window(0, 0, height, width), -1)
    lines = np.abs(Ripples(rng, 0.7 * settings.diameter, 16).window(0, 0, height, width))
    patches = np.clip(Ripples(rng, 1.2 * settings.diameter, 16).window(0, 0, height, width), 0, 2)
    residue = np.float32(stain.residue) * patches * (0.12 + np.exp(-((lines / np.float32(0.08)) ** 2)))
    veil = np.exp(-(np.float32(0.025) * plasma + residue)[..., None] * stain.pink)
    return np.asarray(even[..., None] * veil * stain.background, np.float32)


def _blurred(rng: np.random.Generator, image: NDArray[np.float32], blur: float) -> NDArray[np.float32]:
    # Red and blue come to a focus a little before and behind green, and beside it.
    spread = np.hypot(blur, (0.25 * rng.random(), 0.0, 0.4 * rng.random()))
    shifts = rng.normal(0, 0.18, (3, 2))
    for channel, (sigma, (dy, dx)) in enumerate(zip(spread, shifts, strict=True)):
        plane = image[..., channel]
        if sigma > 0.15:
            plane = ndi.gaussian_filter(plane, sigma, truncate=3.0)
        if channel != 1:
            plane = _shifted(_shifted(plane, float(dy), 0), float(dx), 1)
        image[..., channel] = plane
    return image


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
    by = float(np.clip(by, -1, 1))
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
