"""What was found out about one cell: two maps, a sentence, the figures, the reason to look again."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_sgcldff.explanation_words import figures_of, why_in_words
from napari_sgcldff.figures import Verdict
from napari_sgcldff.widgets.cell_maps import CellMaps
from napari_sgcldff.widgets.figures_table import VERDICT_COLOURS, FiguresTable

if TYPE_CHECKING:
    from sgcldff_core.inference.explain_cell import CellExplanation

__all__ = ["ExplanationView"]


class ExplanationView(QScrollArea):
    """Everything about one cell; scrolls where there is little room.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title, self.why, self.review = QLabel(), QLabel(), QLabel()
        self.title.setTextFormat(Qt.TextFormat.RichText)
        self.why.setTextFormat(Qt.TextFormat.PlainText)
        for label in (self.title, self.why, self.review):
            label.setWordWrap(True)
        self.maps, self.figures = CellMaps(), FiguresTable()
        sound = QLabel("<b>Is the explanation sound?</b>")
        self.figures.setToolTip("Figures of the fused map and the cell's own name, as in the table of cells.")
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(8)
        for part in (self.title, self.review, self.maps, self.why, sound, self.figures):
            layout.addWidget(part)
        layout.addStretch()
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)

    def show_cell(self, cell: CellExplanation, crop: NDArray[np.uint8], kind: str, level: int | None) -> None:
        """Show a cell.

        Parameters
        ----------
        cell : CellExplanation
            The cell.
        crop : ndarray
            (h, w, 3) uint8, its window of the image.
        kind : str
            The class that was asked for; empty for its name.
        level : int or None
            Stride of the level; None for the fused map.
        """
        where = "the fused map" if level is None else f"the level at stride {level}"
        self.title.setText(f"<b>Cell {cell.label}: {escape(cell.named)}</b>, seen on {where}")
        other = cell.runner_up if kind in ("", cell.named) else kind
        self.maps.show_cell(cell, crop, other)
        self.why.setText(why_in_words(cell))
        self.figures.show_figures(figures_of(cell), sum_last=True)
        verdict = Verdict.FAIR if cell.reason else Verdict.GOOD
        self.review.setText(f"Look again: {cell.reason}" if cell.reason else "No reason to look again")
        self.review.setStyleSheet(
            f"border-left: 4px solid {VERDICT_COLOURS[verdict]}; padding: 2px 0 2px 8px; background: transparent;"
        )
