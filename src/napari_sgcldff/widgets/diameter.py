"""The diameter of a typical cell: a number, a way to estimate it, a ring to compare with, and a warning."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_sgcldff.ring import CellRing
from napari_sgcldff.session import session_of
from napari_sgcldff.widgets.listening import listen
from napari_sgcldff.widgets.stale_diameter import StaleDiameter

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["DiameterControl"]


class DiameterControl(QWidget):
    """A diameter in px of the image, in step with the session; 0 stands for an estimate.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose session holds the diameter, and where the ring is drawn.
    image : callable
        Returns the image layer in whose pixels the diameter is given, None without one.
    parent : QWidget, optional
        The widget it lies in.
    """

    estimate_asked = Signal()
    """The button that estimates was clicked."""

    def __init__(self, viewer: ViewerModel, image: Callable[[], Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session_of(viewer)
        self._image = image
        self._ring = CellRing(viewer)
        self.value = QDoubleSpinBox()
        self.value.setRange(0, 2000)
        self.value.setDecimals(0)
        self.value.setSingleStep(5)
        self.value.setSuffix(" px")
        self.value.setSpecialValueText("estimated in each run")
        self.value.setValue(self._session.diameter)
        self.value.setToolTip(
            "Diameter of a typical white blood cell, in pixels of the image; at 0 each run estimates it."
        )
        self.value.valueChanged.connect(self._changed)
        self.estimate = QPushButton("Estimate")
        self.estimate.clicked.connect(self.estimate_asked)
        self.ring = QPushButton("Ring")
        self.ring.setCheckable(True)
        self.ring.toggled.connect(self.draw)
        self.stale = StaleDiameter()
        self.stale.estimate.clicked.connect(self.estimate_asked)
        self.stale.keep.clicked.connect(self._keep)
        row = QHBoxLayout()
        row.addWidget(self.value, stretch=1)
        row.addWidget(self.estimate)
        row.addWidget(self.ring)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.stale)
        listen(self, self._session.events.diameter, to=self._take)
        self.destroyed.connect(partial(_hide, self._ring))
        self.draw()

    def accept_estimate(self, diameter: float) -> None:
        """Write an estimate into the box, and show it as a ring.

        Parameters
        ----------
        diameter : float
            In px of the image; rounded.
        """
        self._session.diameter = float(round(diameter))
        self._keep()
        self.ring.setChecked(True)
        self.draw()

    def draw(self, event: object = None) -> None:
        """Draw the ring, or take it away, and warn or not, as the controls say.

        Parameters
        ----------
        event : object, optional
            What made this necessary; not looked at.
        """
        image, diameter = self._image(), self.value.value()
        possible = image is not None and diameter > 0
        self.ring.setEnabled(possible)
        self.ring.setToolTip(
            "Show a ring of this diameter in the middle of the view, to compare with the cells."
            if possible
            else "Set or estimate a diameter first."
            if image is not None
            else "Open a colour image of a stained smear first."
        )
        if possible and self.ring.isChecked() and not self.isHidden():
            self._ring.show(image, diameter)
        else:
            self._ring.hide()
        if image is not None and diameter > 0 and self._session.measured_on != str(image.unique_id):
            self.stale.tell(diameter, self._session.measured_name, idle=self.estimate.isEnabled())
        else:
            self.stale.hide()

    def hideEvent(self, event: Any) -> None:
        """Take the ring away with the widget."""
        self._ring.hide()
        super().hideEvent(event)

    def showEvent(self, event: Any) -> None:
        """Bring the ring back with the widget."""
        super().showEvent(event)
        self.draw()

    def _changed(self, value: float) -> None:
        if value != self._session.diameter:  # else it was the session that changed
            self._session.diameter = value
            self._keep()
        self.draw()

    def _keep(self) -> None:
        """Take the diameter for one of the image that is chosen."""
        image = self._image()
        self._session.measured_on = "" if image is None else str(image.unique_id)
        self._session.measured_name = "" if image is None else image.name
        self.draw()

    def _take(self, value: float) -> None:
        self.value.setValue(value)


def _hide(ring: CellRing, *_: object) -> None:
    ring.hide()
