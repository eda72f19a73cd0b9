"""Slides on disk: which files are slides, and how they are opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sgcldff_core.datasets.decoding import naming_the_file
from sgcldff_core.datasets.ome_zarr import open_ome_zarr
from sgcldff_core.datasets.tiff_levels import is_tiled_pyramid, open_tiff_levels
from sgcldff_core.datasets.tiffs import is_tiff, tiff_shape
from sgcldff_core.errors import SgcldffError, UnreadableImageError

if TYPE_CHECKING:
    from sgcldff_core.datasets.pyramids import Pyramid

__all__ = ["LARGEST_FIELD", "is_slide", "open_slide"]

LARGEST_FIELD = 50_000_000
"""Px of a TIFF: no camera takes more at once, so that what is larger is a slide."""


def is_slide(path: Path | str) -> bool:
    """Tell whether a path is a slide, which is read in parts, rather than an image, which is read whole.

    Parameters
    ----------
    path : Path or str
        A file or folder. A folder named ``*.zarr`` is a slide; so is a TIFF that holds several
        sizes of its image, or more than `LARGEST_FIELD` px. What cannot be read is none.
    """
    path = Path(path)
    if path.is_dir():
        return path.suffix.lower() == ".zarr"
    try:
        with naming_the_file(path):
            if not is_tiff(path):
                return False
            height, width = tiff_shape(path)
            return height * width > LARGEST_FIELD or is_tiled_pyramid(path)
    except SgcldffError:
        return False


def open_slide(path: Path | str) -> Pyramid:
    """Open a slide without reading its pixels.

    Parameters
    ----------
    path : Path or str
        An OME-Zarr folder, or an OME-TIFF or other TIFF in tiles.

    Returns
    -------
    Pyramid
        To be closed.

    Raises
    ------
    DataError
        If it is none, is damaged, or is stored in too large pieces.
    ConfigError
        If the extra `slides` is not installed.
    """
    path = Path(path)
    if path.is_dir():
        return open_ome_zarr(path)
    with naming_the_file(path):
        if not is_tiff(path):
            raise UnreadableImageError(path, "this is neither OME-Zarr nor TIFF", "export the slide as one of them")
        return open_tiff_levels(path)
