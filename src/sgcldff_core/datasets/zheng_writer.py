"""Zheng's layout: one leukocyte an image, ``001.bmp`` beside its mask ``001.png``, a table of classes.

::

    Dataset 1/001.bmp                 8-bit RGB
    Dataset 1/001.png                 0 background, 128 cytoplasm, 255 nucleus
    Class Labels of Dataset 1.csv     number of the image, 1 to 5
    sgcldff.json                      name, group and split of each image, where a crop was, the history

The format has one class an image and no instance labels: cells are what is connected. So an image
is written only if reading it back gives the same cells with the same classes; any other is
skipped, with the reason. It has no place for boxes, points, splits and groups.
"""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sgcldff_core.datasets.drafts import folder_drafted
from sgcldff_core.datasets.history import ZHENG_INDEX
from sgcldff_core.datasets.masks import cells_of, central_first
from sgcldff_core.datasets.pixels import Pixels, counted_cells
from sgcldff_core.datasets.writing import Skipped, Tally, Written
from sgcldff_core.errors import FormatError
from sgcldff_core.taxonomy import LEUKOCYTES

if TYPE_CHECKING:
    from sgcldff_core.datasets.history import Provenance
    from sgcldff_core.sample import Sample

__all__ = ["write_zheng"]

_NUMBERS = {c.name: n for n, c in enumerate(LEUKOCYTES, start=1)}
_SET = "Dataset 1"
_NOTED = ("splits", "scenes in several images")
_MARGINS = (0.5, 0.25, 0.0)  # of the cell's longer side; the first that keeps the cell central is taken
_UNCONNECTED = "cells touch, or have separate parts or specks, and this format tells cells by being connected"


