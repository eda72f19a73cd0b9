"""Small pictures of fields with outlines on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

__all__ = ["ANNOTATED", "FOUND", "PictureGrid", "outlined_pixmap"]

ANNOTATED = (255, 221, 51)
"""Colour of what a person drew, sRGB."""

FOUND = (0, 229, 255)
"""Colour of what a model found, sRGB."""


class PictureGrid(QWidget):
    """Pictures with captions in rows.

    Parameters
    ----------
    columns : int
        Pictures in a row.
    width : int
        Largest width of a picture in px.
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, columns: int, width: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._columns, self._width = columns, width
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._cells: list[tuple[QLabel, QLabel]] = []

    @property
    def captions(self) -> list[str]:
        """The texts under the pictures that are shown."""
        return [caption.text() for picture, caption in self._cells if picture.isVisibleTo(self)]

    def show_pictures(self, pictures: Sequence[tuple[QPixmap, str]]) -> None:
        """Show pictures with a caption each; those of before go away.

        Parameters
        ----------
        pictures : sequence of (QPixmap, str)
            Picture and caption, in reading order.
        """
        while len(self._cells) < len(pictures):
            self._add()
        for (label, caption), shown in zip(self._cells, [*pictures, *[None] * len(self._cells)], strict=False):
            label.setVisible(shown is not None)
            caption.setVisible(shown is not None)
            if shown is not None:
                label.setPixmap(_fitted(shown[0], self._width))
                caption.setText(shown[1])

    def _add(self) -> None:
        picture, caption = QLabel(self), QLabel(self)
        picture.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignBottom)
        caption.setAlignment(Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
        caption.setWordWrap(True)
        row, column = divmod(len(self._cells), self._columns)
        self._grid.addWidget(picture, 2 * row, column)
        self._grid.addWidget(caption, 2 * row + 1, column)
        self._cells.append((picture, caption))


def outlined_pixmap(
    image: NDArray[np.uint8], annotated: NDArray[np.generic] | None, found: NDArray[np.generic]
) -> QPixmap:
    """Draw the outlines of what was annotated and of what was found on the part of an image with cells.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    annotated, found : ndarray
        (H, W) masks or instance labels.
    """
    where = _around(found if annotated is None else (annotated > 0) | (found > 0))
    step = max(1, round(max(image[where].shape[:2]) / 320))

    def enlarged(pixels: NDArray[Any]) -> NDArray[Any]:
        return np.repeat(np.repeat(pixels[where][::step, ::step], 2, 0), 2, 1)

    shown = enlarged(image)
    for labels, colour in ((annotated, ANNOTATED), (found, FOUND)):
        if labels is not None:
            shown[_rim(enlarged(labels))] = colour
    height, width = shown.shape[:2]
    pixels = shown.tobytes()  # kept by this name until the pixmap has its own copy
    return QPixmap.fromImage(QImage(pixels, width, height, 3 * width, QImage.Format.Format_RGB888))


def _around(cells: NDArray[np.generic]) -> tuple[slice, slice]:
    """Return where there are cells, with as much around them again as they are wide; at least a square."""
    places = np.argwhere(cells)
    if not len(places):
        return slice(None), slice(None)
    low, high = places.min(0), places.max(0) + 1
    half = 0.75 * max(high - low)
    middle = (low + high) / 2
    first = np.clip(middle - half, 0, cells.shape).astype(int)
    last = np.clip(middle + half, 0, cells.shape).astype(int)
    return slice(int(first[0]), int(last[0])), slice(int(first[1]), int(last[1]))


def _rim(labels: NDArray[np.generic]) -> NDArray[np.bool_]:
    edge = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        differs = np.diff(labels.astype(np.int64), axis=axis) != 0
        before = (slice(None),) * axis + (slice(None, -1),)
        after = (slice(None),) * axis + (slice(1, None),)
        edge[before] |= differs
        edge[after] |= differs
    return edge


def _fitted(pixmap: QPixmap, width: int) -> QPixmap:
    return pixmap.scaled(width, width, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation)
