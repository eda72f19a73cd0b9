"""The part of an image that is needed to look at one outlined cell again, or all of it for all cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sgcldff.extent import require_smear
from napari_sgcldff.placement import offset_on, placing, plane_of
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from napari.layers import Image, Labels

__all__ = ["CellPicture"]

_WHOLE = 2**24  # px: up to this size an image is read as a whole
_CONTEXT = 3.0  # diameters of the cell that are read on each side of it, of a larger image


@dataclass(frozen=True, slots=True, eq=False)
class CellPicture:
    """Labels and the image below them, neither of which was read yet; made in the main thread, read in another.

    Attributes
    ----------
    image, labels : array-like
        (H, W, 3) and (H, W), pixel on pixel, in memory or lazy.
    leading : int
        Number of axes before rows and columns that the layer has.
    placement_at : callable
        Called with row and column of a pixel it returns what a layer needs to begin there.
    box : tuple of slice, optional
        Where the features say that the cell is.
    """

    image: Any
    labels: Any
    leading: int
    placement_at: Callable[[tuple[int, int]], dict[str, Any]]
    box: tuple[slice, slice] | None

    @classmethod
    def of(cls, cells: Labels, image: Image, step: Sequence[int], label: int | None = None) -> CellPicture:
        """Lay labels on the image below them, where they are shown.

        Parameters
        ----------
        cells : napari.layers.Labels
            Of the whole image or a part of it.
        image : napari.layers.Image
            RGB; a stack or a multi-scale image will do.
        step : sequence of int
            ``viewer.dims.current_step``; the plane of a stack is chosen by it.
        label : int, optional
            The cell that is to be looked at.

        Raises
        ------
        ConfigError
            If the labels do not lie on the image pixel by pixel, or the image is not RGB.
        """
        require_smear(image)
        marks, mark_plane = plane_of(cells, step)
        pixels, _ = plane_of(image, step)
        top, left = offset_on(cells, image, marks.shape)
        first = (max(-top, 0), max(-left, 0))  # of the labels on the image
        last = (min(marks.shape[0], pixels.shape[0] - top), min(marks.shape[1], pixels.shape[1] - left))
        if first[0] >= last[0] or first[1] >= last[1]:
            raise ConfigError(f"no cell of {cells.name!r} lies on {image.name!r}; choose the image it was made from")
        marks = marks[first[0] : last[0], first[1] : last[1]]
        pixels = pixels[top + first[0] : top + last[0], left + first[1] : left + last[1], :3]
        placement_at = placing(cells, mark_plane, first)
        return cls(pixels, marks, cells.ndim - 2, placement_at, _box_in(cells, label, first))

    def read(self, label: int | None) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[int, int]]:
        """Read what is needed; not for the main thread where the layers are lazy.

        Parameters
        ----------
        label : int or None
            The cell that is to be looked at; None for all.

        Returns
        -------
        image : ndarray
            (h, w, 3) uint8 RGB.
        labels : ndarray
            (h, w) int64.
        corner : tuple of int
            Where their first pixel is in the picture.

        Raises
        ------
        ConfigError
            If the cell is not there, or the image has values on no known scale.
        """
        from sgcldff_core.datasets.depth import to_uint8

        window = (slice(0, self.labels.shape[0]), slice(0, self.labels.shape[1]))
        if label is not None and self.labels.shape[0] * self.labels.shape[1] > _WHOLE:
            window = self._around(label)
        try:
            pixels = to_uint8(np.asarray(self.image[window]))
        except ValueError as problem:
            raise ConfigError(f"the image cannot be used: {problem}") from problem
        labels = np.asarray(self.labels[window]).astype(np.int64)
        return np.ascontiguousarray(pixels), labels, (window[0].start, window[1].start)

    def lift(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return a (h, w) result with an axis of length 1 for each leading axis of the labels.

        Parameters
        ----------
        plane : ndarray, shape (h, w)
            A result for the picture, such as a map.
        """
        return plane[(None,) * self.leading]

    def _around(self, label: int) -> tuple[slice, slice]:
        box = self.box
        if box is None or not (np.asarray(self.labels[box]) == label).any():
            found = np.asarray(self.labels) == label
            rows, columns = np.flatnonzero(found.any(1)), np.flatnonzero(found.any(0))
            if not len(rows):
                raise ConfigError(f"there is no cell {label} in these labels; choose one that is there")
            box = (slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
        reach = int(_CONTEXT * max(side.stop - side.start for side in box))
        rows_, columns_ = (
            slice(max(side.start - reach, 0), min(side.stop + reach, length))
            for side, length in zip(box, self.labels.shape, strict=True)
        )
        return rows_, columns_


def _box_in(cells: Labels, label: int | None, first: tuple[int, int]) -> tuple[slice, slice] | None:
    features = cells.features
    columns = ["bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"]
    if label is None or not {"index", *columns} <= set(features.columns):
        return None
    row = features.loc[features["index"] == label, columns]
    if len(row) != 1 or row.isna().any(axis=None):
        return None
    y0, x0, y1, x1 = (int(value) for value in row.iloc[0])
    return slice(max(y0 - first[0], 0), y1 - first[0]), slice(max(x0 - first[1], 0), x1 - first[1])