def write_zheng(
    samples: Iterable[Sample],
    folder: Path | str,
    *,
    provenance: Provenance,
    overwrite: bool = False,
    crop: bool = False,
) -> Written:
    """Write samples in Zheng's layout.

    Parameters
    ----------
    samples, folder, provenance, overwrite
        As for every `Writer`.
    crop : bool, default False
        Cut out each cell as an image of its own, with a margin of half its longer side; its
        neighbours there have no class. Without it an image with more than one class is skipped.

    Returns
    -------
    Written
        What was written, what was left out and why, and what the format has no place for.

    Raises
    ------
    DataError
        If `folder` may not be written, or not a single sample could be.
    ConfigError
        If a name is no file name, or appears twice.
    """
    folder = Path(folder)
    tally = Tally()
    rows: list[tuple[int, int]] = []
    origins: dict[str, dict[str, Any]] = {}
    unsaid: dict[str, int] = {}
    with folder_drafted(folder, mark=ZHENG_INDEX, overwrite=overwrite) as draft:
        (draft / _SET).mkdir()
        for sample, pixels in tally.readable(samples):
            for piece in _pieces(sample, pixels, crop, tally):
                tally.images += 1
                tally.cells += piece.cells
                stem = f"{tally.images:03d}"
                Image.fromarray(piece.image).save(draft / _SET / f"{stem}.bmp")
                Image.fromarray(piece.mask).save(draft / _SET / f"{stem}.png")
                if piece.name is not None:
                    rows.append((tally.images, _NUMBERS[piece.name]))
                known = {"name": sample.name, "source": sample.source, "group": sample.group, "split": sample.split}
                origins[stem] = {**known, **piece.place}
                for what in _unsaid_of(sample):
                    unsaid[what] = unsaid.get(what, 0) + 1
        _save_classes(draft / f"Class Labels of {_SET}.csv", rows)
        about = {"title": provenance.title, "origin": provenance.origin, "history": provenance.steps, "images": origins}
        (draft / ZHENG_INDEX).write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        scenes = Counter(origin["group"] for origin in origins.values())
        unsaid["scenes in several images"] = sum(n for n in scenes.values() if n > 1)
        lost = [
            f"{what} have no place in this format{f' but {ZHENG_INDEX}' if what in _NOTED else ''}: {n} images"
            for what, n in unsaid.items()
            if n
        ]
        written = tally.written(folder, lost)
    return written


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """An image as it will be written.

    Attributes
    ----------
    image, mask : ndarray
        Pixels of the two files.
    name : str or None
        Class of the cell nearest to the centre.
    cells : int
        How many of the sample's cells it stands for.
    place : dict
        Which cell it shows and where it was cut out.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]
    name: str | None
    cells: int
    place: dict[str, int]


def _pieces(sample: Sample, pixels: Pixels, crop: bool, tally: Tally) -> Iterator[_Piece]:
    """Yield what can be written of a sample; the rest is skipped and named."""
    try:
        labels, nucleus = _masks(sample, pixels)
        if not crop:
            yield _whole(sample, pixels.image, labels, nucleus)
            return
    except FormatError as error:
        tally.skipped.append(Skipped(sample.name, error.problem))
        return
    for n in pixels.numbers:
        try:
            yield _cut_out(sample, n, pixels.image, labels, nucleus)
        except FormatError as error:
            tally.skipped.append(Skipped(f"{sample.name}, cell {n}", error.problem))


def _masks(sample: Sample, pixels: Pixels) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    if pixels.labels is None or not pixels.numbers:
        raise FormatError(sample.name, "no cell is outlined in it")
    if pixels.nucleus is None:
        raise FormatError(
            sample.name, "its nuclei are unknown, and masks of this format tell nucleus from cytoplasm by two greys"
        )
    outside = int((pixels.nucleus & (pixels.labels == 0)).sum())
    if outside:
        raise FormatError(sample.name, f"{outside} px of nucleus lie in no cell")
    return pixels.labels, pixels.nucleus


def _whole(sample: Sample, image: NDArray[np.uint8], labels: NDArray[np.int32], nucleus: NDArray[np.bool_]) -> _Piece:
    classes = sample.classes or {}
    mask = _mask_of(labels, nucleus)
    numbers, cells = counted_cells(labels)
    back = _read_back(mask)
    # Rows are cells as they are, columns as they will be read; nothing may be dropped, split or merged.
    meet = np.bincount((cells * (back.max() + 1) + back).ravel(), minlength=(len(numbers) + 1) * (back.max() + 1))
    partners = meet.reshape(len(numbers) + 1, -1) > 0
    if partners[1:, 0].any() or (partners.sum(axis=1) > 1).any() or (partners.sum(axis=0) > 1).any():
        raise FormatError(sample.name, _UNCONNECTED)
    central = numbers[int(np.flatnonzero(partners[:, 1])[0]) - 1]
    if set(classes) - {central}:
        raise FormatError(
            sample.name,
            f"{len(classes)} cells have a class, and this format has one an image, that of the cell nearest to the "
            "centre; cut out each cell instead (--crop)",
        )
    name = _numbered(sample, classes.get(central))
    if sample.image_class not in (None, name):
        raise FormatError(sample.name, f"the image has the class {sample.image_class}, its central cell {name}")
    return _Piece(image, mask, name, len(numbers), {})


def _cut_out(
    sample: Sample, n: int, image: NDArray[np.uint8], labels: NDArray[np.int32], nucleus: NDArray[np.bool_]
) -> _Piece:
    name = _numbered(sample, (sample.classes or {}).get(n))
    rows, columns = np.nonzero(labels == n)
    side = int(max(np.ptp(rows), np.ptp(columns))) + 1
    for margin in _MARGINS:
        edge = math.ceil(margin * side)
        y0, x0 = max(0, int(rows.min()) - edge), max(0, int(columns.min()) - edge)
        window = np.s_[y0 : int(rows.max()) + 1 + edge, x0 : int(columns.max()) + 1 + edge]
        mask = _mask_of(labels[window], nucleus[window])
        if np.array_equal(_read_back(mask) == 1, labels[window] == n):
            return _Piece(image[window], mask, name, 1, {"label": n, "y0": y0, "x0": x0})
    raise FormatError(sample.name, _UNCONNECTED)


def _numbered(sample: Sample, name: str | None) -> str | None:
    if name is not None and name not in _NUMBERS:
        raise FormatError(sample.name, f"this format has no number for the class {name}")
    return name


def _mask_of(labels: NDArray[np.int32], nucleus: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.where(nucleus, 255, np.where(labels > 0, 128, 0)).astype(np.uint8)


def _read_back(mask: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the cells as the reader will find them."""
    return central_first(cells_of(mask > 0))


def _unsaid_of(sample: Sample) -> Iterator[str]:
    for what, value in (("boxes", sample.boxes), ("points", sample.points), ("splits", sample.split)):
        if value is not None:
            yield what


def _save_classes(file: Path, rows: Iterable[tuple[int, int]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(("image ID", "class label"))
        table.writerows(rows)
