"""Curated folders: images, instance labels, nuclei and classes, with everything else that is known.

::

    images/<name>.png     8-bit RGB, lossless
    labels/<name>.tif     instance labels, uint16 or uint32, 0 background
    nuclei/<name>.png     0, 255 nucleus
    cells.csv             image,label,class: one row a cell, the class empty where it is unknown
    dataset.json          format, version, title, origin, classes, history, and of each image its
                          files, source, group, split, class, boxes (y0, x0, y1, x1, kind) and
                          points (y, x, kind); null is unknown, an empty list looked at and empty

The same samples and provenance give the same bytes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from sgcldff_core.datasets.drafts import folder_drafted
from sgcldff_core.datasets.history import CURATED_INDEX
from sgcldff_core.datasets.pixels import Pixels, save_png
from sgcldff_core.datasets.writing import Tally, Written, in_order, known_of

if TYPE_CHECKING:
    from sgcldff_core.datasets.history import Provenance
    from sgcldff_core.sample import Sample

__all__ = ["FORMAT", "VERSION", "index_text", "save_labels", "write_curated"]

FORMAT, VERSION = "sgcldff-curated", 1
"""What the index of a curated folder says of itself."""


def write_curated(
    samples: Iterable[Sample], folder: Path | str, *, provenance: Provenance, overwrite: bool = False
) -> Written:
    """Write samples as a curated folder, losing nothing.

    Parameters
    ----------
    samples, folder, provenance, overwrite
        As for every `Writer`. `samples` may be read from the very folder that is replaced.

    Returns
    -------
    Written
        What was written, and what was left out and why.

    Raises
    ------
    DataError
        If `folder` may not be written, or not a single sample could be.
    ConfigError
        If a name is no file name, or appears twice.
    """
    folder = Path(folder)
    tally = Tally()
    images: dict[str, dict[str, Any]] = {}
    rows: list[tuple[str, int, str]] = []
    with folder_drafted(folder, mark=CURATED_INDEX, overwrite=overwrite) as draft:
        for sub in ("images", "labels", "nuclei"):
            (draft / sub).mkdir()
        for sample, pixels in tally.readable(samples):
            images[sample.name] = {**_save(sample.name, pixels, draft), **known_of(sample, pixels)}
            classes = sample.classes or {}
            rows += [(sample.name, n, classes.get(n, "")) for n in sorted({*pixels.numbers, *classes})]
            tally.images += 1
            tally.cells += len(pixels.numbers)
        for sub in ("labels", "nuclei"):
            if not any((draft / sub).iterdir()):
                (draft / sub).rmdir()
        _save_cells(draft / "cells.csv", rows)
        names = in_order([c for *_, c in rows if c] + [i["image_class"] for i in images.values() if i["image_class"]])
        (draft / CURATED_INDEX).write_text(index_text(provenance, names, images), encoding="utf-8")
        written = tally.written(folder)
    return written


def _save(name: str, pixels: Pixels, folder: Path) -> dict[str, Any]:
    """Save the pixels; return the paths relative to the folder."""
    files: dict[str, Any] = {"file": f"images/{name}.png", "labels": None, "nuclei": None}
    save_png(folder / files["file"], pixels.image)
    if pixels.labels is not None:
        files["labels"] = f"labels/{name}.tif"
        save_labels(folder / files["labels"], pixels.labels)
    if pixels.nucleus is not None:
        files["nuclei"] = f"nuclei/{name}.png"
        save_png(folder / files["nuclei"], pixels.nucleus.astype(np.uint8) * 255)
    return files


def save_labels(file: Path, labels: NDArray[np.int32]) -> None:
    """Save instance labels as TIFF, in 16 bits where they suffice.

    Parameters
    ----------
    file : Path
        Where they go.
    labels : ndarray of int32, shape (H, W)
        0 background.
    """
    kind = np.uint16 if labels.max(initial=0) <= np.iinfo(np.uint16).max else np.uint32
    tifffile.imwrite(file, labels.astype(kind), compression="zlib", metadata=None, software="sgcldff")


def _save_cells(file: Path, rows: Iterable[tuple[str, int, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(("image", "label", "class"))
        table.writerows(rows)


def index_text(provenance: Provenance, classes: tuple[str, ...], images: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the text of the index, one line an image so that changes show line by line.

    Parameters
    ----------
    provenance : Provenance
        Title, origin and history of the data set.
    classes : tuple of str
        Those that occur.
    images : mapping of str to mapping of str to object
        What is known of each image, by name.
    """
    head: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "title": provenance.title,
        "origin": provenance.origin,
        "classes": classes,
        "history": provenance.steps,
    }
    lines = [f" {_line(key)}: {_line(value)}" for key, value in head.items()]
    of_images = ",\n".join(f"  {_line(name)}: {_line(known)}" for name, known in images.items())
    return "{\n" + ",\n".join([*lines, f' "images": {{\n{of_images}\n }}']) + "\n}\n"


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
