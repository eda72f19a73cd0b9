"""Crops of single leukocytes from BCCD's fields, in class folders, and Kaggle's augmented copies of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sgcldff_core.datasets.admission import admit_image
from sgcldff_core.datasets.layout import Format, folders_of, images_of
from sgcldff_core.datasets.rasters import read_rgb
from sgcldff_core.sample import Raster, Sample
from sgcldff_core.taxonomy import LEUKOCYTES, canonical_name

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import ReadReport

__all__ = ["BccdAugmented", "BccdCrops", "crop_classes", "field_group"]

# BloodImage_00008_1: number of the field, number of the cell in it.
_CROP = re.compile(r"(bloodimage_\d+)_\d+", re.IGNORECASE)

# _0_1169: number of the photograph among those of its class, and a random number, as Keras saves copies.
_COPY = re.compile(r"_(\d+)_\d+")


def field_group(stem: str) -> str:
    """Return the group of a field, its masks and its crops: ``bccd/00008``.

    Parameters
    ----------
    stem : str
        File name without suffix, as ``BloodImage_00008`` or, of a crop, ``_0_8``; either case.
    """
    crop = _CROP.fullmatch(stem)
    return "bccd/" + re.sub(r"^bloodimage_", "", (crop[1] if crop else stem).casefold())


class BccdCrops(Format):
    """Class folders of ``BloodImage_<field>_<cell>.jpg``."""

    name = "bccd_crops"
    looks_for = "class folders of BloodImage_<field>_<cell>.jpg"

    def claims(self, folder: Path) -> bool:
        """Return whether the folder holds class folders of crops."""
        return next(_in_classes(folder, _CROP), None) is not None

    def read_root(self, root: Path, report: ReadReport) -> Iterator[Sample]:
        """Yield the crops, in the groups of their fields."""
        for image, told, _ in _in_classes(root, _CROP):
            if admit_image(image, report) is not None:
                yield Sample(
                    name=image.stem,
                    image=Raster(read_rgb, image),
                    source=self.name,
                    group=field_group(image.stem),
                    image_class=told,
                )


class BccdAugmented(Format):
    """Kaggle's 12,500 turned and shifted copies of the fields, ``TRAIN/EOSINOPHIL/_0_1169.jpeg``."""

    name = "bccd_augmented"
    looks_for = "class folders of _<photograph>_<copy>.jpeg"

    def claims(self, folder: Path) -> bool:
        """Return whether the folder holds class folders of copies."""
        return next(_in_classes(folder, _COPY), None) is not None

    def read_root(self, root: Path, report: ReadReport) -> Iterator[Sample]:
        """Yield the copies; those of one class and photograph are one group, in whichever split they lie."""
        report.note(
            root, "these are copies of BCCD's fields, which are not named: never test on one, trained on the other"
        )
        split = next((s for s in ("train", "test", "val") if root.name.casefold().startswith(s)), None)
        for image, told, found in _in_classes(root, _COPY):
            if admit_image(image, report) is not None:
                yield Sample(
                    name=f"{root.name}_{told}{image.stem}",
                    image=Raster(read_rgb, image),
                    source=self.name,
                    group=f"{self.name}/{told}/{found[1]}",
                    split=split,
                    image_class=told,
                )


def crop_classes(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the classes of a field's cropped cells by the field's stem in lower case.

    Parameters
    ----------
    folder : Path
        A folder in which, or in a sub-folder of which, class folders of crops may lie.

    Returns
    -------
    dict of str to tuple of str
        Empty where there are no crops.
    """
    classes: dict[str, tuple[str, ...]] = {}
    for home in (folder, *folders_of(folder)):
        for _, told, found in _in_classes(home, _CROP):
            field = found[1].casefold()
            classes[field] = (*classes.get(field, ()), told)
    return classes


def _in_classes(folder: Path, pattern: re.Pattern[str]) -> Iterator[tuple[Path, str, re.Match[str]]]:
    """Yield the images of class folders that are named by a pattern, with class and match."""
    known = {cell.name for cell in LEUKOCYTES}
    for sub in folders_of(folder):
        told = canonical_name(sub.name)
        if told in known:
            for image in images_of(sub):
                if found := pattern.fullmatch(image.stem):
                    yield image, told, found
