"""LISC: fields of 720×576 with one leukocyte or several, and masks whose greys say class and part.

References
----------
Rezatofighi, Soltanian-Zadeh: Automatic recognition of five types of white blood cells in
peripheral blood. Computerized Medical Imaging and Graphics 35 (2011) 333-343.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.datasets.admission import admit_image
from sgcldff_core.datasets.layout import Format, child, folders_of, images_of, natural_key, stem_key
from sgcldff_core.datasets.masks import cells_of
from sgcldff_core.datasets.rasters import read_grey, read_image_size, read_rgb
from sgcldff_core.errors import DataError
from sgcldff_core.sample import Raster, Sample
from sgcldff_core.taxonomy import LEUKOCYTES, canonical_name

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import ReadReport

__all__ = ["Lisc", "LiscCrops"]

# Greys of cytoplasm and nucleus; a basophil is marked as a whole, its granules hide the nucleus.
_GREYS: Mapping[str, tuple[int, int | None]] = {
    "basophil": (50, None),
    "eosinophil": (75, 100),
    "lymphocyte": (125, 150),
    "monocyte": (175, 200),
    "neutrophil": (225, 255),
}

# The masks lack this margin on each side.
_MARGIN_PX = 4

_RARE = 0.01  # share of stray greys within a class
_SPECK_PX = 60  # a lymphocyte, the smallest leukocyte, covers some 4,000 px


class Lisc(Format):
    """``Main Dataset`` and ``Ground Truth Segmentation``, a folder for each class in both."""

    name = "lisc"
    looks_for = "Main Dataset with class folders, beside Ground Truth Segmentation"

    def claims(self, folder: Path) -> bool:
        """Return whether ``Main Dataset`` lies in the folder and has images in folders."""
        images = child(folder, "Main Dataset")
        return bool(images and images.is_dir() and any(images_of(sub) for sub in folders_of(images)))

    def read_root(self, root: Path, report: ReadReport) -> Iterator[Sample]:
        """Yield the images; in ``mixt`` the greys say which cell is of which class."""
        images, truth = child(root, "Main Dataset"), child(root, "Ground Truth Segmentation", "Ground Truth")
        for folder in folders_of(images) if images else ():
            masks = _masks_of(child(truth, folder.name) if truth else None, report)
            for image in images_of(folder):
                if (sample := _read(image, masks.get(stem_key(image)), report)) is not None:
                    yield sample
        more = child(root, "More Dataset without Ground Truth")
        for folder in (more, *folders_of(more)) if more else ():
            for image in images_of(folder):
                if admit_image(image, report) is not None:
                    yield _sample(image)


class LiscCrops(Format):
    """The cropped release: ``Train``, ``Test`` and ``Train.json``, ``Test.json`` with numbers 1 to 5."""

    name = "lisc_crops"
    looks_for = "Train and Train.json, Test and Test.json (file name to 1 to 5)"

    def claims(self, folder: Path) -> bool:
        """Return whether a folder and the table of its classes lie side by side."""
        return any(child(folder, f"{split}.json") and child(folder, split) for split in ("Train", "Test"))

    def read_root(self, root: Path, report: ReadReport) -> Iterator[Sample]:
        """Yield the crops."""
        for split in ("Train", "Test"):
            table, folder = child(root, f"{split}.json"), child(root, split)
            numbers = _numbers(table, report) if table else {}
            for image in images_of(folder) if folder else ():
                if admit_image(image, report) is None:
                    continue
                number = numbers.get(image.name.casefold(), numbers.get(stem_key(image)))
                if number not in range(1, len(LEUKOCYTES) + 1):
                    report.note(image, f"its table gives it the class {number}, known are 1 to 5; it has none")
                    number = None
                yield Sample(
                    name=f"{self.name}_{split.lower()}_{image.stem}",
                    image=Raster(read_rgb, image),
                    source=self.name,
                    group=f"{self.name}/{split.lower()}/{image.stem}",
                    split=split.lower(),
                    image_class=LEUKOCYTES[number - 1].name if number else None,
                )


def _numbers(table: Path, report: ReadReport) -> dict[str, int]:
    try:
        told = json.loads(table.read_text(encoding="utf-8-sig"))
        return {str(name).casefold(): int(number) for name, number in told.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        report.refuse(table, f"it is no table of file names and numbers ({error})")
        return {}


def _masks_of(folder: Path | None, report: ReadReport) -> dict[str, Path]:
    """Return the first expert's mask of each image by the image's stem."""
    if folder is None:
        return {}
    masks: dict[str, Path] = {}
    for path in sorted(images_of(child(folder, "areaforexpert1") or folder), key=natural_key):
        stem = re.sub(r"_expert.*$", "", stem_key(path))
        if stem in masks:
            report.note(path, f"{masks[stem].name} is used instead")
        masks.setdefault(stem, path)
    return masks


def _read(image: Path, mask: Path | None, report: ReadReport) -> Sample | None:
    size = admit_image(image, report)
    if size is None:
        return None
    told = canonical_name(image.parent.name)
    only = told if told in _GREYS else None
    if mask is None:
        report.note(image, "it has no mask; the image is used without")
        return _sample(image, only)
    try:
        height, width = read_image_size(mask)
        margins = {size[0] - height, size[1] - width}
        if margins not in ({0}, {2 * _MARGIN_PX}):
            report.refuse(mask, f"it has the shape {(height, width)}, its image {image} has {size}")
            return _sample(image, only)
        margin = margins.pop() // 2
        _, nuclei, classes = _cells(read_grey(mask), only)
    except DataError as error:
        report.refuse(mask, error.problem)
        return _sample(image, only)
    if not classes:
        report.refuse(mask, "it marks no leukocyte")
        return _sample(image, only)
    labels = Raster(partial(_read_labels, only=only, margin=margin), mask)
    nucleus = Raster(partial(_read_nuclei, only=only, margin=margin), mask) if nuclei is not None else None
    return _sample(image, only, labels, nucleus, classes)


def _sample(
    image: Path,
    only: str | None = None,
    labels: Raster | None = None,
    nucleus: Raster | None = None,
    classes: Mapping[int, str] | None = None,
) -> Sample:
    return Sample(
        name=f"lisc_{image.parent.name.casefold()}_{image.stem}",
        image=Raster(read_rgb, image),
        source="lisc",
        group=f"lisc/{image.parent.name.casefold()}/{image.stem}",
        labels=labels,
        nucleus=nucleus,
        classes=classes or None,
        image_class=only,
    )


def _cells(
    grey: NDArray[np.uint8], only: str | None
) -> tuple[NDArray[np.int32], NDArray[np.bool_] | None, dict[int, str]]:
    """Return labels, nuclei (None where the mask does not tell them of every cell) and the class of each label.

    `only` is the one class of the image; without it the greys tell.
    """
    codes = np.array(sorted(code for parts in _GREYS.values() for code in parts if code))
    nearest = codes[np.abs(np.arange(256)[:, np.newaxis] - codes).argmin(axis=1)]
    snapped = np.where(grey > codes[0] // 2, nearest[grey], 0)
    labels, nuclei = np.zeros(grey.shape, np.int32), np.zeros(grey.shape, bool)
    classes: dict[int, str] = {}
    nuclei_told = True
    for name in (only,) if only else _GREYS:
        of_class = snapped > 0 if only else np.isin(snapped, [code for code in _GREYS[name] if code])
        parts = cells_of(of_class)
        areas = np.bincount(parts.ravel())
        # Within one class the brighter grey is the nucleus; copies with other codes keep to that.
        greys = [code for code in codes if (snapped[of_class] == code).mean() > _RARE] if of_class.any() else []
        for number in range(1, areas.size):
            if areas[number] >= _SPECK_PX:
                classes[len(classes) + 1] = name
                labels[parts == number] = len(classes)
                nuclei_told &= len(greys) > 1
        if len(greys) > 1:
            nuclei |= of_class & (snapped == greys[-1]) & (labels > 0)
    return labels, nuclei if nuclei_told and classes else None, classes


def _read_labels(path: Path, *, only: str | None, margin: int) -> NDArray[np.int32]:
    return np.pad(_cells(read_grey(path), only)[0], margin)


def _read_nuclei(path: Path, *, only: str | None, margin: int) -> NDArray[np.bool_]:
    nuclei = _cells(read_grey(path), only)[1]
    if nuclei is None:
        raise TypeError(f"{path} had nuclei when it was listed")
    return np.pad(nuclei, margin)
