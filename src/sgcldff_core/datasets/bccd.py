"""BCCD: fields of 640×480 with boxes (Pascal VOC), and the masks and classes that others gave them.

References
----------
Boxes: github.com/Shenggan/BCCD_Dataset. Masks: Banik et al., Expert Systems with Applications
149 (2020) 113211. Classes of cells: Tsutsui et al., ICASSP 2023.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scipy.ndimage import find_objects

from sgcldff_core.datasets.admission import admit_image, admit_mask
from sgcldff_core.datasets.bccd_cells import read_field_cells, read_field_labels, read_field_nucleus
from sgcldff_core.datasets.bccd_crops import crop_classes, field_group
from sgcldff_core.datasets.class_tables import bccd_classes, image_key
from sgcldff_core.datasets.kinds import NOT_LEUKOCYTES, leukocyte_boxes
from sgcldff_core.datasets.layout import Format, child, files_of, images_of, stem_key
from sgcldff_core.datasets.rasters import read_rgb
from sgcldff_core.datasets.voc import read_voc_boxes
from sgcldff_core.errors import DataError
from sgcldff_core.sample import Box, Raster, Sample

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import ReadReport

__all__ = ["Bccd"]

_SPLITS = ("train", "val", "test")


class Bccd(Format):
    """``JPEGImages`` with ``Annotations``; ``masks``, ``labels.csv``, crops in or beside that folder."""

    name = "bccd"
    looks_for = "JPEGImages with Annotations (Pascal VOC) or labels.csv"

    def claims(self, folder: Path) -> bool:
        """Return whether a folder of images lies beside one of annotations or a table."""
        images = child(folder, "JPEGImages")
        beside = child(folder, "Annotations") or _table_of(folder)
        return bool(images and images.is_dir() and beside and images_of(images))

    def read_root(self, root: Path, report: ReadReport) -> Iterator[Sample]:
        """Yield the fields."""
        beside = _Beside.find(root, report)
        images = child(root, "JPEGImages")
        unclaimed = {**beside.annotations, **{f"mask {key}": path for key, path in beside.masks.items()}}
        for image in images_of(images) if images else ():
            unclaimed.pop(stem_key(image), None)
            unclaimed.pop(f"mask {stem_key(image)}", None)
            sample = _read_field(image, beside, report)
            if sample is not None:
                yield sample
        for path in unclaimed.values():
            report.refuse(path, "its image is missing")


@dataclass(frozen=True, slots=True)
class _Beside:
    """What lies about the images, by stem of the image in lower case."""

    annotations: Mapping[str, Path] = field(default_factory=dict)
    masks: Mapping[str, Path] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    crops: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    table: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def find(cls, root: Path, report: ReadReport) -> _Beside:
        annotations, sets = child(root, "Annotations"), child(root, "ImageSets")
        masks = child(root, "masks", "mask") or child(root.parent, "masks", "mask")
        table = _table_of(root)
        classes: Mapping[str, tuple[str, ...]] = {}
        try:
            classes = bccd_classes(table, report) if table else {}
        except DataError as error:
            report.refuse(error.path, error.problem)
        return cls(
            {stem_key(p): p for p in files_of(annotations, ".xml")} if annotations else {},
            {re.sub(r"[_\s-]*mask", "", stem_key(p)): p for p in images_of(masks)} if masks else {},
            _read_splits(sets) if sets else {},
            crop_classes(root) or crop_classes(root.parent),
            classes,
        )

    def classes_of(self, image: Path) -> tuple[str, ...]:
        """Return the class of each leukocyte of a field that anybody named; crops name surer than the table."""
        digits = re.search(r"\d+$", image.stem)
        named = self.table.get(image_key(digits[0]), ()) if digits else ()
        return self.crops.get(stem_key(image), named)


def _table_of(root: Path) -> Path | None:
    return child(root, "labels.csv") or child(root.parent, "labels.csv")


def _read_splits(sets: Path) -> dict[str, str]:
    lists = child(sets, "Main") or sets
    splits: dict[str, str] = {}
    for path in files_of(lists, ".txt"):
        if stem_key(path) in _SPLITS:
            names = (line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
            splits.update({name[0].casefold(): stem_key(path) for name in names if name})
    return splits


def _read_field(image: Path, beside: _Beside, report: ReadReport) -> Sample | None:
    size = admit_image(image, report)
    if size is None:
        return None
    drawn = _read_boxes(image, beside.annotations.get(stem_key(image)), size, report)
    leukocytes = leukocyte_boxes(drawn)
    mask = admit_mask(beside.masks.get(stem_key(image)), image, report)
    outlines = _read_outlines(mask, leukocytes, report) if mask else {}
    names = beside.classes_of(image)
    same = names[0] if len(set(names)) == 1 else None
    # Who is who among cells of different classes is told nowhere.
    told = outlines if outlines else range(1, len(leukocytes) + 1)
    classes = dict.fromkeys(told, same) if same and len(names) == len(told) else {}
    return Sample(
        name=image.stem,
        image=Raster(read_rgb, image),
        source="bccd",
        group=field_group(image.stem),
        split=beside.splits.get(stem_key(image)),
        labels=Raster(partial(read_field_labels, boxes=leukocytes), mask) if outlines else None,
        nucleus=Raster(partial(read_field_nucleus, boxes=leukocytes), mask) if outlines else None,
        classes=classes if classes and outlines else None,
        boxes=None if drawn is None else _all_boxes(image, drawn, outlines, classes, report),
        image_class=same,
    )


def _read_boxes(
    image: Path, annotation: Path | None, size: tuple[int, int], report: ReadReport
) -> tuple[Box, ...] | None:
    if annotation is None:
        report.note(image, "it has no annotation; the image is used without boxes")
        return None
    try:
        return read_voc_boxes(annotation, size, report)
    except DataError as error:
        report.refuse(annotation, error.problem)
        return None


def _read_outlines(mask: Path, leukocytes: tuple[Box, ...], report: ReadReport) -> dict[int, Box]:
    """Return the tight box of each leukocyte in a mask, or nothing after reporting why the mask is no use."""
    try:
        cells = read_field_cells(mask, boxes=leukocytes)
    except DataError as error:
        report.refuse(mask, error.problem)
        return {}
    if cells.misfits:
        report.refuse(mask, "it fills too little of the leukocyte's box to be the mask of this field")
        return {}
    if cells.cut:
        report.note(mask, "it runs on into another cell; it was cut at the leukocyte's box")
    outlines = {
        label: Box(y0=at[0].start, x0=at[1].start, y1=at[0].stop, x1=at[1].stop)
        for label, at in enumerate(find_objects(cells.labels), start=1)
        if at is not None
    }
    if not outlines:
        # Every field of BCCD was taken for its leukocyte.
        report.refuse(mask, "it marks no leukocyte")
    return outlines


def _all_boxes(
    image: Path, drawn: tuple[Box, ...], outlines: Mapping[int, Box], classes: Mapping[int, str], report: ReadReport
) -> tuple[Box, ...] | None:
    """Return the drawn boxes, named where the class is known, and those that the mask shows to be missing."""
    boxes, number = [], 0
    for box in drawn:
        if box.kind not in NOT_LEUKOCYTES:
            number += 1
            box = replace(box, kind=classes.get(number, box.kind))
        boxes.append(box)
    for label, outline in outlines.items():
        if label > number:
            report.note(image, f"leukocyte {label} of its mask had no box; the box was taken from the mask")
            boxes.append(replace(outline, kind=classes.get(label, outline.kind)))
    if not number and not outlines:
        # Every field of BCCD was taken for its leukocyte: no box means that it was forgotten.
        report.note(image, "no leukocyte is annotated; its boxes are taken as incomplete and left out")
        return None
    return tuple(boxes)
