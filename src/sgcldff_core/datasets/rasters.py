"""Images and label images from any file that a laboratory has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.datasets.decoding import (
    Pixels,
    decode_pillow,
    naming_the_file,
    open_pillow,
    orientation_of,
)
from sgcldff_core.datasets.depth import to_uint8
from sgcldff_core.datasets.tiffs import decode_tiff, is_tiff, tiff_shape
from sgcldff_core.errors import FormatError

__all__ = ["IMAGE_SUFFIXES", "check_label_shape", "read_grey", "read_image_size", "read_labels", "read_rgb"]

IMAGE_SUFFIXES: tuple[str, ...] = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Suffixes, in lower case, by which images are found in folders."""


def read_rgb(path: Path | str, *, max_pixels: int | None = None) -> NDArray[np.uint8]:
    """Read any image as 8-bit RGB, upright.

    Parameters
    ----------
    path : Path or str
        BMP, JPEG, PNG, TIFF (also planar, OME, several pages: the first counts) or any other
        kind that Pillow knows; 1 to 16 bits, grey, palette, RGB or CMYK, with or without alpha.
    max_pixels : int, optional
        More than these are refused before they are decoded; without it the environment variable
        ``SGCLDFF_MAX_IMAGE_PIXELS`` holds, else 100 million.

    Returns
    -------
    ndarray of uint8, shape (H, W, 3)
        sRGB in 0..255. EXIF rotation is applied, transparency is laid on white like the slide,
        16 bits are scaled by the depth at which the camera counts (10, 12, 14 or 16).

    Raises
    ------
    UnreadableImageError
        If the file is missing, empty, truncated, no image, or too large.

    Examples
    --------
    >>> read_rgb("smear.tif").shape  # doctest: +SKIP
    (480, 640, 3)
    """
    path = Path(path)
    with naming_the_file(path):
        pixels = _decode(path, max_pixels, numbers=False)
        colours = to_uint8(pixels.array)
        if colours.ndim == 2:
            colours = np.broadcast_to(colours[..., np.newaxis], (*colours.shape, 3))
        if pixels.alpha is not None:
            opacity = to_uint8(pixels.alpha)[..., np.newaxis].astype(np.float32) / 255
            colours = np.rint(colours * opacity + 255 * (1 - opacity)).astype(np.uint8)
    return np.ascontiguousarray(colours)


def read_grey(path: Path | str, *, max_pixels: int | None = None) -> NDArray[np.uint8]:
    """Read any image as 8-bit greys, upright.

    Parameters
    ----------
    path : Path or str
        As in `read_rgb`.
    max_pixels : int, optional
        As in `read_rgb`.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        A grey image as it is; the mean of the three channels of any other.

    Raises
    ------
    UnreadableImageError
        As for `read_rgb`.
    """
    path = Path(path)
    with naming_the_file(path):
        pixels = _decode(path, max_pixels, numbers=False)
        if pixels.array.ndim == 2 and pixels.alpha is None:
            return to_uint8(pixels.array)
    mean: NDArray[np.uint8] = np.rint(read_rgb(path, max_pixels=max_pixels).mean(axis=2)).astype(np.uint8)
    return mean


def read_labels(path: Path | str, *, max_pixels: int | None = None) -> NDArray[np.int32]:
    """Read a label image: whole numbers, unchanged.

    Parameters
    ----------
    path : Path or str
        PNG or TIFF with one channel of up to 32 bits, a palette image (its numbers count), or
        RGB with equal channels.
    max_pixels : int, optional
        As in `read_rgb`.

    Returns
    -------
    ndarray of int32, shape (H, W)
        Upright, as EXIF asks for.

    Raises
    ------
    UnreadableImageError
        If the file cannot be decoded.
    FormatError
        If its values are no labels: colours, fractions, negative or beyond 32 bits.
    """
    path = Path(path)
    with naming_the_file(path):
        array = _decode(path, max_pixels, numbers=True).array
    if array.ndim == 3:
        if (array != array[..., :1]).any():
            raise FormatError(
                path, "this is a colour image, not a label image", "save the labels as 16-bit TIFF or PNG"
            )
        array = array[..., 0]
    whole = array.astype(np.int32)
    if (whole != array).any() or (whole < 0).any():
        raise FormatError(
            path,
            f"its {array.dtype} values, {array.min()} to {array.max()}, are no labels",
            "save whole numbers from 0 to 2147483647",
        )
    return whole


def read_image_size(path: Path | str) -> tuple[int, int]:
    """Return height and width of an image, upright, without decoding it.

    Parameters
    ----------
    path : Path or str
        As in `read_rgb`.

    Returns
    -------
    tuple of int
        (H, W) in pixels, the shape that `read_rgb` would return.

    Raises
    ------
    UnreadableImageError
        If the file is missing, empty or no image.
    """
    path = Path(path)
    with naming_the_file(path):
        if is_tiff(path):
            return tiff_shape(path)
        with open_pillow(path) as image:
            height, width = image.height, image.width
            return (width, height) if orientation_of(image) >= 5 else (height, width)


def check_label_shape(labels: Path | str, shape: tuple[int, ...], image: Path | str) -> None:
    """Refuse a label image that has not the size of its image.

    Parameters
    ----------
    labels : Path or str
        The label image.
    shape : tuple of int
        Its shape, (H, W).
    image : Path or str
        The image; only its header is read.

    Raises
    ------
    FormatError
        Naming both files and both sizes.
    """
    size = read_image_size(image)
    if tuple(shape) != size:
        raise FormatError(
            labels,
            f"the label image has shape {tuple(shape)}, its image {image} has {size}",
            "give the labels of this very image, uncropped",
        )


def _decode(path: Path, max_pixels: int | None, *, numbers: bool) -> Pixels:
    if is_tiff(path):
        return decode_tiff(path, max_pixels, numbers=numbers)
    return decode_pillow(path, max_pixels, numbers=numbers)
