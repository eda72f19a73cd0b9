"""Kaggle's ``original`` and ``mask``: images beside masks of the same name, perhaps in ``train`` and ``test``.

The set that is spread there as "BCCD Dataset with mask" is really BBBC041Seg: malaria smears whose
masks mark every blood cell, red cells above all. Such masks are no labels of leukocytes.

References
----------
Depto et al.: Automatic segmentation of blood cells from microscopic slides. Tissue and Cell 73
(2021) 101653.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.datasets.admission import admit_image, admit_mask
from sgcldff_core.datasets.bccd_crops import field_group
from sgcldff_core.datasets.layout import Format, child, images_of, split_named, stem_key
from sgcldff_core.datasets.masks import cells_of
from sgcldff_core.datasets.rasters import read_grey, read_rgb
from sgcldff_core.errors import DataError
from sgcldff_core.sample import Raster, Sample

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import ReadReport

__all__ = ["OriginalMask"]

# A field at this magnification shows one or two leukocytes, but dozens of red cells.
_MOST_LEUKOCYTES, _LOOKED_AT = 5, 9

# As for BCCD's own masks: 0, 155, 255 where nuclei are marked, else 0 and 255.
_CELL, _NUCLEUS = 77, 205


class OriginalMask(Format):
    """``original`` and ``mask`` with files of the same names."""

    name = "original_mask"
    looks_for = "original beside mask"

    def claims(self, folder: Path) -> bool:
        """Return whether images and masks of the same name lie in the two folders."""
        return bool(_pairs(folder))

    def read_root(self, root: Path, report: ReadReport) -> Iterator[Sample]:
        """Yield the images; masks only where they are of leukocytes."""
        pairs = _pairs(root)
        looked_at = list(pairs.values())[:: max(1, len(pairs) // _LOOKED_AT)]
        leukocytes, nuclei = _what_masks_mark(looked_at)
        if not leukocytes:
            report.note(root, "its masks mark all blood cells, not leukocytes; the images are used without them")
        images = child(root, "original", "originals")
        for image in images_of(images) if images else ():
            if admit_image(image, report) is None:
                continue
            if image not in pairs:
                report.note(image, "it has no mask; the image is used without")
            mask = admit_mask(pairs.get(image), image, report) if leukocytes else None
            field = field_group(image.stem)
            yield Sample(
                name=image.stem,
                image=Raster(read_rgb, image),
                source="bccd_with_mask",
                group=field if stem_key(image).startswith("bloodimage") else f"bccd_with_mask/{image.stem}",
                split=split_named(root.name),
                labels=Raster(_read_labels, mask) if mask else None,
                nucleus=Raster(_read_nuclei, mask) if mask and nuclei else None,
            )


def _pairs(folder: Path) -> dict[Path, Path]:
    images, masks = child(folder, "original", "originals"), child(folder, "mask", "masks")
    if not images or not masks or not images.is_dir() or not masks.is_dir():
        return {}
    by_stem = {stem_key(p): p for p in images_of(masks)}
    return {image: by_stem[stem_key(image)] for image in images_of(images) if stem_key(image) in by_stem}


def _what_masks_mark(masks: list[Path]) -> tuple[bool, bool]:
    """Return whether masks mark leukocytes, and whether their nuclei apart."""
    counts, nuclei = [], False
    for mask in masks:
        try:
            grey = read_grey(mask)
        except DataError:
            continue  # reported when its image's turn comes
        counts.append(cells_of(grey > _CELL).max())
        middle = (grey > _CELL) & (grey < _NUCLEUS)
        nuclei = nuclei or middle.sum() > 0.1 * (grey > _CELL).sum()
    return bool(counts) and float(np.median(counts)) <= _MOST_LEUKOCYTES, nuclei


def _read_labels(path: Path) -> NDArray[np.int32]:
    return cells_of(read_grey(path) > _CELL)


def _read_nuclei(path: Path) -> NDArray[np.bool_]:
    grey = read_grey(path)
    return (grey > _NUCLEUS) & (cells_of(grey > _CELL) > 0)
