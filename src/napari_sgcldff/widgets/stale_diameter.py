"""A word of warning where a diameter was set for another image than the one that is worked on."""

from __future__ import annotations

from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

__all__ = ["StaleDiameter"]


class StaleDiameter(QFrame):
    """Shown only then; what its buttons do is up to the widget that it lies in.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.estimate = QPushButton("Estimate anew")
        self.estimate.setToolTip("Measure the cells of this image, or of its visible part.")
        self.keep = QPushButton("Keep it")
        self.keep.setToolTip("It is right for this image too: the same microscope, the same magnification.")
        buttons = QHBoxLayout()
        buttons.addWidget(self.estimate)
        buttons.addWidget(self.keep)
        layout = QVBoxLayout(self)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        self.hide()

    def tell(self, diameter: float, name: str, *, idle: bool) -> None:
        """Show it.

        Parameters
        ----------
        diameter : float
            That would be used, in px.
        name : str
            Of the image that it was set for; empty where that is not known.
        idle : bool
            Whether an estimate can be made now.
        """
        other = f"“{name}”" if name else "another image"
        self.text.setText(
            f"⚠ {diameter:.0f} px was set for {other}. Where cells are of another size here, they come out wrong."
        )
        self.estimate.setEnabled(idle)
        self.show()
