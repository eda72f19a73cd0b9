"""The classes that a cell can be given, each with its colour and its key."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QLineEdit, QPushButton, QVBoxLayout, QWidget

from sgcldff_core.taxonomy import canonical_name, colour_of

__all__ = ["ClassPalette", "swatch"]

_MOST_KEYS = 9


class ClassPalette(QWidget):
    """Buttons that give a class, and a field for a class of one's own.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    chosen = Signal(str)
    """A class is to be given."""

    added = Signal(str)
    """There is a new class."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.classes: list[str] = []
        self.buttons: dict[str, QPushButton] = {}
        self._grid = QGridLayout()
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(4)
        self.new_name = QLineEdit()
        self.new_name.setPlaceholderText("class of your own")
        self.new_name.setToolTip("Name of a class that is not listed, such as smudge cell.")
        self.new_name.returnPressed.connect(self._add)
        self.add_button = QPushButton()
        self.add_button.setText("Add class")
        self.add_button.setToolTip("Add this class to the list.")
        self.add_button.clicked.connect(self._add)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.new_name, stretch=1)
        row.addWidget(self.add_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(self._grid)
        layout.addLayout(row)

    def show_classes(self, classes: Sequence[str]) -> None:
        """List classes, in the order of their keys.

        Parameters
        ----------
        classes : sequence of str
            The first ones have the keys 1, 2 and so on.
        """
        self.classes = list(classes)
        for button in self.buttons.values():
            self._grid.removeWidget(button)
            button.hide()
            button.deleteLater()
        self.buttons = {}
        for index, name in enumerate(self.classes):
            button = QPushButton(f"{index + 1}  {name}" if index < _MOST_KEYS else name)
            button.setIcon(QIcon(swatch(name, self.classes)))
            button.setIconSize(QSize(12, 12))
            button.setCheckable(True)
            button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the canvas keeps the keys
            button.setStyleSheet("text-align: left; padding: 3px 6px;")
            key = f" Key {index + 1}." if index < _MOST_KEYS else ""
            button.setToolTip(f"The cell that is looked at is a {name}.{key}")
            button.clicked.connect(lambda _checked=False, name=name: self._choose(name))
            self.buttons[name] = button
            self._grid.addWidget(button, index // 2, index % 2)

    def mark(self, name: str | None) -> None:
        """Show which class the cell that is looked at has.

        Parameters
        ----------
        name : str or None
            None, or one that has no button, marks none.
        """
        for own, button in self.buttons.items():
            button.setChecked(own == name)

    def _choose(self, name: str) -> None:
        self.mark(name)
        self.chosen.emit(name)

    def _add(self) -> None:
        spelling = self.new_name.text()
        if not spelling.strip():
            self.new_name.setFocus()
            return
        name = canonical_name(spelling)
        self.new_name.clear()
        if name not in self.classes:
            self.show_classes([*self.classes, name])
            self.added.emit(name)


def swatch(name: str, classes: Sequence[str]) -> QPixmap:
    """Draw a disc in the colour of a class.

    Parameters
    ----------
    name : str
        Of the class.
    classes : sequence of str
        All classes, since a user's own have the colours that are left.
    """
    pixmap = QPixmap(24, 24)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setBrush(QColor(*colour_of(name, classes)))
    painter.setPen(QColor(255, 255, 255, 120))  # or the darkest is lost on the dark theme
    painter.drawEllipse(2, 2, 20, 20)
    painter.end()
    return pixmap
