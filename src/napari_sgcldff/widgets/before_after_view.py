"""Before and after, as a table and as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget

from napari_sgcldff.widgets.outline_pictures import PictureGrid, outlined_pixmap

if TYPE_CHECKING:
    from sgcldff_core.evaluation.before_after import BeforeAfter, Change

__all__ = ["BeforeAfterView"]

_MOST = 6  # images that are drawn


class BeforeAfterView(QWidget):
    """What a training changed on the images that it did not learn from.

    Parameters
    ----------
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.summary = QLabel("After a training, this compares the model before and after it on the same images.")
        self.summary.setWordWrap(True)
        self.table = QTableWidget(0, 4)
        self.table.setHorizontalHeaderLabels(["", "Before", "After", "Change"])
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.table.setShowGrid(False)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in (1, 2, 3):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
            self.table.horizontalHeaderItem(column).setTextAlignment(_RIGHT)
        self.table.hide()
        self.pictures = PictureGrid(2, 140)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.addWidget(self.summary)
        layout.addWidget(self.table)
        layout.addWidget(self.pictures)
        layout.addStretch()

    def show_result(self, result: BeforeAfter, images: int, *, held_out: bool) -> None:
        """Show figures and pictures.

        Parameters
        ----------
        result : BeforeAfter
            Of both models.
        images : int
            How many it is over.
        held_out : bool
            Whether these images were kept from the training.
        """
        what = f"{images} image" + ("" if images == 1 else "s")
        which = "kept out of the training" if held_out else "it learned from, which says little about others"
        self.summary.setText(f"On {what} {which}:")
        before, after = result.before, result.after
        rows: list[tuple[str, str, str, str, str]] = []
        if "iou" in after:
            rows.append(
                _percent("Outline IoU", "Overlap of outlines found and annotated.", before["iou"], after["iou"])
            )
        if "accuracy" in after:
            tip = "Share of annotated cells that were found and named right."
            rows.append(_percent("Right class", tip, before["accuracy"], after["accuracy"]))
        if "count_error" in after:
            old, new = before["count_error"], after["count_error"]
            tip = "Cells too many or too few, on average over the images."
            rows.append(("Miscounted per image", tip, f"{old:.2f}", f"{new:.2f}", f"{new - old:+.2f}"))
        old, new = before["cells"], after["cells"]
        title = f"Cells found (of {result.cells})" if result.cells else "Cells found"
        rows.append((title, "Over all these images.", f"{old:.0f}", f"{new:.0f}", f"{new - old:+.0f}"))
        self.table.setRowCount(len(rows))
        for row, (title, tip, *values) in enumerate(rows):
            self._write(row, title, tip, values)
        self.table.resizeRowsToContents()
        height = sum(self.table.rowHeight(row) for row in range(len(rows)))
        height += self.table.horizontalHeader().sizeHint().height() + 2 * self.table.frameWidth()
        self.table.setFixedHeight(height)
        self.table.show()
        self.pictures.show_pictures(
            [
                (outlined_pixmap(change.image, change.annotated, found), _caption(change, side))
                for change in result.changes[:_MOST]
                for side, found in enumerate((change.before, change.after))
            ]
        )

    def _write(self, row: int, title: str, tip: str, values: list[str]) -> None:
        for column, text in enumerate((title, *values)):
            item = QTableWidgetItem(text)
            item.setToolTip(tip)
            if column:
                item.setTextAlignment(_RIGHT)
            self.table.setItem(row, column, item)


def _percent(title: str, tip: str, before: float, after: float) -> tuple[str, str, str, str, str]:
    return title, tip, f"{100 * before:.1f} %", f"{100 * after:.1f} %", f"{100 * (after - before):+.1f}"


def _caption(change: Change, side: int) -> str:
    lines = ["after" if side else "before"]
    if change.iou is not None:
        lines[0] += f": IoU {100 * change.iou[side]:.0f} %"
    if change.named:
        lines.append(f"class {change.right[side]} of {change.named} right")
    return "\n".join(lines)


_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
