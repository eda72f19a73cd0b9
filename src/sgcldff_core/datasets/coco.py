"""COCO instance JSON: polygons or run lengths, classes as categories.

What `coco_writer` adds under ``sgcldff`` comes back; without it boxes are those of the
annotations and everything else stays unknown.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.datasets.admission import admit_image
from sgcldff_core.datasets.kinds import NOT_LEUKOCYTES, class_of, kind_named
from sgcldff_core.datasets.layout import Format, files_of, folders_of, folders_within, images_of, split_named
from sgcldff_core.datasets.rasters import read_rgb
from sgcldff_core.datasets.rle import check_segmentation, mask_of
from sgcldff_core.sample import Box, Point, Raster, Sample

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import ReadReport

__all__ = ["Coco"]

Entry = Mapping[str, Any]

# What a damaged part under the key ``sgcldff`` raises when it is taken for what it should be.
_DAMAGE = (ValueError, TypeError, AttributeError, LookupError, OverflowError)
_MOST_LABELS = 2**31 - 1


class Coco(Format):
    """A JSON file with ``images``, ``annotations`` and ``categories``, and the images about it."""

    name = "coco"
    looks_for = "JSON with images, annotations and categories"

    def claims(self, folder: Path) -> bool:
        """Return whether a COCO file lies in the folder."""
        return any(_load(path) is not None for path in files_of(folder, ".json"))

    def roots(self, path: Path | str) -> Iterator[Path]:
        """Yield the JSON files at and under a path.

        Parameters
        ----------
        path : Path or str
            An index itself, or a folder that holds some up to three levels down.
        """
        path = Path(path)
        if path.is_file():
            if path.suffix.lower() == ".json" and _load(path) is not None:
                yield path
            return
        for folder in folders_within(path, self.claims):
            yield from (file for file in files_of(folder, ".json") if _load(file) is not None)

    def read_root(self, root: Path, report: ReadReport) -> Iterator[Sample]:
        """Yield the images of one JSON file."""
        whole = _load(root) or {}
        named = [c for c in whole["categories"] if str(c.get("name", "")).strip()]
        kinds = {_number(c, "id"): kind_named(str(c["name"])) for c in named}
        annotations: dict[object, list[Entry]] = defaultdict(list)
        for annotation in whole["annotations"]:
            if _number(annotation, "category_id") in kinds:
                annotations[_number(annotation, "image_id")].append(annotation)
            else:
                report.note(root, f"annotation {annotation.get('id')} has no known category; it was dropped")
        places = _places(root)
        for entry in whole["images"]:
            told = annotations.pop(_number(entry, "id"), [])
            image = _find(str(entry.get("file_name", "")), root, places)
            if image is None:
                report.refuse(
                    root.parent / str(entry.get("file_name", "?")), f"{root.name} names it, but it is missing"
                )
                continue
            size = admit_image(image, report)
            wanted = entry.get("height"), entry.get("width")
            if size is not None and wanted in (size, (None, None)):
                try:
                    sample = _sample(root, image, size, entry, [(a, kinds[a["category_id"]]) for a in told], report)
                except _DAMAGE as error:
                    report.refuse(image, f"what {root.name} tells of it cannot be read ({error})")
                else:
                    yield sample
            elif size is not None:
                report.refuse(image, f"it has the size {size}, {root.name} gives {wanted}")
        for number in annotations:
            report.note(root, f"annotations of image {number}, which is not listed, were dropped")


def _number(entry: Entry, key: str) -> object:
    """Return an identifier; None where it is none, such as a list."""
    value = entry.get(key)
    return value if isinstance(value, (int, str)) else None


def _load(path: Path) -> Entry | None:
    """Return the content of a COCO file, None for any other."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):  # the last of thousands of brackets in one another
        return None
    lists = ("images", "annotations", "categories")
    if not isinstance(whole, dict) or not all(isinstance(whole.get(key), list) for key in lists):
        return None
    return whole if all(isinstance(item, dict) for key in lists for item in whole[key]) else None


def _places(root: Path) -> dict[str, Path]:
    """Return every image about a JSON file by its name, for files that lie elsewhere than they should."""
    folders = [root.parent, *folders_of(root.parent)]
    if root.parent.name.casefold() == "annotations":
        folders += folders_of(root.parent.parent)
    return {image.name.casefold(): image for folder in reversed(folders) for image in images_of(folder)}


