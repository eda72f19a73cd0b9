"""Images that are no smear: bundled with scikit-image and scikit-learn, or drawn; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import skimage.data
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import gray2rgb, hed2rgb, rgb2hed
from skimage.util import img_as_ubyte
from sklearn.datasets import load_sample_images

__all__ = ["looked_at_before", "never_looked_at"]

Image = NDArray[np.uint8]

_PICTURES = {
    **dict.fromkeys(("coffee", "chelsea", "rocket", "hubble_deep_field", "moon", "coins", "clock"), "photograph"),
    **dict.fromkeys(("brick", "gravel"), "texture"),
    **dict.fromkeys(("retina", "microaneurysms"), "fundus of the eye"),
    **dict.fromkeys(("page", "text"), "text"),
    **dict.fromkeys(("horse", "colorwheel", "logo"), "drawing"),
}
_TONES = ((238, 232, 236), (225, 215, 228), (210, 200, 170), (250, 250, 250), (0, 0, 0), (200, 160, 190))


def looked_at_before() -> Iterator[tuple[str, Image]]:
    """Yield kind and image of those that were in view while it was decided what to measure; 22 of them."""
    rng = np.random.default_rng(1)
    for _ in range(4):
        yield "uniform noise", rng.integers(0, 256, (200, 200, 3), np.uint8)
    for name, count in (("astronaut", 4), ("camera", 4), ("grass", 2)):
        for part in _crops(_rgb(getattr(skimage.data, name)()), count, 256, rng):
            yield name, part
    yield "chessboard", _rgb(skimage.data.checkerboard())
    yield "phantom", _rgb(skimage.data.shepp_logan_phantom())
    yield "gradient", np.repeat(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], 200, 0).repeat(3, 2)
    yield "white", np.full((200, 200, 3), 255, np.uint8)
    for _ in range(4):
        yield "drawn tissue, large nuclei", _tissue(rng, nuclei=40, radius=14)


def never_looked_at() -> Iterator[tuple[str, Image]]:
    """Yield kind and image of those that had no part in anything; 90 of them, of other kinds or pictures."""
    rng = np.random.default_rng(2)
    for _ in range(6):
        yield "normal noise", (128 + 60 * rng.normal(size=(200, 240, 3))).clip(0, 255).astype(np.uint8)
    for slope in (0.7, 1.0, 1.4):
        for _ in range(2):
            clouds = np.stack([_clouds(rng, (220, 220), slope) for _ in range(3)], -1)
            yield "clouds of colour", (128 + 50 * clouds).clip(0, 255).astype(np.uint8)
    for name, kind in _PICTURES.items():
        for part in _crops(_rgb(getattr(skimage.data, name)()), 3, 256, rng):
            yield kind, part
    for picture in load_sample_images().images:
        for part in _crops(_rgb(picture), 3, 300, rng):
            yield "photograph", part
    tissue = _rgb(skimage.data.immunohistochemistry())
    for part in _crops(tissue, 6, 256, rng):
        yield "tissue, immunohistochemistry", part
    # Its haematoxylin as it is, its brown as eosin.
    stains = rgb2hed(tissue)
    brown = stains[..., 2]
    eosin = brown + 0.9 * np.clip(brown, 0, None)
    pink = hed2rgb(np.stack([1.3 * stains[..., 0], eosin, 0 * brown], -1))
    for part in _crops(img_as_ubyte(np.clip(pink, 0, 1)), 6, 256, rng):
        yield "tissue, recoloured as haematoxylin-eosin", part
    for _ in range(6):
        yield "drawn tissue, small nuclei", _tissue(rng, int(rng.integers(120, 260)), float(rng.uniform(5, 8)))
    for tone in _TONES:
        yield "blank", (np.array(tone) + rng.normal(0, 2, (200, 240, 3))).clip(0, 255).astype(np.uint8)


def _rgb(image: NDArray[Any]) -> Image:
    if image.dtype == bool:
        image = image.astype(np.uint8) * 255
    if image.dtype != np.uint8:
        image = img_as_ubyte(image)
    return np.ascontiguousarray((gray2rgb(image) if image.ndim == 2 else image)[..., :3])


def _crops(image: Image, count: int, side: int, rng: np.random.Generator) -> Iterator[Image]:
    height, width = image.shape[:2]
    side = min(side, height, width)
    for _ in range(count):
        y, x = rng.integers(0, height - side + 1), rng.integers(0, width - side + 1)
        yield image[y : y + side, x : x + side]


def _clouds(rng: np.random.Generator, shape: tuple[int, int], slope: float) -> NDArray[np.float64]:
    """Return noise whose amplitude falls with frequency, of mean 0 and spread 1."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(shape[0]), np.fft.fftfreq(shape[1]), indexing="ij"))
    frequency[0, 0] = 1
    noise = np.fft.ifft2(np.fft.fft2(rng.normal(size=shape)) / frequency**slope).real
    return np.asarray((noise - noise.mean()) / noise.std())


def _tissue(rng: np.random.Generator, nuclei: int, radius: float, shape: tuple[int, int] = (256, 256)) -> Image:
    """Draw nuclei stained with haematoxylin among fibres stained with eosin."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    blue = np.zeros(shape)
    for _ in range(nuclei):
        row, column = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        a, b, turn = radius * rng.uniform(0.7, 1.3), radius * rng.uniform(0.5, 1.1), rng.uniform(0, np.pi)
        along = (x - column) * np.cos(turn) + (y - row) * np.sin(turn)
        across = (y - row) * np.cos(turn) - (x - column) * np.sin(turn)
        blue = np.maximum(blue, (np.hypot(along / a, across / b) < 1) * rng.uniform(0.6, 1.2))
    blue = ndimage.gaussian_filter(blue, 0.8) * (1 + 0.2 * _clouds(rng, shape, 0.8))
    pink = np.clip(0.5 + 0.22 * _clouds(rng, shape, 1.2), 0.05, None)
    density = blue[..., None] * np.array([1.1, 1.2, 0.45]) + pink[..., None] * np.array([0.12, 0.75, 0.28]) + 0.05
    return np.asarray((255 * np.exp(-density)).clip(0, 255), np.uint8)
