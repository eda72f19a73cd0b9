"""A number on a slider, with a box to type it in."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSlider, QWidget

__all__ = ["ValueSlider"]


class ValueSlider(QWidget):
    """A slider for numbers with a fraction.

    Parameters
    ----------
    low, high : float
        Range, both ends included.
    step : float
        Between neighbouring values.
    value : float
        At the start.
    suffix : str
        The unit, with a space before it.
    parent : QWidget, optional
        The widget it lies in.
    """

    changed = Signal(float)
    """Another value is set."""

    def __init__(
        self, low: float, high: float, step: float, value: float, suffix: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.slider, self.box = QSlider(Qt.Orientation.Horizontal), QDoubleSpinBox()
        self._low, self._step = low, step
        self.slider.setRange(0, round((high - low) / step))
        self.box.setRange(low, high)
        self.box.setSingleStep(step)
        self.box.setDecimals(2 if step < 0.1 else 1)
        self.box.setSuffix(suffix)
        self.box.setFixedWidth(108)
        self.box.setValue(value)
        self.slider.setValue(self._position(value))
        self.slider.valueChanged.connect(self._slid)
        self.box.valueChanged.connect(self._typed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.slider, stretch=1)
        layout.addWidget(self.box)

    def value(self) -> float:
        """Return the number."""
        return float(self.box.value())

    def set_value(self, value: float) -> None:
        """Set the number; it is kept in range.

        Parameters
        ----------
        value : float
            In the unit that the box shows.
        """
        self.box.setValue(value)

    def _position(self, value: float) -> int:
        return round((value - self._low) / self._step)

    def _slid(self, position: int) -> None:
        if position != self._position(self.box.value()):  # what was typed may lie between two steps
            self.box.setValue(self._low + position * self._step)

    def _typed(self, value: float) -> None:
        self.slider.setValue(self._position(value))
        self.changed.emit(value)
