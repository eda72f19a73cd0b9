"""Raabin-WBC: class folders of crops, for 1,145 of them masks of nucleus and cytoplasm.

The archives are unpacked in many ways, so images and masks are told by the words in their path:
``TestA/Basophil/x.jpg``; ``Original/Basophil/x.jpg`` with ``Mask/Basophil/x.png``, or ``Nucleus``
and ``Cytoplasm``; ``Basophil/x.jpg`` with ``Basophil/x_nucleus.png``.

References
----------
Kouzehkanan et al.: A large dataset of white blood cells containing cell locations and types, along
with segmented nuclei and cytoplasm. Scientific Reports 12 (2022) 1123.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes

from sgcldff_core.datasets.admission import admit_image, admit_mask
from sgcldff_core.datasets.layout import Format, folders_of, images_of, split_named
from sgcldff_core.datasets.masks import cells_of, central_first
from sgcldff_core.datasets.rasters import read_grey, read_rgb
from sgcldff_core.errors import DataError
from sgcldff_core.sample import Raster, Sample
from sgcldff_core.taxonomy import LEUKOCYTES, canonical_name

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import ReadReport

__all__ = ["Raabin"]

# Date, time or film, photograph and number of the cell: 20190526_162951_0 (telephone camera),
# 95-5-18-1_38_1 (microscope camera).
_PHOTO = re.compile(r"(\d{8}_\d{6}|\d+-\d+-\d+-\d+_\d+)_\d+")

_NUCLEUS_WORDS, _CYTOPLASM_WORDS = {"nucleus", "nuclei", "nuc"}, {"cytoplasm", "cyto", "cyt"}
_MASK_WORDS = {"mask", "masks", "grth", "gt", "ground", "groundtruth", "truth", "truths", "segmentation", "label"}

_SIZES = {"large lymph": "lymphocyte", "small lymph": "lymphocyte"}

# In shares of the brightest grey: background, cytoplasm about a half, nucleus.
_CELL, _NUCLEUS = 0.25, 0.75

_LOOKED_AT = 5


class Raabin(Format):
    """Class folders of crops in ``Train``, ``TestA``, ``TestB``, perhaps with masks."""

    name = "raabin"
    looks_for = "class folders of crops in TestA and TestB, or named 20190526_162951_0.jpg, or with masks"

    def claims(self, folder: Path) -> bool:
        """Return whether crops of Raabin-WBC lie in the folder or its sub-folders."""
        crops = _crops(folder)
        if not crops:
            return False
        some = [crop["image"] for crop in islice(crops.values(), 100)]
        names = {re.sub(r"\W|_", "", part.casefold()) for path in some for part in (folder.name, *_parts(path, folder))}
        return bool(
            names & {"testa", "testb"}
            or sum(bool(_PHOTO.fullmatch(path.stem)) for path in some) > len(some) / 2
            or any(len(crop) > 1 for crop in crops.values())
        )

    def read_root(self, root: Path, report: ReadReport) -> Iterator[Sample]:
        """Yield the crops; label 1 is the cell that gave the crop its class, neighbours have none."""
        crops = _crops(root)
        three_greys = _have_three_greys([crop["both"] for crop in crops.values() if "both" in crop])
        for (told, _), crop in crops.items():
            image = crop["image"]
            if admit_image(image, report) is None:
                continue
            masks = {part: admit_mask(crop.get(part), image, report) for part in ("both", "nucleus", "cytoplasm")}
            both, nucleus, cytoplasm = masks["both"], masks["nucleus"], masks["cytoplasm"]
            outline = both or cytoplasm
            nuclei = nucleus or (both if three_greys else None)
            photo = _PHOTO.fullmatch(image.stem)
            place = "/".join(_parts(image, root))
            yield Sample(
                name=f"{self.name}_{image.stem}",
                image=Raster(read_rgb, image),
                source=self.name,
                group=f"{self.name}/{photo[1] if photo else image.stem}",
                split=split_named(place.replace("/", " ")) or split_named(root.name),
                labels=Raster(partial(_read_cell, nucleus=nucleus), outline) if outline else None,
                nucleus=Raster(_read_nucleus, nuclei) if nuclei else None,
                classes={1: told} if outline else None,
                image_class=told,
            )


def _parts(path: Path, root: Path) -> tuple[str, ...]:
    """Return the names of the folders between a root and a file."""
    return path.relative_to(root).parts[:-1]


def _crops(root: Path) -> dict[tuple[str, str], dict[str, Path]]:
    """Return the files of each crop by class and name: ``image``, and ``both``, ``nucleus`` or ``cytoplasm``."""
    files: dict[tuple[str, str], dict[str, Path]] = {}
    for first in folders_of(root):
        for folder in (first, *folders_of(first)):
            told = _class_in(_parts(folder / "x", root))
            for path in images_of(folder) if told else ():
                words = re.split(r"[\s_-]+", " ".join((*_parts(path, root), path.stem)).casefold())
                part = _part_told_by(set(words))
                key = path.stem.casefold()
                if part != "image":
                    ends = "|".join(_NUCLEUS_WORDS | _CYTOPLASM_WORDS | _MASK_WORDS)
                    key = re.sub(rf"([\s_-]+({ends}))+$", "", key)
                # The same name in TestA and TestB is not the same cell.
                place = next((part for part in _parts(path, root) if split_named(part)), "")
                files.setdefault((told or "", f"{place}/{key}"), {}).setdefault(part, path)
    return {key: crop for key, crop in files.items() if "image" in crop}


def _part_told_by(words: set[str]) -> str:
    nucleus, cytoplasm = bool(words & _NUCLEUS_WORDS), bool(words & _CYTOPLASM_WORDS)
    if nucleus != cytoplasm:
        return "nucleus" if nucleus else "cytoplasm"
    return "both" if nucleus or words & _MASK_WORDS else "image"


def _class_in(parts: tuple[str, ...]) -> str | None:
    known = {cell.name for cell in LEUKOCYTES}
    names = (_SIZES.get(part.casefold(), canonical_name(part)) for part in reversed(parts))
    return next((name for name in names if name in known), None)


def _have_three_greys(masks: list[Path]) -> bool:
    """Return whether masks tell nucleus from cytoplasm."""
    for mask in masks[:: max(1, len(masks) // _LOOKED_AT)]:
        try:
            grey = read_grey(mask) / 255
        except DataError:
            continue  # reported when its image's turn comes
        middle = (grey > _CELL * grey.max()) & (grey < _NUCLEUS * grey.max())
        if middle.sum() > 0.02 * (grey > 0).sum():
            return True
    return False


def _read_cell(path: Path, *, nucleus: Path | None) -> NDArray[np.int32]:
    mask = _above(path, _CELL)
    if nucleus is not None and nucleus != path:
        mask |= _above(nucleus, _CELL)
    # The cytoplasm alone has a hole where its nucleus is.
    return central_first(cells_of(binary_fill_holes(mask)))


def _read_nucleus(path: Path) -> NDArray[np.bool_]:
    return _above(path, _NUCLEUS)


def _above(path: Path, share: float) -> NDArray[np.bool_]:
    grey = read_grey(path)
    above: NDArray[np.bool_] = grey > share * max(int(grey.max()), 1)
    return above
