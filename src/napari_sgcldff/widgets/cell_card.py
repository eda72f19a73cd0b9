"""The cell that is looked at: its picture, its class, and why it is to be reviewed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from sgcldff_core.taxonomy import colour_of

__all__ = ["CellCard"]

_SIDE = 96  # px of the screen
_MARGIN = 0.25  # around the cell, as a share of its side


class CellCard(QWidget):
    """Shows one cell.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.picture = QLabel()
        self.picture.setFixedSize(_SIDE, _SIDE)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.picture.setToolTip("The cell that is looked at, with its outline in the colour of its class.")
        self.title = QLabel()
        self.title.setTextFormat(Qt.TextFormat.PlainText)
        font = self.title.font()
        font.setBold(True)
        self.title.setFont(font)
        self.details = QLabel()
        self.reason = QLabel()
        for label in (self.title, self.details, self.reason):
            label.setWordWrap(True)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self.title)
        words.addWidget(self.details)
        words.addWidget(self.reason)
        words.addStretch()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addWidget(self.picture)
        layout.addLayout(words, stretch=1)
        self.show_nothing()

    def show_nothing(self) -> None:
        """Say that no cell is looked at."""
        self.picture.clear()
        self.picture.setText("–")
        self.title.setText("No cell chosen")
        self.details.setText("Click a cell, or begin the review with Next.")
        self.reason.setText("")

    def show_cell(
        self,
        row: Mapping[str, Any],
        image: NDArray[np.uint8],
        labels: NDArray[np.integer],
        classes: list[str],
    ) -> None:
        """Show a cell.

        Parameters
        ----------
        row : mapping of str to object
            Of the table of cells, see `napari_sgcldff.edited_rows`.
        image : ndarray
            (H, W, 3) uint8.
        labels : ndarray
            (H, W) int.
        classes : list of str
            All classes, for the colours.
        """
        label, name = int(row["label"]), row["class"]
        self.title.setText(f"Cell {label} · {name or 'no class yet'}")
        self.details.setText(" · ".join(_facts(row)))
        if row["needs_review"]:
            self.reason.setText(f"To review: {row['review_reason'] or 'the model is not sure'}")
        else:
            self.reason.setText("Reviewed by you" if row["curated"] else "Not reviewed yet")
        self.picture.setPixmap(_drawn(row, label, image, labels, colour_of(name or "", classes)))


def _facts(row: Mapping[str, Any]) -> list[str]:
    facts = []
    if not math.isnan(row["confidence"]):
        facts.append(f"model {100 * row['confidence']:.0f} % sure")
    if not math.isnan(row["equivalent_diameter_px"]):
        facts.append(f"{row['equivalent_diameter_px']:.0f} px wide")
    return facts


def _drawn(
    row: Mapping[str, Any],
    label: int,
    image: NDArray[np.uint8],
    labels: NDArray[np.integer],
    colour: tuple[int, int, int],
) -> QPixmap:
    y0, x0, y1, x1 = (int(row[f"bbox_{side}"]) for side in ("y0", "x0", "y1", "x1"))
    half = int(max(y1 - y0, x1 - x0) * (0.5 + _MARGIN)) + 1
    y, x = (y0 + y1) // 2, (x0 + x1) // 2
    height, width = image.shape[:2]
    window = (slice(max(y - half, 0), min(y + half, height)), slice(max(x - half, 0), min(x + half, width)))
    crop = np.ascontiguousarray(image[window])
    step = max(1, max(crop.shape[:2]) // (2 * _SIDE))
    crop, mask = np.ascontiguousarray(crop[::step, ::step]), (labels[window] == label)[::step, ::step]
    thick = max(1, round(max(crop.shape[:2]) / _SIDE))
    inner = mask.copy()
    for axis in (0, 1):
        for shift in range(1, thick + 1):
            inner &= np.roll(mask, shift, axis) & np.roll(mask, -shift, axis)
    crop[mask & ~inner] = colour
    picture = QImage(crop.tobytes(), crop.shape[1], crop.shape[0], 3 * crop.shape[1], QImage.Format.Format_RGB888)
    return QPixmap.fromImage(picture).scaled(
        _SIDE, _SIDE, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
    )
