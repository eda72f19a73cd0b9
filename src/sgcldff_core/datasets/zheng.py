"""Zheng's two data sets: ``001.bmp`` beside its mask ``001.png``, one leukocyte each.

References
----------
Zheng, Wang, Wang, Liu: Fast and robust segmentation of white blood cell images by
self-supervised learning. Micron 107 (2018) 55-71.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sgcldff_core.datasets.admission import admit_image, admit_mask
from sgcldff_core.datasets.class_tables import image_key, zheng_classes
from sgcldff_core.datasets.layout import Format, files_of, stem_key
from sgcldff_core.datasets.masks import read_single_cell, read_single_nucleus
from sgcldff_core.datasets.rasters import read_rgb
from sgcldff_core.errors import DataError
from sgcldff_core.sample import Raster, Sample

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import ReadReport

__all__ = ["Zheng"]

# Midway between 0, 128 and 255. The few stray values, 2 to 50, are a fringe of pale pixels just
# outside the cell's outline: background.
_CELL, _NUCLEUS = 64, 191

# How far a grey may be from 0, 128, 255 when the format is told by its masks, and how many may be.
_NEAR, _STRAYS = 10, 0.02

# The first masks may be of cells that are all nucleus.
_LOOKED_AT = 5


class Zheng(Format):
    """Folders of pairs ``001.bmp`` and ``001.png`` with a table of classes in or above them."""

    name = "zheng"
    looks_for = "images (bmp) beside masks of the same name (png, greys 0, 128, 255)"

    def claims(self, folder: Path) -> bool:
        """Return whether images lie beside masks of three greys."""
        return any(_has_three_greys(mask) for _, mask in islice(_pairs(folder), _LOOKED_AT))

    def read_root(self, root: Path, report: ReadReport) -> Iterator[Sample]:
        """Yield the samples of one of the data sets."""
        number = re.search(r"\d+$", root.name)
        source = f"zheng{number[0]}" if number else "zheng"
        table = _table_of(root)
        if table is None:
            report.note(root, "there is no table of classes in or above it; its cells have no class")
        try:
            classes = {} if table is None else zheng_classes(table, report)
        except DataError as error:
            report.refuse(error.path, error.problem)
            classes = {}
        groups: dict[bytes, str] = {}
        masks = {stem_key(p): p for p in files_of(root, ".png")}
        for image in _images(root):
            if admit_image(image, report) is None:
                continue
            mask = masks.get(stem_key(image))
            if mask is None:
                report.note(image, "it has no mask; the image is used without")
            mask = admit_mask(mask, image, report)
            told = classes.get(image_key(image.stem))
            if told is None and table is not None:
                report.note(image, f"{table.name} names no class for it")
            name = f"{source}_{image.stem}"
            yield Sample(
                name=name,
                image=Raster(read_rgb, image),
                source=source,
                # Images 112 and 139 of data set 1 are the same: duplicates stay together.
                group=groups.setdefault(hashlib.sha256(image.read_bytes()).digest(), f"{source}/{image.stem}"),
                labels=Raster(partial(read_single_cell, cell_above=_CELL), mask) if mask else None,
                nucleus=Raster(partial(read_single_nucleus, cell_above=_CELL, nucleus_above=_NUCLEUS), mask)
                if mask
                else None,
                classes={1: told} if told and mask else None,
                image_class=told,
            )


def _has_three_greys(mask: Path) -> bool:
    try:
        rgb = read_rgb(mask)
    except DataError:
        return False
    grey = rgb[..., 0].astype(int)
    far = np.min([abs(grey - level) for level in (0, 128, 255)], axis=0) > _NEAR
    middle = (grey > _CELL) & (grey < _NUCLEUS)
    return bool((rgb == rgb[..., :1]).all() and far.mean() < _STRAYS and middle.any())


def _images(folder: Path) -> list[Path]:
    return files_of(folder, ".bmp", ".jpg", ".jpeg", ".tif", ".tiff")


def _pairs(folder: Path) -> Iterator[tuple[Path, Path]]:
    masks = {stem_key(p): p for p in files_of(folder, ".png")}
    return ((image, masks[stem_key(image)]) for image in _images(folder) if stem_key(image) in masks)


def _table_of(root: Path) -> Path | None:
    """Return the table whose name ends with the folder's, in the folder or beside it, else the folder's only one."""
    inside, beside = files_of(root, ".csv"), files_of(root.parent, ".csv")
    named = [table for table in (*inside, *beside) if stem_key(table).endswith(root.name.casefold())]
    return named[0] if named else inside[0] if len(inside) == 1 else None
