"""ALL-IDB: smears of patients with acute lymphoblastic leukaemia and of healthy people.

References
----------
Labati, Piuri, Scotti: ALL-IDB: the acute lymphoblastic leukemia image database for image
processing. ICIP 2011, 2045-2048.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sgcldff_core.datasets.admission import admit_image, admit_mask
from sgcldff_core.datasets.layout import Format, child, files_of, images_of, stem_key
from sgcldff_core.datasets.masks import read_single_cell, read_single_nucleus
from sgcldff_core.datasets.rasters import read_rgb
from sgcldff_core.sample import Point, Raster, Sample
from sgcldff_core.taxonomy import BLAST, HEALTHY

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import ReadReport

__all__ = ["AllIdb1", "AllIdb2", "read_centres"]

# Im001_1: number, and whether the patient (set 1) or the cell (set 2) is leukaemic.
_NAME = re.compile(r"im\d+_[01]", re.IGNORECASE)

# Midway between 0, 155 for cytoplasm and 255 for nucleus.
_CELL, _NUCLEUS = 77, 205


class AllIdb1(Format):
    """Whole fields in ``im``, the centre of each blast in ``xyc``."""

    name = "all_idb1"
    looks_for = "im/Im001_1.jpg with xyc/Im001_1.xyc"

    def claims(self, folder: Path) -> bool:
        """Return whether fields and centres lie in two folders."""
        images, centres = child(folder, "im", "images"), child(folder, "xyc")
        return bool(images and centres and _named(images) and files_of(centres, ".xyc"))

    def read_root(self, root: Path, report: ReadReport) -> Iterator[Sample]:
        """Yield the fields with their points."""
        images, centres = child(root, "im", "images"), child(root, "xyc")
        tables = {stem_key(p): p for p in files_of(centres, ".xyc")} if centres else {}
        for image in _named(images) if images else ():
            size = admit_image(image, report)
            if size is None:
                continue
            leukaemic = image.stem.endswith("1")
            table = tables.get(stem_key(image))
            if table is None:
                report.note(image, "it has no .xyc file; whether it holds blasts is unknown")
            yield Sample(
                name=f"{self.name}_{image.stem}",
                image=Raster(read_rgb, image),
                source=self.name,
                group=f"{self.name}/{image.stem}",
                points=read_centres(table, size, report) if table else None,
                image_class=BLAST.name if leukaemic else HEALTHY.name,
            )


class AllIdb2(Format):
    """Crops of single cells in ``img``, their masks in ``masks`` where somebody drew them."""

    name = "all_idb2"
    looks_for = "img/Im001_1.tif"

    def claims(self, folder: Path) -> bool:
        """Return whether crops lie in ``img`` without a folder of centres."""
        images = child(folder, "img")
        return bool(images and images.is_dir() and _named(images) and not child(folder, "xyc"))

    def read_root(self, root: Path, report: ReadReport) -> Iterator[Sample]:
        """Yield the crops; label 1 is the cell that gave the crop its class, neighbours have none."""
        images, folder = child(root, "img"), child(root, "masks", "mask")
        masks = {stem_key(p): p for p in images_of(folder)} if folder else {}
        for image in _named(images) if images else ():
            if admit_image(image, report) is None:
                continue
            mask = admit_mask(masks.get(stem_key(image)), image, report)
            told = BLAST.name if image.stem.endswith("1") else HEALTHY.name
            yield Sample(
                name=f"{self.name}_{image.stem}",
                image=Raster(read_rgb, image),
                source=self.name,
                group=f"{self.name}/{image.stem}",
                labels=Raster(partial(read_single_cell, cell_above=_CELL), mask) if mask else None,
                nucleus=Raster(partial(read_single_nucleus, cell_above=_CELL, nucleus_above=_NUCLEUS), mask)
                if mask
                else None,
                classes={1: told} if mask else None,
                image_class=told,
            )


def _named(folder: Path) -> list[Path]:
    return [p for p in images_of(folder) if _NAME.fullmatch(p.stem)]


def read_centres(table: Path, size: tuple[int, int], report: ReadReport) -> tuple[Point, ...]:
    """Read the centres of blasts: a line each, column then row, parted by tab or spaces.

    Parameters
    ----------
    table : Path
        The ``.xyc`` file.
    size : tuple of int
        Height and width of the image.
    report : ReadReport
        Receives each line that was dropped.

    Returns
    -------
    tuple of Point
        In the order of the file; empty for a healthy field.
    """
    points = []
    for n, line in enumerate(table.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1):
        if not line.strip():
            continue  # the file of a healthy field holds one bare newline
        try:
            x, y = (float(number) for number in re.split(r"[\s,;]+", line.strip()))
        except ValueError:
            report.note(table, f"line {n} is no pair of numbers: {line.strip()[:40]!r}; it was dropped")
            continue
        if not (0 <= y <= size[0] and 0 <= x <= size[1]):
            report.note(table, f"line {n} lies outside the image: x {x:g}, y {y:g}; it was dropped")
            continue
        points.append(Point(y=y, x=x, kind=BLAST.name))
    return tuple(points)
