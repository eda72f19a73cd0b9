"""TIFF files as microscopes write them: several pages, planar, OME; one upright plane of them."""

from __future__ import annotations

import lzma
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tifffile import PHOTOMETRIC, PLANARCONFIG, TiffFile, TiffFrame, TiffPage, TiffPageSeries

from sgcldff_core.datasets.decoding import Pixels, check_pixel_count, decode_pillow, turned
from sgcldff_core.datasets.depth import full_scale
from sgcldff_core.errors import UnreadableImageError

__all__ = ["check_whole", "decode_tiff", "is_tiff", "refuse_truncated", "tiff_shape"]

_REMEDY = "save it anew as an 8-bit RGB TIFF or PNG"

# Bytes of a value by the number of its type; 1 for those not named.
_TAG_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

# Compressions that tifffile unpacks in one go, and how many times its own size a block may become by them.
_DEFLATE, _LZMA = (8, 32946, 50013), 34925
_MOST_EXPANSION = {**dict.fromkeys(_DEFLATE, 1_032), _LZMA: 10_000}
_HARMLESS = 64_000_000  # bytes
_PIECE = 1 << 20

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def is_tiff(path: Path) -> bool:
    """Return whether a file is a TIFF or BigTIFF, by its first bytes.

    Parameters
    ----------
    path : Path
        A file that can be opened.
    """
    with path.open("rb") as file:
        return file.read(4) in _MAGIC


