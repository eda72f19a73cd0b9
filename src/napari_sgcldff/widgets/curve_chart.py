"""A small line chart in the colours of napari's theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari.utils.theme import get_theme
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["Curve", "CurveChart"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 10, 24, 20  # px around the plot


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart.

    Attributes
    ----------
    name : str
        For the legend.
    colour : tuple of int
        sRGB in 0..255.
    points : sequence of (float, float)
        Epochs done and value, in order.
    """

    name: str
    colour: tuple[int, int, int]
    points: Sequence[tuple[float, float]]


class CurveChart(QWidget):
    """Lines over epochs with a title, a legend and a few grid lines.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose theme it follows.
    title : str
        What is drawn.
    shares : bool
        Whether values are shares, shown up to 1; else the scale starts at 0.
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, viewer: ViewerModel, title: str, *, shares: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._title = title
        self._shares = shares
        self.curves: tuple[Curve, ...] = ()
        self._epochs = 1
        self.setMinimumHeight(120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(title)

    def show_curves(self, curves: Sequence[Curve], epochs: int) -> None:
        """Draw lines.

        Parameters
        ----------
        curves : sequence of Curve
            Each with its points so far.
        epochs : int
            How many there will be.
        """
        self.curves = tuple(curves)
        self._epochs = max(epochs, 1)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw everything anew."""
        theme = get_theme(self._viewer.theme)
        text, line = QColor(*theme.text.as_rgb_tuple()[:3]), QColor(*theme.primary.as_rgb_tuple()[:3])
        back = QColor(*theme.foreground.as_rgb_tuple()[:3])
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(back)
        painter.drawRoundedRect(QRectF(self.rect()), 4, 4)
        painter.setPen(text)
        plot = QRectF(_LEFT, _TOP, self.width() - _LEFT - _RIGHT, self.height() - _TOP - _BOTTOM)
        painter.drawText(QRectF(8, 2, self.width() - 16, _TOP - 4), _LEFT_MIDDLE, self._title)
        low, high = self._range()
        small = painter.font()
        small.setPointSizeF(max(small.pointSizeF() - 1, 6))
        painter.setFont(small)
        for share in (0.0, 0.5, 1.0):
            y = plot.bottom() - share * plot.height()
            painter.setPen(QPen(line, 1))
            painter.drawLine(QPointF(plot.left(), y), QPointF(plot.right(), y))
            painter.setPen(text)
            value = low + share * (high - low)
            painter.drawText(QRectF(0, y - 8, _LEFT - 6, 16), _RIGHT_MIDDLE, f"{value:.2f}")
        painter.drawText(QRectF(plot.left(), plot.bottom() + 2, 40, 16), _LEFT_MIDDLE, "0")
        last = f"epoch {self._epochs}"
        painter.drawText(QRectF(plot.right() - 80, plot.bottom() + 2, 80, 16), _RIGHT_MIDDLE, last)
        self._draw_legend(painter, text)
        if not any(curve.points for curve in self.curves):
            painter.drawText(plot, Qt.AlignmentFlag.AlignCenter, "nothing yet")
        for curve in self.curves:
            self._draw(painter, curve, plot, low, high)
        painter.end()

    def _draw(self, painter: QPainter, curve: Curve, plot: QRectF, low: float, high: float) -> None:
        points = [
            QPointF(
                plot.left() + plot.width() * min(epoch / self._epochs, 1),
                plot.bottom() - plot.height() * min(max((value - low) / (high - low), 0), 1),
            )
            for epoch, value in curve.points
        ]
        painter.setPen(QPen(QColor(*curve.colour), 2))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPolyline(QPolygonF(points))
        if points:
            painter.setBrush(QColor(*curve.colour))
            painter.drawEllipse(points[-1], 2.5, 2.5)

    def _draw_legend(self, painter: QPainter, text: QColor) -> None:
        if len(self.curves) < 2:
            return
        right = self.width() - 8.0
        for curve in reversed(self.curves):
            width = painter.fontMetrics().horizontalAdvance(curve.name)
            painter.setPen(text)
            painter.drawText(QRectF(right - width, 2, width + 1, _TOP - 4), _LEFT_MIDDLE, curve.name)
            painter.setPen(QPen(QColor(*curve.colour), 3))
            painter.drawLine(QPointF(right - width - 18, _TOP / 2), QPointF(right - width - 6, _TOP / 2))
            right -= width + 28

    def _range(self) -> tuple[float, float]:
        values = [value for curve in self.curves for _, value in curve.points]
        if self._shares:
            low = min(values, default=0.0)
            return max(0.0, min(0.9, int(low * 10) / 10)), 1.0
        return 0.0, max(values, default=1.0) or 1.0


_LEFT_MIDDLE = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
_RIGHT_MIDDLE = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
