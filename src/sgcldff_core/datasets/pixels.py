"""The pixels of a sample, all read and fitting each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sgcldff_core.errors import FormatError

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

__all__ = ["Pixels", "counted_cells", "pixels_of", "save_png"]


@dataclass(frozen=True, slots=True, eq=False)
class Pixels:
    """The pixels of a sample, all of one size.

    Attributes
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        RGB.
    labels : ndarray of int32, shape (H, W), or None
        Instance labels, 0 background.
    nucleus : ndarray of bool, shape (H, W), or None
        Nuclei.
    """

    image: NDArray[np.uint8]
    labels: NDArray[np.int32] | None
    nucleus: NDArray[np.bool_] | None

    @property
    def numbers(self) -> tuple[int, ...]:
        """The instance labels that occur, ascending."""
        return () if self.labels is None else tuple(counted_cells(self.labels)[0])


def counted_cells(labels: NDArray[np.int32]) -> tuple[list[int], NDArray[np.int32]]:
    """Return the numbers of the cells, and the labels with these numbers replaced by 1, 2, 3, ...

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
        Instance labels, 0 background, with any gaps.

    Returns
    -------
    numbers : list of int
        The labels that occur, ascending.
    compact : ndarray of int32, shape (H, W)
        ``numbers[k - 1]`` is k here.
    """
    if labels.max(initial=0) > labels.size:  # too large for a table
        numbers = [int(n) for n in np.unique(labels) if n]
        return numbers, np.where(labels > 0, np.searchsorted(numbers, labels) + 1, 0).astype(np.int32)
    occurs = np.bincount(labels.ravel()) > 0
    occurs[:1] = False
    places = np.cumsum(occurs, dtype=np.int32) * occurs
    return [int(n) for n in np.flatnonzero(occurs)], places[labels].astype(np.int32)


def pixels_of(sample: Sample) -> Pixels:
    """Read all pixels of a sample and check that they fit each other.

    Parameters
    ----------
    sample : Sample
        The sample.

    Returns
    -------
    Pixels
        Image, labels and nuclei of one height and width; None where the sample has none.

    Raises
    ------
    DataError
        If one of its files cannot be read, or their sizes differ.
    """
    image, labels, nucleus = sample.read_image(), sample.read_labels(), sample.read_nucleus()
    for what, raster, mask in (("labels", sample.labels, labels), ("nuclei", sample.nucleus, nucleus)):
        if raster is not None and mask is not None and mask.shape != image.shape[:2]:
            raise FormatError(
                raster.path or sample.name,
                f"the {what} have shape {mask.shape}, the image has {image.shape[:2]}",
                "give those of this very image",
            )
    if labels is not None and labels.min(initial=0) < 0:
        raise FormatError(sample.name, "there are negative labels", "number the cells from 1")
    return Pixels(image, labels, nucleus)


def save_png(file: Path, pixels: NDArray[np.uint8]) -> None:
    """Save pixels without loss.

    Parameters
    ----------
    file : Path
        Where they go.
    pixels : ndarray of uint8, shape (H, W) or (H, W, 3)
        Grey or RGB.
    """
    # A third of the time of the default, 6, for 1 % more bytes (smears of three laboratories).
    Image.fromarray(pixels).save(file, compress_level=4)
