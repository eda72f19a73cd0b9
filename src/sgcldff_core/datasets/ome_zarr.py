"""OME-Zarr 0.4 and 0.5: images and labels in chunks, at several sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sgcldff_core.datasets.pyramids import Pyramid, checked_level
from sgcldff_core.errors import FormatError, SgcldffError
from sgcldff_core.extras import wants_extra

if TYPE_CHECKING:
    import zarr

__all__ = ["create_levels", "level_shapes", "load_zarr", "multiscales", "open_ome_zarr"]

_SUFFIX = ".zarr"
_SMALLEST = 1024  # px of the longer side: there a pyramid ends
# What a chunk may be packed with. Zarr knows more, among them pickle: whoever sends such a file sends a program.
_CODECS = {
    *("blosc", "bz2", "bytes", "crc32c", "delta", "endian", "gzip", "lz4", "lzma", "sharding_indexed"),
    *("shuffle", "transpose", "zlib", "zstd"),
}


def load_zarr() -> Any:
    """Return the package zarr, or say what to install.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    with wants_extra("slides", "slides"):
        import zarr
    return zarr


def open_ome_zarr(path: Path | str) -> Pyramid:
    """Open an image, or labels, without reading its pixels.

    Parameters
    ----------
    path : Path or str
        A group with multiscale metadata of OME-Zarr 0.4 (in Zarr 2) or 0.5 (in Zarr 3), or what
        bioformats2raw writes around one.

    Returns
    -------
    Pyramid
        Time, depth and all else but channels at their first place.

    Raises
    ------
    FormatError
        If it is no such group, is damaged, or is packed by what could run a program.
    ConfigError
        If zarr is not installed.
    """
    path = Path(path)
    zarr = load_zarr()
    with _naming(path):
        group = zarr.open_group(str(path), mode="r")
        if not _described(group) and "0" in group and isinstance(group["0"], zarr.Group):
            group = group["0"]  # bioformats2raw: one group for each image
        described = _described(group)
        if not described:
            raise FormatError(path, "it has no multiscale metadata", "export it as OME-Zarr 0.4 or 0.5")
        image = described[0]
        axes = "".join(str(a["name"] if isinstance(a, Mapping) else a).lower()[0] for a in image.get("axes", "tczyx"))
        levels = []
        for dataset in image["datasets"]:
            array = group[str(dataset["path"])]  # zarr refuses what leads out of the group
            _refuse_codecs(path, array)
            levels.append(checked_level(path, array, axes))
        return Pyramid.of_levels(levels, path)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except SgcldffError:
        raise
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError) as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FormatError(path, f"this is no OME-Zarr image ({told})", "export it as OME-Zarr 0.4 or 0.5") from error


def _described(group: zarr.Group) -> list[dict[str, Any]]:
    attributes: dict[str, Any] = dict(group.attrs)
    found = dict(attributes.get("ome", attributes)).get("multiscales", [])
    return found if isinstance(found, list) else []


def _refuse_codecs(path: Path, array: zarr.Array[Any]) -> None:
    for codec in _codec_names(array.metadata.to_dict()):
        if codec.removeprefix("numcodecs.") not in _CODECS and not codec.startswith("imagecodecs_"):
            raise FormatError(path, f"its chunks are packed with {codec!r}", "do not trust it, or export it again")


def _codec_names(metadata: Any) -> Iterator[str]:
    """Yield the names of all codecs, also of those within another."""
    if isinstance(metadata, Mapping):
        for key in ("codecs", "index_codecs", "filters", "compressor"):
            listed = metadata.get(key) or ()
            for codec in [listed] if isinstance(listed, Mapping) else listed:
                told = codec if isinstance(codec, Mapping) else codec.get_config()
                yield str(told.get("name", told.get("id")))
                yield from _codec_names(told.get("configuration", {}))


def level_shapes(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the sizes of a pyramid: each half of the one before, until the longer side is at most 1024 px.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the finest level in px.
    """
    shapes = [shape]
    while max(shapes[-1]) > _SMALLEST:
        shapes.append((-(-shapes[-1][0] // 2), -(-shapes[-1][1] // 2)))
    return shapes


def create_levels(
    group: zarr.Group, shape: tuple[int, int], dtype: Any, *, channels: int = 0, chunk: int = 512
) -> list[zarr.Array[Any]]:
    """Create the empty arrays of a pyramid, ``0``, ``1`` and so on.

    Parameters
    ----------
    group : zarr.Group
        Where to, in Zarr 3 or 2.
    shape : tuple of int
        Height and width of the finest level.
    dtype : dtype
        Of the pixels.
    channels : int
        Of an image, as its first axis; 0 for labels.
    chunk : int
        Side of a chunk in px.

    Returns
    -------
    list of zarr.Array
        Finest first; what is never written is 0 and takes no space.
    """
    lead = (channels,) if channels else ()
    return [
        group.create_array(
            str(index),
            shape=(*lead, *size),
            chunks=(*lead, min(chunk, size[0]), min(chunk, size[1])),
            dtype=np.dtype(dtype),
            fill_value=0,
            chunk_key_encoding={"name": "v2" if group.metadata.zarr_format == 2 else "default", "separator": "/"},
        )
        for index, size in enumerate(level_shapes(shape))
    ]


def multiscales(
    name: str, shapes: Sequence[tuple[int, int]], *, channels: bool = False, version: str = "0.5"
) -> dict[str, Any]:
    """Describe a pyramid whose levels are the arrays ``0``, ``1`` and so on.

    Parameters
    ----------
    name : str
        Of the image.
    shapes : sequence of tuple of int
        Height and width of each level, finest first.
    channels : bool
        Whether there is an axis of channels, the first.
    version : {"0.5", "0.4"}
        Of OME-Zarr.

    Returns
    -------
    dict
        For the attributes of the group.
    """
    lead = [1.0] if channels else []
    axes = [{"name": "c", "type": "channel"}] if channels else []
    axes += [{"name": axis, "type": "space"} for axis in "yx"]
    datasets = []
    for index, shape in enumerate(shapes):
        factors = [a / b for a, b in zip(shapes[0], shape, strict=True)]
        # The first pixel of a coarse level lies in the middle of those that it stands for.
        moves = [{"type": "scale", "scale": [*lead, *factors]}]
        if index:
            moves.append({"type": "translation", "translation": [0.0] * len(lead) + [(f - 1) / 2 for f in factors]})
        datasets.append({"path": str(index), "coordinateTransformations": moves})
    described = {"name": name, "axes": axes, "datasets": datasets}
    if version == "0.4":
        return {"multiscales": [{"version": "0.4", **described}]}
    return {"ome": {"version": version, "multiscales": [described]}}
