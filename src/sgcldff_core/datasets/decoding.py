"""Pixels of any image file that a laboratory has, as they are stored, or an error that says why not."""

from __future__ import annotations

import os
import struct
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from tifffile import TiffFileError

from sgcldff_core.errors import ConfigError, SgcldffError, UnreadableImageError

__all__ = [
    "MAX_PIXELS_VARIABLE",
    "Pixels",
    "check_pixel_count",
    "decode_pillow",
    "naming_the_file",
    "open_pillow",
    "orientation_of",
    "turned",
]

MAX_PIXELS_VARIABLE = "SGCLDFF_MAX_IMAGE_PIXELS"

# 300 MB as RGB: ten times the largest camera frame of a microscope, and harmless.
_MAX_PIXELS = 100_000_000

# What decoders raise, and warn of where warnings are errors, when a header or its data is damaged:
# with their inner workings upset, nearly anything. Damage is chained, so a fault of ours stays visible.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    ArithmeticError,
    LookupError,
    RuntimeError,
    struct.error,
    zlib.error,
    UserWarning,
)


@dataclass(frozen=True, slots=True)
class Pixels:
    """Pixels as stored, upright.

    Attributes
    ----------
    array : ndarray
        (H, W) greys or numbers, or (H, W, 3) RGB; any dtype.
    alpha : ndarray or None
        (H, W), the same dtype; 0 where the image is transparent.
    """

    array: NDArray[Any]
    alpha: NDArray[Any] | None = None


@contextmanager
def naming_the_file(path: Path) -> Iterator[None]:
    """Turn what a decoder raises into an `UnreadableImageError` that names the file and the remedy.

    Parameters
    ----------
    path : Path
        The file that is decoded in the ``with`` block.
    """
    remedy = "copy it again from its source, or save it anew as PNG or TIFF"
    try:
        if path.stat().st_size == 0:
            raise UnreadableImageError(path, "the file is empty", "copy it again from its source")
        yield
    except SgcldffError:
        raise  # ConfigError is a ValueError too
    except FileNotFoundError as error:
        raise UnreadableImageError(path, "there is no such file", "check the spelling") from error
    except IsADirectoryError as error:
        raise UnreadableImageError(path, "this is a folder, not an image", "name a file in it") from error
    except PermissionError as error:
        raise UnreadableImageError(path, "the file may not be read", "change its permissions") from error
    except MemoryError as error:
        remedy = "close other programs, or give a smaller image; a small file that asks for so much is damaged"
        raise UnreadableImageError(path, "there is not enough memory to read it", remedy) from error
    except (UnidentifiedImageError, TiffFileError) as error:
        raise UnreadableImageError(path, "this is no image of a known kind", remedy) from error
    except _DAMAGE as error:
        raise UnreadableImageError(path, f"the image is truncated or damaged ({error})", remedy) from error


def check_pixel_count(path: Path, shape: tuple[int, ...], max_pixels: int | None) -> None:
    """Refuse an image whose header announces more pixels than allowed, before they are decoded.

    Parameters
    ----------
    path : Path
        The file.
    shape : tuple of int
        Its height and width.
    max_pixels : int or None
        The limit; None for the environment variable, else the default.

    Raises
    ------
    UnreadableImageError
        If it has more.
    ConfigError
        If the environment variable is no positive number.
    """
    if max_pixels is None:
        told = os.environ.get(MAX_PIXELS_VARIABLE, str(_MAX_PIXELS))
        if not told.isdecimal() or int(told) == 0:
            raise ConfigError(f"{MAX_PIXELS_VARIABLE} is {told!r}; set it to a whole number of pixels above 0")
        max_pixels = int(told)
    count = shape[0] * shape[1]
    if count > max_pixels:
        problem = f"{shape[1]}×{shape[0]} = {count} pixels are more than the {max_pixels} allowed"
        raise UnreadableImageError(path, problem, f"if the file is to be trusted, set {MAX_PIXELS_VARIABLE} higher")


_limit_lifted = threading.Lock()


