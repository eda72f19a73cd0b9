"""A folder of images, or class folders of them, with nothing else known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sgcldff_core.datasets.admission import admit_image
from sgcldff_core.datasets.layout import Format, files_of, folders_of, images_of, split_named
from sgcldff_core.datasets.rasters import IMAGE_SUFFIXES, read_rgb
from sgcldff_core.sample import Raster, Sample
from sgcldff_core.taxonomy import canonical_name

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import ReadReport

__all__ = ["Plain"]

# What folders of masks are called: never images of cells.
_MASKS = re.compile(r"mask|label|ground.?truth|segmentation|annotation|nuclei", re.IGNORECASE)


class Plain(Format):
    """Images in one folder; several sub-folders of images are taken for classes."""

    name = "plain"
    looks_for = "any images, perhaps in a folder for each class"
    generic = True

    def claims(self, folder: Path) -> bool:
        """Return whether images lie in the folder or in class folders in it."""
        return bool(images_of(folder)) or len(_class_folders(folder)) > 1

    def read_root(self, root: Path, report: ReadReport) -> Iterator[Sample]:
        """Yield the images."""
        split = split_named(root.name)
        for file in files_of(root):
            if file.suffix.lower() not in IMAGE_SUFFIXES:
                report.note(file, "this is no image by its suffix; it was passed over")
        for image in images_of(root):
            if admit_image(image, report) is not None:
                yield _sample(root, image, image.stem, split, None)
        folders = _class_folders(root)
        for folder in folders_of(root):
            if _MASKS.search(folder.name) and images_of(folder):
                report.note(folder, "by its name it holds masks, whose meaning is unknown; it was passed over")
        for folder in folders if len(folders) > 1 else ():
            told = canonical_name(folder.name)
            for image in images_of(folder):
                if admit_image(image, report) is not None:
                    yield _sample(root, image, f"{folder.name}_{image.stem}", split, told)


def _class_folders(folder: Path) -> list[Path]:
    return [
        sub
        for sub in folders_of(folder)
        if not split_named(sub.name) and not _MASKS.search(sub.name) and images_of(sub)
    ]


def _sample(root: Path, image: Path, name: str, split: str | None, told: str | None) -> Sample:
    return Sample(
        name=name,
        image=Raster(read_rgb, image),
        source="plain",
        group=f"{root.name}/{image.relative_to(root).with_suffix('').as_posix()}",
        split=split,
        image_class=told,
    )
