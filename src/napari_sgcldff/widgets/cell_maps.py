"""Two pictures of one cell side by side: where the evidence for its name lies, and that for the next one."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QImage, QPainter, QPaintEvent, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_sgcldff.explanation_words import evidence_in_words
from sgcldff_core.taxonomy import colour_of

if TYPE_CHECKING:
    from sgcldff_core.inference.explain_cell import CellExplanation

__all__ = ["CellMaps", "coloured"]

_SIDE = 150  # px on the screen
_STRONGEST = 0.65  # opacity where the evidence is strongest: the cell stays visible


class CellMaps(QWidget):
    """The cell with the map of its name at the left, with that of the runner-up at the right.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.named, self.other = _CaptionedPicture(), _CaptionedPicture()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addWidget(self.named, stretch=1)
        layout.addWidget(self.other, stretch=1)

    def show_cell(self, cell: CellExplanation, crop: NDArray[np.uint8], other: str | None) -> None:
        """Show a cell.

        Parameters
        ----------
        cell : CellExplanation
            The cell.
        crop : ndarray
            (h, w, 3) uint8, its window of the image.
        other : str or None
            The class to lay beside its name.
        """
        classes = tuple(cell.probabilities)
        for picture, kind in ((self.named, cell.named), (self.other, other)):
            picture.setVisible(kind is not None)
            if kind is not None:
                pixels = coloured(crop, cell.activation[kind], cell.inside)
                picture.show_class(
                    pixels, kind, cell.probabilities[kind], colour_of(kind, classes), evidence_in_words(cell, kind)
                )
        self.named.setToolTip(f"Where the evidence for {cell.named} lies; red is strongest. {_SCALED}")
        self.other.setToolTip(f"Where the evidence for {other} lies; red is strongest. {_SCALED}")


_SCALED = "Each map is scaled to its own strongest place: how much it weighs is the percentage."


class _CaptionedPicture(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.picture = _Picture()
        self.title, self.words = QLabel(), QLabel()
        self.title.setTextFormat(Qt.TextFormat.RichText)
        self.words.setWordWrap(True)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addWidget(self.title)
        layout.addWidget(self.picture)
        layout.addWidget(self.words)
        layout.addStretch()  # so that titles stand in one line however many words there are

    def show_class(
        self, pixels: NDArray[np.uint8], kind: str, probability: float, colour: tuple[int, int, int], words: str
    ) -> None:
        swatch = "#{:02x}{:02x}{:02x}".format(*colour)
        self.title.setText(
            f'<span style="color:{swatch}">■</span> <b>{escape(kind)}</b>&nbsp;&nbsp;{escape(_percent(probability))}'
        )
        self.words.setText(words)
        self.picture.show_pixels(pixels)


class _Picture(QWidget):
    """Keeps the shape of its picture, whatever room it has."""

    def __init__(self) -> None:
        super().__init__()
        self._pixmap: QPixmap | None = None
        self.setMinimumSize(_SIDE, _SIDE)

    def show_pixels(self, pixels: NDArray[np.uint8]) -> None:
        height, width = pixels.shape[:2]
        image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
        self._pixmap = QPixmap.fromImage(image)  # a copy
        self.setFixedHeight(_SIDE)
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        if self._pixmap is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.rect(), QColor(0, 0, 0, 40))
        size = self._pixmap.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        left, top = (self.width() - size.width()) / 2, (self.height() - size.height()) / 2
        painter.drawPixmap(QRectF(left, top, size.width(), size.height()), self._pixmap, QRectF(self._pixmap.rect()))
        painter.end()


def coloured(crop: NDArray[np.uint8], evidence: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Lay evidence in turbo's colours over a picture of a cell, and draw the cell's outline.

    Parameters
    ----------
    crop : ndarray
        (h, w, 3) uint8 RGB.
    evidence : ndarray
        (h, w) float32 in [0, 1]; the stronger, the less is seen through it.
    inside : ndarray
        (h, w) bool.

    Returns
    -------
    ndarray
        (h, w, 3) uint8.
    """
    from napari.utils.colormaps import ensure_colormap
    from scipy import ndimage

    factor = max(1, round(2 * _SIDE / max(crop.shape[:2])))  # so that the outline is thin on the screen
    picture = np.kron(crop, np.ones((factor, factor, 1), np.uint8)) if factor > 1 else crop
    big = ndimage.zoom(evidence, factor, order=1, grid_mode=True, mode="nearest") if factor > 1 else evidence
    colours = ensure_colormap("turbo").map(big.ravel())[:, :3].reshape(*big.shape, 3) * 255
    opacity = (_STRONGEST * np.sqrt(big.clip(0, 1)))[..., None]
    mixed = picture * (1 - opacity) + colours * opacity
    soft = ndimage.zoom(inside.astype(np.float32), factor, order=1, grid_mode=True, mode="nearest") > 0.5
    edge = soft & ~ndimage.binary_erosion(soft, iterations=2)
    mixed[edge] = 255
    return np.ascontiguousarray(np.rint(mixed).astype(np.uint8))


def _percent(probability: float) -> str:
    return "< 1 %" if probability < 0.01 else "> 99 %" if probability > 0.99 else f"{100 * probability:.0f} %"
