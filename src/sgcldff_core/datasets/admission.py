"""Which files a reader may hand on: those whose header can be read and whose size fits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sgcldff_core.datasets.rasters import check_label_shape, read_image_size
from sgcldff_core.errors import DataError

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import ReadReport

__all__ = ["admit_image", "admit_mask"]


def admit_image(path: Path, report: ReadReport) -> tuple[int, int] | None:
    """Return an image's height and width, or None after reporting why it cannot be used.

    Only the header is read: damage further back shows when the pixels are asked for.

    Parameters
    ----------
    path : Path
        An image file.
    report : ReadReport
        Takes the refusal.
    """
    try:
        return read_image_size(path)
    except DataError as error:
        report.refuse(path, error.problem)
        return None


def admit_mask(path: Path | None, image: Path, report: ReadReport) -> Path | None:
    """Return the mask of an image if it can be used, else None after reporting why not.

    Parameters
    ----------
    path : Path or None
        A mask file; None where an image has none.
    image : Path
        The image, whose height and width the mask has to have.
    report : ReadReport
        Takes the refusal.
    """
    if path is None:
        return None
    try:
        check_label_shape(path, read_image_size(path), image)
    except DataError as error:
        report.refuse(path, error.problem)
        return None
    return path
