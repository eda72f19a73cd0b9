"""The tools for correcting cells, one of which is in the hand."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QButtonGroup, QGridLayout, QPushButton, QWidget

__all__ = ["ACTIONS", "TOOL_KEYS", "ToolButtons"]

# Name of the tool: title, key, what it does.
_TOOLS = {
    "look": ("Look", "V", "Click a cell to look at it; drag to move the view."),
    "add": ("Add", "C", "Click where a cell is missing: the model outlines and names it."),
    "delete": ("Delete", "D", "Click what is no cell."),
    "split": ("Split", "S", "Draw a line across a cell that is two; from edge to edge or only its middle part."),
    "join": ("Join", "G", "Click one part of a cell, then the other; the first keeps its class."),
    "paint": ("Brush", "P", "Paint more of the cell that is looked at; [ and ] change the size."),
    "erase": ("Eraser", "E", "Erase what does not belong to a cell; [ and ] change the size."),
    "fill": ("Bucket", "F", "Fill an area with the cell that is looked at."),
}

ACTIONS = {
    "new": ("New by brush", "M", "Take the brush to paint a cell that is not there yet."),
    "holes": ("Fill holes", "H", "Fill the holes of the cell that is looked at."),
    "smooth": ("Smooth", "O", "Make the outline of the cell that is looked at smoother."),
    "halve": ("Split at waist", "W", "Split the cell that is looked at where it is narrow."),
}
"""What is done to the cell that is looked at: title, key, what it does."""

TOOL_KEYS = {tool: key for tool, (_, key, _) in _TOOLS.items() if tool not in ("paint", "erase", "fill")}
"""Keys of the tools; those of napari's own tools are napari's."""


class ToolButtons(QWidget):
    """Buttons for tools, and for what is done to the cell that is looked at.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    chosen = Signal(str)
    """A tool is to be taken into the hand."""

    acted = Signal(str)
    """Something is to be done to the cell that is looked at: a key of `ACTIONS`."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.tools: dict[str, QPushButton] = {}
        self.actions_: dict[str, QPushButton] = {}
        self._group = QButtonGroup(self)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for index, (tool, (title, key, tip)) in enumerate(_TOOLS.items()):
            button = _button(title, key, tip)
            button.setCheckable(True)
            button.clicked.connect(lambda _checked=False, tool=tool: self.chosen.emit(tool))
            self._group.addButton(button)
            self.tools[tool] = button
            grid.addWidget(button, index // 4, index % 4)
        for index, (action, (title, key, tip)) in enumerate(ACTIONS.items()):
            button = _button(title, key, tip)
            button.clicked.connect(lambda _checked=False, action=action: self.acted.emit(action))
            self.actions_[action] = button
            grid.addWidget(button, 2 + index // 2, 2 * (index % 2), 1, 2)

    def show_tool(self, tool: str) -> None:
        """Show which tool is in the hand.

        Parameters
        ----------
        tool : str
            A key of `TOOLS`.
        """
        self.tools[tool].setChecked(True)


def _button(title: str, key: str, tip: str) -> QPushButton:
    button = QPushButton(f"{key}  {title}")
    button.setToolTip(f"{tip} Key {key}.")
    button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the canvas keeps the keys
    button.setStyleSheet("text-align: left; padding: 4px 6px;")
    return button