def check_whole(path: Path) -> None:
    """Refuse a TIFF that ends before its last page or description: tifffile would make do with the rest.

    Parameters
    ----------
    path : Path
        A TIFF or BigTIFF, of either byte order.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        order = "<" if file.read(2) == b"II" else ">"
        big = file.read(2) in (b"+\0", b"\0+")
        count, tag, offset = (
            struct.Struct(order + kind) for kind in (("Q", "HHQQ", "Q") if big else ("H", "HHII", "I"))
        )
        file.seek(8 if big else 4)
        pages: set[int] = set()
        while page := offset.unpack(file.read(offset.size))[0]:
            whole = page < size and page not in pages
            pages.add(page)
            file.seek(page)
            (tags,) = count.unpack(file.read(count.size) if whole else bytes(count.size))
            for _, kind, length, value in tag.iter_unpack(file.read(tags * tag.size)):
                held = length * _TAG_BYTES.get(kind, 1)
                whole &= held <= offset.size or value + held <= size
            if not whole:
                raise UnreadableImageError(path, "the image is truncated or damaged", "copy it again from its source")


def tiff_shape(path: Path) -> tuple[int, int]:
    """Return height and width of the first plane, upright, without decoding it.

    Parameters
    ----------
    path : Path
        A TIFF file.
    """
    check_whole(path)
    with TiffFile(path) as tiff:
        page = tiff.series[0].keyframe
        shape = page.imagelength, page.imagewidth
        return shape[::-1] if _orientation(page) >= 5 else shape


def decode_tiff(path: Path, max_pixels: int | None, *, numbers: bool = False) -> Pixels:
    """Decode the first plane of a TIFF: time, depth and page 0, all channels.

    Parameters
    ----------
    path : Path
        The file.
    max_pixels : int or None
        As in `check_pixel_count`.
    numbers : bool, default False
        Whether a palette image stands for its numbers (labels) rather than its colours.

    Returns
    -------
    Pixels
        Upright, grey or RGB, in the file's own dtype, with the alpha channel apart.

    Raises
    ------
    UnreadableImageError
        If its channels are neither grey nor RGB.
    """
    check_whole(path)
    with TiffFile(path) as tiff:
        series = tiff.series[0]
        page = series.keyframe
        check_pixel_count(path, (page.imagelength, page.imagewidth), max_pixels)
        one_plane = math.prod(series.shape) == math.prod(page.shape)
        if (
            one_plane
            and page.planarconfig == PLANARCONFIG.CONTIG
            and page.bitspersample <= 8
            and page.samplesperpixel <= 4
        ):
            return decode_pillow(path, max_pixels, numbers=numbers)  # knows every colour model and compression
        if page.photometric not in (PHOTOMETRIC.MINISWHITE, PHOTOMETRIC.MINISBLACK, PHOTOMETRIC.RGB):
            raise UnreadableImageError(
                path, f"its colours are {PHOTOMETRIC(page.photometric).name} in a rare layout", _REMEDY
            )
        try:
            plane, axes = _first_plane(path, series)
        except ValueError as error:
            if "imagecodecs" not in str(error):
                raise
            # A compression for which tifffile needs an optional package, and which Pillow has built in.
            return _by_pillow(path, series, max_pixels, numbers)
        array = turned(_channels_last(path, plane, axes), _orientation(page))
        if page.photometric == PHOTOMETRIC.MINISWHITE:
            array = (full_scale(array) - array).astype(array.dtype)
    channels = array.shape[2]
    if channels not in (1, 2, 3, 4) or (channels in (2, 4) and not page.extrasamples):
        raise UnreadableImageError(path, f"it has {channels} channels, a stained smear has 3 (RGB) or 1", _REMEDY)
    colours = array[..., 0] if channels < 3 else array[..., :3]
    return Pixels(colours, None if channels % 2 else array[..., -1])


def _orientation(page: TiffPage | TiffFrame) -> int:
    told = page.tags.valueof(274, 1) if isinstance(page, TiffPage) else 1
    return told if told in range(1, 9) else 1


def _pages_of_plane(series: TiffPageSeries) -> NDArray[np.intp]:
    """Return which pages hold plane 0: one, or one for each channel."""
    lead = series.shape[: series.ndim - series.keyframe.ndim]
    chosen = tuple(slice(None) if axis == "C" else 0 for axis in series.axes[: len(lead)])
    return np.asarray(np.arange(math.prod(lead)).reshape(lead)[chosen])


def _first_plane(path: Path, series: TiffPageSeries) -> tuple[NDArray[Any], str]:
    """Return the pixels of plane 0 with all its channels, and what its axes are."""
    axes = "".join(axis for axis in series.axes if axis in "CSYX")
    numbers = _pages_of_plane(series)
    page = series.keyframe
    if len(series.pages) <= numbers.max():
        # Pages in one block behind the first, as ImageJ writes stacks.
        refuse_truncated(path, page, [(series.dataoffset or 0, series.nbytes)])
        return series.asarray().reshape(-1, *page.shape)[numbers.ravel()].reshape(*numbers.shape, *page.shape), axes
    planes = []
    for number in numbers.ravel():
        plane = series.pages[int(number)]
        if plane is None:
            raise UnreadableImageError(path, "a page that its description names is missing", _REMEDY)
        blocks = list(zip(plane.dataoffsets, plane.databytecounts, strict=True))
        refuse_truncated(path, plane, blocks)
        _refuse_bombs(path, plane, blocks)
        planes.append(plane.asarray())
    return np.stack(planes).reshape(*numbers.shape, *page.shape), axes


def _by_pillow(path: Path, series: TiffPageSeries, max_pixels: int | None, numbers: bool) -> Pixels:
    frames = [
        decode_pillow(path, max_pixels, frame=page.index if page else 0, numbers=numbers)
        for page in (series.pages[int(number)] for number in _pages_of_plane(series).ravel())
    ]
    if len(frames) not in (1, 3):
        raise UnreadableImageError(path, f"it has {len(frames)} channels, a stained smear has 3 (RGB) or 1", _REMEDY)
    return frames[0] if len(frames) == 1 else Pixels(np.dstack([frame.array for frame in frames]))


def refuse_truncated(path: Path, page: TiffPage | TiffFrame, blocks: list[tuple[int, int]]) -> None:
    """Refuse blocks (offset, bytes) behind the end of the file: tifffile would fill them with zeros.

    Parameters
    ----------
    path : Path
        For the message.
    page : TiffPage or TiffFrame
        Any of the file, which is open.
    blocks : list of tuple of int
        Each block's place in the file and its length, in bytes.
    """
    size = page.parent.filehandle.size
    if any(offset + count > size for offset, count in blocks):
        raise UnreadableImageError(path, "the image is truncated", "copy it again from its source")


def _refuse_bombs(path: Path, page: TiffPage | TiffFrame, blocks: list[tuple[int, int]]) -> None:
    """Refuse a block that unpacks to far more than the pixels announced: tifffile would unpack all of it."""
    most = max(_HARMLESS, 2 * page.nbytes)  # a tile at the rim is larger than its share of the image
    expansion = _MOST_EXPANSION.get(int(page.compression), 1)
    for offset, count in blocks:
        if count * expansion <= most:
            continue
        unpack = lzma.LZMADecompressor() if page.compression == _LZMA else zlib.decompressobj()
        page.parent.filehandle.seek(offset)
        if _unpacked_size(unpack, page.parent.filehandle.read(count), most) > most:
            raise UnreadableImageError(
                path, f"a part of it unpacks to more than the {page.nbytes} bytes of its pixels", "do not trust it"
            )


def _unpacked_size(unpack: Any, data: bytes, most: int) -> int:
    """Return how many bytes packed data holds, or some number above `most`, without holding them."""
    size = 0
    while size <= most and not unpack.eof:
        piece = len(unpack.decompress(data, _PIECE))
        data = getattr(unpack, "unconsumed_tail", b"")  # LZMA keeps by itself what is left
        if not piece and not data:
            break
        size += piece
    return size


def _channels_last(path: Path, array: NDArray[Any], axes: str) -> NDArray[Any]:
    """Return (H, W, C) pixels; C is 1 where there is no axis of channels."""
    if array.ndim != len(axes) or not {"Y", "X"} <= set(axes):
        raise UnreadableImageError(path, f"its planes have the axes {axes}", _REMEDY)
    if {"C", "S"} <= set(axes):
        # Several channels that are RGB each: the first is the image.
        array, axes = array.take(0, axis=axes.index("C")), axes.replace("C", "")
    channel = next((axis for axis in "CS" if axis in axes), None)
    if channel is None:
        return array[..., np.newaxis]
    return np.moveaxis(array, axes.index(channel), -1)
