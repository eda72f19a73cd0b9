"""Data sets of blood smears as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sgcldff.layers import KEY, annotation_layer
from sgcldff_core.datasets import open_dataset, read_image_size
from sgcldff_core.errors import DataError, FormatError

if TYPE_CHECKING:
    from napari.types import LayerDataTuple

    from sgcldff_core.sample import Sample

__all__ = ["MOST_SEPARATE", "napari_get_reader", "read_data_set"]

MOST_SEPARATE = 12
"""Images of different sizes up to this number get layers of their own, more go into one padded stack."""

_SPARE = 16  # numbers kept free in a stack for cells of an image whose class is not known
_UNKNOWN = 256  # likewise for an image none of whose cells has a class


def napari_get_reader(path: str | Sequence[str]) -> Callable[[str | Sequence[str]], list[LayerDataTuple]] | None:
    """Offer to read a path if it is a data set of a known format.

    Parameters
    ----------
    path : str or sequence of str
        What the user opens.

    Returns
    -------
    callable or None
        `read_data_set`, or None where `path` is several paths or nothing that is known.
    """
    if not isinstance(path, str):
        return None
    try:
        open_dataset(path)
    except DataError:
        return None
    return read_data_set


def read_data_set(path: str | Sequence[str]) -> list[LayerDataTuple]:
    """Read a data set as layers; pixels are read when they are shown.

    Parameters
    ----------
    path : str
        A folder, or the JSON file of a COCO data set.

    Returns
    -------
    list of (data, dict, str)
        An image layer and, where anything is labelled, a labels layer with the class of each
        cell: one pair for a single image or for a stack of images, or a pair for each image
        where there are few and their sizes differ.

    Raises
    ------
    FormatError
        If not a single image can be used.
    """
    data_set = open_dataset(str(path))
    samples = list(data_set)
    sizes = [_size(sample) for sample in samples]
    if len(samples) == 1 or (len(set(sizes)) > 1 and len(samples) <= MOST_SEPARATE):
        pairs = [_single(sample, shown=not i) for i, sample in enumerate(samples)]
        return [layer for pair in pairs for layer in pair]
    return _stack(samples, sizes, data_set.path.name)


def _size(sample: Sample) -> tuple[int, int]:
    path = sample.image.path
    height, width = sample.read_image().shape[:2] if path is None else read_image_size(path)
    return height, width


def _single(sample: Sample, *, shown: bool) -> list[LayerDataTuple]:
    layers: list[LayerDataTuple] = [
        (sample.read_image(), {"name": sample.name, "rgb": True, "visible": shown}, "image"),
    ]
    labels = sample.read_labels()
    if labels is not None:
        data, attributes, kind = annotation_layer(labels, sample.classes, f"{sample.name} labels")
        layers.append((data, {**attributes, "visible": shown}, kind))
    return layers


def _stack(samples: Sequence[Sample], sizes: Sequence[tuple[int, int]], name: str) -> list[LayerDataTuple]:
    import dask.array as da
    from dask import delayed

    shape = tuple(np.max(np.array(sizes), axis=0))
    about: dict[str, Any] = {"names": [sample.name for sample in samples], "sizes": list(sizes)}

    def lazily(reads: Sequence[Callable[[], NDArray[Any]]], empty: NDArray[Any]) -> Any:
        planes = [partial(_padded, read, empty) for read in reads]
        return da.stack([da.from_delayed(delayed(p, pure=True)(), empty.shape, empty.dtype) for p in planes])

    images = lazily([sample.read_image for sample in samples], np.full((*shape, 3), 255, np.uint8))
    layers: list[LayerDataTuple] = [
        (images, {"name": name, "rgb": True, "metadata": {KEY: {"role": "stack", **about}}}, "image")
    ]
    if any(sample.labels is not None for sample in samples):
        rooms = [_room(sample) for sample in samples] if any(sample.classes for sample in samples) else None
        offsets = np.cumsum([0, *rooms[:-1]]).tolist() if rooms else [0] * len(samples)
        reads = [
            partial(_renumbered, sample, offset, room)
            for sample, offset, room in zip(samples, offsets, rooms or [None] * len(samples), strict=True)
        ]
        classes = {
            offset + label: kind
            for sample, offset in zip(samples, offsets, strict=True)
            for label, kind in sorted((sample.classes or {}).items())
        }
        labels = lazily(reads, np.zeros(shape, np.int32))
        layers.append(annotation_layer(labels, classes, f"{name} labels", {**about, "offsets": offsets}))
    return layers


def _room(sample: Sample) -> int:
    """Return how many numbers are kept for the labels of an image, before any pixel of it is read."""
    return max(sample.classes) + _SPARE if sample.classes else _UNKNOWN if sample.labels else 0


def _renumbered(sample: Sample, offset: int, room: int | None) -> NDArray[np.int32]:
    """Read labels so that each cell of a stack has a number of its own, to which its class is tied."""
    labels = sample.read_labels()
    if labels is None:
        return np.zeros((0, 0), np.int32)
    if room is not None and labels.max(initial=0) >= room:
        raise FormatError(
            sample.labels.path if sample.labels and sample.labels.path else sample.name,
            f"it has {labels.max()} labels, and a stack has room for {room - 1}",
            "open this image by itself",
        )
    return np.where(labels > 0, labels + offset, 0).astype(np.int32)


def _padded(read: Callable[[], NDArray[Any]], empty: NDArray[Any]) -> NDArray[Any]:
    pixels = read()
    if pixels.shape == empty.shape:
        return pixels
    plane = empty.copy()
    plane[: pixels.shape[0], : pixels.shape[1]] = pixels
    return plane