def _find(name: str, root: Path, places: Mapping[str, Path]) -> Path | None:
    parts = PurePosixPath(name.replace("\\", "/"))
    # A file name may not lead out of the data set.
    if not parts.is_absolute() and ".." not in parts.parts:
        direct = (root.parent / parts, root.parent / "images" / parts)
        if found := next((path for path in direct if path.is_file()), None):
            return found
    return places.get(parts.name.casefold())


def _sample(
    root: Path, image: Path, size: tuple[int, int], entry: Entry, told: list[tuple[Entry, str]], report: ReadReport
) -> Sample:
    mine = entry.get("sgcldff") or {}
    cells: list[tuple[int, object, object]] = []
    classes = {int(label): str(name) for label, name in (mine.get("classes") or {}).items()}
    for n, (annotation, kind) in enumerate(told, start=1):
        own = annotation.get("sgcldff") or {}
        if not annotation.get("segmentation") or (kind in NOT_LEUKOCYTES and not own):
            continue
        try:
            if annotation.get("iscrowd") and not own:
                raise ValueError("it stands for a crowd of cells")
            check_segmentation(annotation["segmentation"], size)
            label = int(own.get("label", n))
            if not 0 < label <= _MOST_LABELS:
                raise ValueError(f"its label is {label}")
        except ValueError as error:
            report.note(root, f"annotation {annotation.get('id')} was dropped: {error}")
            continue
        cells.append((label, annotation["segmentation"], annotation.get("nucleus")))
        if named := own.get("class", class_of(kind)):
            classes[label] = named
    outlined = mine.get("labels", bool(cells))
    nuclei = [nucleus for *_, nucleus in cells if nucleus] + ([mine["nucleus"]] if "nucleus" in mine else [])
    for nucleus in nuclei:
        check_segmentation(nucleus, size)
    return Sample(
        name=mine.get("name", image.stem),
        image=Raster(read_rgb, image),
        source=mine.get("source", "coco"),
        group=mine.get("group", f"{root.parent.name}/{image.stem}"),
        split=mine["split"] if "split" in mine else split_named(root.stem),
        labels=Raster(partial(_draw_labels, shape=size, cells=tuple(c[:2] for c in cells))) if outlined else None,
        nucleus=Raster(partial(_draw_nuclei, shape=size, nuclei=tuple(nuclei))) if mine.get("nuclei", nuclei) else None,
        classes=classes or None,
        boxes=_boxes(mine["boxes"]) if "boxes" in mine else _boxes_of(root, size, told, report),
        points=_points(mine.get("points")),
        image_class=mine.get("image_class"),
    )


def _draw_labels(
    path: Path | None, *, shape: tuple[int, int], cells: tuple[tuple[int, object], ...]
) -> NDArray[np.int32]:
    labels = np.zeros(shape, np.int32)
    for label, segmentation in cells:
        labels[mask_of(segmentation, shape)] = label
    return labels


def _draw_nuclei(path: Path | None, *, shape: tuple[int, int], nuclei: tuple[object, ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    for nucleus in nuclei:
        mask |= mask_of(nucleus, shape)
    return mask


def _boxes_of(root: Path, size: tuple[int, int], told: list[tuple[Entry, str]], report: ReadReport) -> tuple[Box, ...]:
    boxes = []
    for annotation, kind in told:
        try:
            x, y, width, height = (float(number) for number in annotation.get("bbox", ()))
        except (TypeError, ValueError):
            continue  # COCO asks for a box, but an outline stands without
        y0, x0, y1, x1 = max(y, 0.0), max(x, 0.0), min(y + height, float(size[0])), min(x + width, float(size[1]))
        if y0 < y1 and x0 < x1:
            boxes.append(Box(y0=y0, x0=x0, y1=y1, x1=x1, kind=kind))
        else:
            report.note(root, f"the box of annotation {annotation.get('id')} has no area in the image; it was dropped")
    return tuple(boxes)


def _boxes(stored: list[list[Any]] | None) -> tuple[Box, ...] | None:
    if stored is None:
        return None
    return tuple(Box(float(y0), float(x0), float(y1), float(x1), str(kind)) for y0, x0, y1, x1, kind in stored)


def _points(stored: list[list[Any]] | None) -> tuple[Point, ...] | None:
    return None if stored is None else tuple(Point(float(y), float(x), str(kind)) for y, x, kind in stored)
