"""Curated folders: ``images``, ``labels``, ``nuclei``, ``cells.csv`` and ``dataset.json``, as `curated_writer` says.

A folder that a person laid out, ``images`` and ``labels`` with the same names, is read too: what
only the index could tell is unknown then.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy import bool_
from numpy.typing import NDArray

from sgcldff_core.datasets.admission import admit_image, admit_mask
from sgcldff_core.datasets.class_tables import read_table
from sgcldff_core.datasets.layout import Format, child, images_of, stem_key
from sgcldff_core.datasets.rasters import read_labels, read_rgb
from sgcldff_core.errors import FormatError
from sgcldff_core.sample import Box, Point, Raster, Sample
from sgcldff_core.taxonomy import canonical_name

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import ReadReport

__all__ = ["Curated", "place_in", "read_index"]

_INDEX, _FORMAT, _VERSION = "dataset.json", "sgcldff-curated", 1

Entry = Mapping[str, Any]

# What a damaged entry of the index raises when it is taken for what it should be.
_DAMAGE = (ValueError, TypeError, AttributeError, LookupError, OverflowError)


class Curated(Format):
    """``images`` and ``labels`` of the same names, ``cells.csv``, ``dataset.json``."""

    name = "curated"
    looks_for = "images with labels (instance TIFF) or dataset.json"

    def claims(self, folder: Path) -> bool:
        """Return whether images lie beside labels or an index."""
        images, labels = child(folder, "images"), child(folder, "labels")
        if not images or not images.is_dir() or not images_of(images):
            return False
        return (folder / _INDEX).is_file() or bool(labels and labels.is_dir() and images_of(labels))

    def read_root(self, root: Path, report: ReadReport) -> Iterator[Sample]:
        """Yield the images.

        Raises
        ------
        FormatError
            If the index is damaged or of a later version: without it classes would be lost.
        """
        entries = read_index(root / _INDEX)["images"] if (root / _INDEX).is_file() else _from_folders(root)
        classes = _read_cells(root / "cells.csv", report)
        for name, entry in entries.items():
            try:
                image = _inside(root, entry.get("file"))
                if image is None:
                    report.refuse(root / str(entry.get("file", name)), f"{_INDEX} names it, but it is missing")
                    continue
                if admit_image(image, report) is None:
                    continue
                sample = _sample(root, name, image, entry, classes.get(name), report)
            except _DAMAGE as error:
                report.refuse(root / name, f"what {_INDEX} tells of it cannot be read ({error})")
            else:
                yield sample


def read_index(path: Path) -> dict[str, Any]:
    """Read the index of a curated folder.

    Parameters
    ----------
    path : Path
        ``dataset.json``.

    Returns
    -------
    dict
        As `sgcldff_core.datasets.curated_writer` says.

    Raises
    ------
    FormatError
        If it is damaged or of a later version.
    """
    try:
        index: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kind, version, images = index["format"], index["version"], index["images"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FormatError(path, f"the index cannot be read ({error!r})", "restore it from a copy") from error
    if kind != _FORMAT or version != _VERSION or not isinstance(images, dict):
        raise FormatError(
            path,
            f"it is of the format {kind!r}, version {version!r}, not {_FORMAT!r}, version {_VERSION}",
            "update this program, or write the data set anew",
        )
    return index


def place_in(root: Path, name: object) -> Path | None:
    """Return where a file lies that the index names; None for what is no path to within the folder.

    Parameters
    ----------
    root : Path
        The curated folder.
    name : object
        What the index says, which may be anything: it may come from a stranger.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        return None
    path = root / name.replace("\\", "/")
    return path if path.resolve().is_relative_to(root.resolve()) else None


def _from_folders(root: Path) -> Mapping[str, Entry]:
    """Return what the names of the files tell, in the form of the index."""
    images = child(root, "images")
    beside = {part: child(root, part) for part in ("labels", "nuclei")}
    files = {part: {stem_key(p): p for p in images_of(folder)} if folder else {} for part, folder in beside.items()}
    return {
        image.stem: {
            "file": str(image.relative_to(root)),
            **{part: str(at[stem_key(image)].relative_to(root)) for part, at in files.items() if stem_key(image) in at},
        }
        for image in (images_of(images) if images else ())
    }


def _read_cells(path: Path, report: ReadReport) -> dict[str, dict[int, str]]:
    """Return the classes of cells by image and label; a cell without a class is not among them."""
    classes: dict[str, dict[int, str]] = defaultdict(dict)
    if not path.is_file():
        return classes
    rows = read_table(path)
    header = [cell.casefold() for cell in rows[0]] if rows else []
    missing = [column for column in ("image", "label", "class") if column not in header]
    if missing:
        raise FormatError(path, f"it has no column {', '.join(missing)}", "name the columns image, label, class")
    image, label, told = (header.index(column) for column in ("image", "label", "class"))
    for n, row in enumerate(rows[1:], start=2):
        if not any(row):
            continue
        if len(row) <= max(image, label, told) or not row[label].isdecimal() or int(row[label]) == 0:
            report.note(path, f"row {n} is no image, label and class; it was dropped")
        elif row[told]:
            classes[row[image]][int(row[label])] = canonical_name(row[told])
    return classes


def _sample(
    root: Path, name: str, image: Path, entry: Entry, classes: dict[int, str] | None, report: ReadReport
) -> Sample:
    masks: dict[str, Path | None] = {}
    for part in ("labels", "nuclei"):
        mask = _inside(root, entry.get(part))
        if entry.get(part) and mask is None:
            report.refuse(root / entry[part], f"{_INDEX} names it, but it is missing")
        masks[part] = admit_mask(mask, image, report)
    boxes, points = entry.get("boxes"), entry.get("points")
    return Sample(
        name=name,
        image=Raster(read_rgb, image),
        source=entry.get("source", "curated"),
        group=entry.get("group", f"{root.name}/{name}"),
        split=entry.get("split"),
        labels=Raster(read_labels, masks["labels"]) if masks["labels"] else None,
        nucleus=Raster(_read_nuclei, masks["nuclei"]) if masks["nuclei"] else None,
        classes=classes or None,
        boxes=None if boxes is None else tuple(_box(*box) for box in boxes),
        points=None if points is None else tuple(_point(*point) for point in points),
        image_class=entry.get("image_class"),
    )


def _box(y0: Any, x0: Any, y1: Any, x1: Any, kind: Any) -> Box:
    return Box(float(y0), float(x0), float(y1), float(x1), str(kind))


def _point(y: Any, x: Any, kind: Any) -> Point:
    return Point(float(y), float(x), str(kind))


def _read_nuclei(path: Path) -> NDArray[bool_]:
    return read_labels(path) > 0


def _inside(root: Path, name: object) -> Path | None:
    path = place_in(root, name)
    return path if path is not None and path.is_file() else None
