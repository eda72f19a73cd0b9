"""Data sets of blood smears as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sgcldff.annotation_files import (
    boxes_layer,
    is_voc,
    points_layer,
    read_voc_file,
    read_xyc_file,
    say_problems,
)
from napari_sgcldff.layers import KEY, annotation_layer
from napari_sgcldff.predict_outputs import LABELS_SUFFIX, is_output, output_samples, read_outputs
from napari_sgcldff.slide_layers import slide_reader
from sgcldff_core.datasets import open_dataset, read_image_size
from sgcldff_core.datasets.history import CURATED_INDEX
from sgcldff_core.datasets.kinds import leukocyte_boxes
from sgcldff_core.datasets.layout import folders_of, natural_key
from sgcldff_core.errors import FormatError, SgcldffError

if TYPE_CHECKING:
    from napari.types import LayerDataTuple

    from sgcldff_core.sample import Sample

__all__ = ["MOST_SEPARATE", "napari_get_reader", "read_cells_csv", "read_data_set", "read_label_image"]

Reader = Callable[["str | Sequence[str]"], "list[LayerDataTuple]"]

MOST_SEPARATE = 12
"""Images of different sizes up to this number get layers of their own, more go into one padded stack."""

_SPARE = 16  # numbers kept free in a stack for cells of an image whose class is not known
_MOST_FOLDERS, _DEPTH = 300, 3  # of a data set: more is a home folder, or a whole disk
_UNKNOWN = 256  # likewise for an image none of whose cells has a class


def napari_get_reader(path: str | Sequence[str]) -> Reader | None:
    """Offer to read a path if this package knows what it is; quick, and never an error.

    Parameters
    ----------
    path : str or sequence of str
        What the user opens: the folder or index of a data set, an annotation of Pascal VOC or
        ALL-IDB, a table of cells, a slide, or labels that ``sgcldff predict`` wrote.

    Returns
    -------
    callable or None
        What reads it, or None where `path` is several paths or nothing that is known.
    """
    if not isinstance(path, str):
        return None
    try:
        return _reader_of(Path(path))
    except (SgcldffError, OSError):
        return None


def _reader_of(path: Path) -> Reader | None:
    suffix = path.suffix.lower()
    if (reader := slide_reader(path)) is not None:
        return reader
    if path.is_dir() or suffix == ".json":
        if not _is_surveyable(path):
            return None
        open_dataset(path)
        return read_data_set
    if not path.is_file():
        return None
    if suffix == ".xml":
        return read_voc_file if is_voc(path) else None
    if suffix == ".xyc":
        return read_xyc_file
    if path.name == "cells.csv":
        return read_cells_csv if _is_curated(path.parent) or any(_outputs(path)) else None
    return read_label_image if is_output(path) else None


def _is_surveyable(folder: Path) -> bool:
    """Tell whether a folder has few enough folders below it to be looked through at once."""
    waiting, seen = [(folder, 0)], 0
    while waiting:
        here, depth = waiting.pop()
        seen += 1
        if seen > _MOST_FOLDERS:
            return False
        if depth < _DEPTH and here.is_dir():
            waiting += [(below, depth + 1) for below in folders_of(here)]
    return True


def read_label_image(path: str | Sequence[str]) -> list[LayerDataTuple]:
    """Read a label image that ``sgcldff predict`` wrote, with its table, its maps and its image.

    Parameters
    ----------
    path : str
        ``<stem>_labels.tif``, with ``cells.csv`` beside it.
    """
    return read_outputs(Path(str(path)))


def read_cells_csv(path: str | Sequence[str]) -> list[LayerDataTuple]:
    """Read the images and label images that a table of cells is about.

    Parameters
    ----------
    path : str
        ``cells.csv`` as ``sgcldff predict`` writes it or as it lies in a curated folder.

    Returns
    -------
    list of (data, dict, str)
        Of a few images all that was written, only the first of them visible; of many a stack of
        images and one of labels.

    Raises
    ------
    DataError
        If the table cannot be read.
    """
    file = Path(str(path))
    if _is_curated(file.parent):
        return read_data_set(str(file.parent))
    labels = _outputs(file)
    if len(labels) <= MOST_SEPARATE:
        groups = [read_outputs(each) for each in labels]
        for group in groups[1:]:
            for _, attributes, _ in group:
                attributes["visible"] = False
        return [layer for group in groups for layer in group]
    samples = output_samples(labels)
    return _stack(samples, [_size(sample) for sample in samples], file.parent.name)


def _outputs(table: Path) -> list[Path]:
    return sorted(table.parent.glob(f"*{LABELS_SUFFIX}"), key=natural_key)


def _is_curated(folder: Path) -> bool:
    return (folder / CURATED_INDEX).is_file() or (folder / "images").is_dir()


def read_data_set(path: str | Sequence[str]) -> list[LayerDataTuple]:
    """Read a data set as layers; pixels are read when they are shown.

    Parameters
    ----------
    path : str
        A folder, or the JSON file of a COCO data set.

    Returns
    -------
    list of (data, dict, str)
        An image layer; where anything is labelled a labels layer with the class of each cell; where
        there are boxes of leukocytes a shapes layer, and for points a points layer. One group of
        them for a single image or for a stack of images, or a group for each image where there are
        few and their sizes differ.

    Raises
    ------
    FormatError
        If not a single image can be used.
    """
    data_set = open_dataset(str(path))
    samples = list(data_set)
    say_problems(data_set.report, data_set.path)
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
    for data, attributes, kind in _drawn([sample], sample.name, stacked=False):
        layers.append((data, {**attributes, "visible": shown}, kind))
    return layers


def _drawn(samples: Sequence[Sample], name: str, *, stacked: bool) -> list[LayerDataTuple]:
    """Return the boxes of leukocytes and the points, as far as there are any."""
    layers: list[LayerDataTuple] = []
    boxes = [(i, box) for i, sample in enumerate(samples) for box in leukocyte_boxes(sample.boxes)]
    points = [(i, point) for i, sample in enumerate(samples) for point in sample.points or ()]
    if boxes:
        layers.append(boxes_layer([b for _, b in boxes], name, [i for i, _ in boxes] if stacked else None))
    if points:
        layers.append(points_layer([p for _, p in points], name, [i for i, _ in points] if stacked else None))
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
    return layers + _drawn(samples, name, stacked=True)


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