def open_pillow(path: Path) -> Image.Image:
    """Open the header of an image, leaving the check of its size to `check_pixel_count`.

    Parameters
    ----------
    path : Path
        A file of any kind that Pillow knows.

    Returns
    -------
    PIL.Image.Image
        Pixels are not decoded yet; the file stays open until it is closed.
    """
    # Pillow's own limit is a global of the process and warns before it refuses. It is lifted only
    # while a header is read, so that other users of Pillow keep its protection.
    with _limit_lifted:
        held, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(path)
        finally:
            Image.MAX_IMAGE_PIXELS = held


def orientation_of(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8, without decoding the pixels; 1 where there is none.

    Parameters
    ----------
    image : PIL.Image.Image
        An opened image.
    """
    if image.format == "TIFF":
        return 1  # Pillow turns these itself
    exif = Image.Exif()
    # Not getexif(): for a PNG without EXIF it decodes the whole image in search of it.
    if isinstance(block := image.info.get("exif"), bytes):
        exif.load(block)
    told = exif.get(0x0112, 1)
    return told if told in range(1, 9) else 1


def turned(array: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return an (H, W[, C]) array as its EXIF orientation, 1 to 8, asks for.

    Parameters
    ----------
    array : ndarray, shape (H, W) or (H, W, C)
        Pixels as they are stored.
    orientation : int
        1 is upright; from 5 on height and width change places.

    Returns
    -------
    ndarray
        Upright and contiguous, of the same dtype.
    """
    if orientation in (5, 6, 7, 8):
        array = array.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def decode_pillow(path: Path, max_pixels: int | None, *, frame: int = 0, numbers: bool = False) -> Pixels:
    """Decode an image by Pillow, keeping 16 bits where it would drop eight of them.

    Parameters
    ----------
    path : Path
        The file.
    max_pixels : int or None
        As in `check_pixel_count`.
    frame : int, default 0
        Page of a file that holds several.
    numbers : bool, default False
        Whether a palette image stands for its numbers (labels) rather than its colours.

    Returns
    -------
    Pixels
        Upright, uint8 or uint16, grey or RGB, with the alpha channel apart.
    """
    with open_pillow(path) as image:
        image.seek(frame)
        check_pixel_count(path, (image.height, image.width), max_pixels)
        orientation = orientation_of(image)
        second = _low_bytes(path, image, frame)
        stored = _stored(image, numbers)
    if second is not None:
        # The low bytes have their own scale: join them to the high ones before anything else.
        high = stored.array if stored.alpha is None else np.dstack([stored.array, stored.alpha])
        both = high.astype(np.uint16) << 8 | second
        stored = Pixels(both[..., :3], both[..., 3] if both.shape[2] == 4 else None)
    alpha = None if stored.alpha is None else turned(stored.alpha, orientation)
    return Pixels(turned(stored.array, orientation), alpha)


def _low_bytes(path: Path, image: Image.Image, frame: int) -> NDArray[np.uint8] | None:
    """Return the low bytes of 16-bit RGB or RGBA, of which Pillow keeps only the high ones; else None.

    Its decoder picks the high byte by the byte order that the tile names, so with the order
    swapped it hands out the low byte.
    """
    if image.mode not in ("RGB", "RGBA"):
        return None
    other = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
    tiles = []
    for tile in getattr(image, "tile", []):
        raw = tile.args if isinstance(tile.args, str) else tile.args[0] if tile.args else ""
        if not isinstance(raw, str) or raw[:-1] != f"{image.mode};16":
            return None
        swapped = raw[:-1] + other[raw[-1]]
        tiles.append(tile._replace(args=swapped if isinstance(tile.args, str) else (swapped, *tile.args[1:])))
    if not tiles:
        return None
    with open_pillow(path) as again:
        again.seek(frame)
        again.tile = tiles  # type: ignore[attr-defined]  # every ImageFile has it, Image.open says Image
        return np.asarray(again)


def _stored(image: Image.Image, numbers: bool) -> Pixels:
    """Return the pixels of an opened image by its mode."""
    see_through = "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa")
    if image.mode == "1" or image.mode.startswith(("I", "F")) or (image.mode == "P" and numbers):
        return Pixels(np.asarray(image))
    if image.mode == "L" and (numbers or not see_through):
        return Pixels(np.asarray(image))
    if see_through:
        rgba = np.asarray(image.convert("RGBA"))
        return Pixels(rgba[..., :3], rgba[..., 3])
    return Pixels(np.asarray(image.convert("RGB")))
