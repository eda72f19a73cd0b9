"""`Sample`: one image with everything that is known of it, and nothing that is guessed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "Point", "Raster", "Sample"]


@dataclass(frozen=True, slots=True)
class Box:
    """An axis-aligned box in pixels, half open: rows y0..y1-1, columns x0..x1-1.

    Attributes
    ----------
    y0, x0, y1, x1 : float
        Corners in pixels of the image, origin at the outer corner of its top-left pixel.
    kind : str
        What is in it: a canonical cell class, or ``"leukocyte"`` where the class is unknown,
        ``"erythrocyte"``, ``"platelet"``.
    """

    y0: float
    x0: float
    y1: float
    x1: float
    kind: str = "leukocyte"

    def window(self, shape: tuple[int, ...], margin: float = 0.0) -> tuple[slice, slice]:
        """Return the pixels that the box touches, as rows and columns of an image.

        Parameters
        ----------
        shape : tuple of int
            Of the image; what lies outside is cut off, so that nothing may be left.
        margin : float
            Px by which the box is widened on each side.
        """
        rows, columns = (
            np.clip([np.floor(low - margin), np.ceil(high + margin)], 0, side).astype(int).tolist()
            for low, high, side in ((self.y0, self.y1, shape[0]), (self.x0, self.x1, shape[1]))
        )
        return slice(rows[0], max(rows)), slice(columns[0], max(columns))


@dataclass(frozen=True, slots=True)
class Point:
    """A point in a cell, in pixels (row, column), with what the cell is."""

    y: float
    x: float
    kind: str = "leukocyte"


@dataclass(frozen=True, slots=True)
class Raster:
    """Pixels that are read when they are asked for.

    Attributes
    ----------
    decode : callable
        Called with `path` it returns the array. A module-level function or a
        `functools.partial` of one, so that a raster can be sent to another process.
    path : Path or None
        The file behind it; None for pixels that are in memory.
    """

    decode: Callable[[Any], NDArray[Any]]
    path: Path | None = None

    @classmethod
    def of(cls, array: NDArray[Any]) -> Raster:
        """Wrap pixels that are already in memory.

        Parameters
        ----------
        array : ndarray
            Is not copied.
        """
        return cls(_Held(array))

    def read(self) -> NDArray[Any]:
        """Return the pixels, read anew at each call."""
        return self.decode(self.path)


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    array: NDArray[Any]

    def __call__(self, path: Path | None) -> NDArray[Any]:
        return self.array


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One image and its annotation; what is unknown is None, never a guess.

    Attributes
    ----------
    name : str
        Unique within its data set, and usable as a file stem.
    image : Raster
        (H, W, 3) uint8 RGB.
    source : str
        The data set it comes from, such as ``"zheng1"`` or ``"bccd"``.
    group : str
        Everything with the same group shows the same cells and stays on one side of a split:
        a field, its crops, a duplicate.
    split : str or None
        ``"train"``, ``"val"`` or ``"test"`` as published with the data set.
    labels : Raster or None
        (H, W) int32 instance labels of the leukocytes, 0 background.
    nucleus : Raster or None
        (H, W) bool, the nuclei of those leukocytes.
    classes : mapping of int to str, or None
        Canonical class of each instance label; a label may be missing where its class is unknown.
    boxes : tuple of Box or None
        All annotated boxes. None: nobody drew boxes; empty: somebody looked and drew none.
    points : tuple of Point or None
        Likewise for points.
    image_class : str or None
        A class for the image as a whole (crops of one cell, Kaggle's table).
    """

    name: str
    image: Raster
    source: str
    group: str
    split: str | None = None
    labels: Raster | None = None
    nucleus: Raster | None = None
    classes: Mapping[int, str] | None = None
    boxes: tuple[Box, ...] | None = None
    points: tuple[Point, ...] | None = None
    image_class: str | None = None

    def read_image(self) -> NDArray[np.uint8]:
        """Return the image as (H, W, 3) uint8 RGB.

        Raises
        ------
        UnreadableImageError
            If the file cannot be decoded.
        """
        return self.image.read()

    def read_labels(self) -> NDArray[np.int32] | None:
        """Return the instance labels as (H, W) int32, or None where there are none."""
        return None if self.labels is None else self.labels.read()

    def read_nucleus(self) -> NDArray[np.bool_] | None:
        """Return the nucleus mask as (H, W) bool, or None where there is none."""
        return None if self.nucleus is None else self.nucleus.read()

    @property
    def stratum(self) -> str:
        """Source and class: splits are drawn so that each side has its share of every stratum."""
        classes = sorted(set((self.classes or {}).values()))
        return f"{self.source}/{classes[0] if classes else self.image_class or 'unknown'}"

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which kinds of annotation this sample has, for reports and for choosing losses."""
        known = {
            "masks": self.labels is not None,
            "nuclei": self.nucleus is not None,
            "classes": bool(self.classes),
            "boxes": self.boxes is not None,
            "points": self.points is not None,
            "image class": self.image_class is not None,
        }
        return tuple(kind for kind, present in known.items() if present)
