"""The correction of one labels layer, from its start to its end: tools, keys, review and saving around a `Curation`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sgcldff.autosave import Autosave
from napari_sgcldff.borrowed_keys import BorrowedKeys
from napari_sgcldff.canvas_gestures import CanvasGestures
from napari_sgcldff.cell_edits import accept_cells, delete_cell, merge_cells, set_class, split_cell
from napari_sgcldff.curation import Curation
from napari_sgcldff.edit_steps import Change
from napari_sgcldff.edited_rows import in_review_order
from napari_sgcldff.metadata import NUCLEUS
from napari_sgcldff.outline_edits import cell_under_line
from napari_sgcldff.pairing import plane_name, plane_source, saliency_of, show_plane, shown_plane
from napari_sgcldff.session import session_of
from napari_sgcldff.snapshots import Snapshots
from napari_sgcldff.step_making import check_numbers
from napari_sgcldff.view import look_at
from sgcldff_core.errors import SgcldffError

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

__all__ = ["TOOLS", "Correction"]

TOOLS: Mapping[str, str] = {
    "look": "click",
    "add": "click",
    "delete": "click",
    "split": "line",
    "join": "click",
    "paint": "",
    "erase": "",
    "fill": "",
}
"""The tools, and the gesture on the canvas that each waits for; napari's own wait for none of ours."""


class Correction:
    """Correct mode.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    cells : napari.layers.Labels
        The cells; see `napari_sgcldff.curation.editable` for its data.
    image : napari.layers.Image
        The image that they belong to.
    folder : Path
        The curated folder to save into.
    classes : sequence of str
        Those that a cell can be given, more may follow.
    propose : callable
        Called with row and column where a cell is to be added.

    Raises
    ------
    ConfigError
        If cells and image do not fit each other.
    DataError
        If nothing can be saved in the folder.
    """

    looked = Signal()
    """Another cell is looked at, or something about it changed."""

    tool_changed = Signal(str)
    said = Signal(str)
    """Something the user should know, in a sentence."""

    ended = Signal(str)
    """The correction is over; why, or empty if the user ended it."""

    def __init__(
        self,
        viewer: ViewerModel,
        cells: Labels,
        image: Image,
        folder: Path,
        classes: list[str],
        propose: Callable[[float, float], None],
    ) -> None:
        plane = shown_plane(viewer.dims.point, cells)
        plane_source(image, cells, plane)  # refuse before anything is changed
        check_numbers(cells.name, cells.data)
        self.autosave = Autosave(folder)
        self.viewer, self.cells, self.image = viewer, cells, image
        self.tool, self._joining = "look", 0
        self._propose = propose
        self._session = session_of(viewer)
        self._snapshots = Snapshots(cells, image)
        single = cells.data[..., 0, 0].size == 1
        self.curation = Curation(
            cells,
            classes=classes,
            image_name=lambda plane: plane_name(image, cells, plane),
            plane=plane,
            saliency=saliency_of(viewer.layers, cells) if single else None,
            nucleus=cells.metadata.get(NUCLEUS) if single else None,
        )
        self._session.cells = str(cells.unique_id)
        self.keys = BorrowedKeys(cells)
        self._gestures = CanvasGestures(viewer, cells, self._clicked, self._lined)
        self._gestures.listen("click")
        self.curation.changed.connect(self._changed)
        self.curation.ended.connect(self.end)
        viewer.dims.events.current_step.connect(self._stepped)
        viewer.layers.events.removed.connect(self._removed)
        cells.events.selected_label.connect(self._selected)
        cells.events.mode.connect(self._mode_changed)
        self._session.events.label.connect(self._told_label)
        viewer.layers.selection.active = cells

    @property
    def label(self) -> int:
        """The cell that is looked at, 0 for none."""
        label = self._session.label
        return label if label in self.curation.table.index else 0

    def picture(self) -> NDArray[np.uint8]:
        """Return the picture (H, W, 3) that is shown below the cells."""
        return self._snapshots.picture(self.curation.plane)

    def end(self, why: str = "") -> None:
        """Save what is not yet saved, and give the viewer back as it was; the user is told `why`, if not empty."""
        self.viewer.dims.events.current_step.disconnect(self._stepped)
        self.viewer.layers.events.removed.disconnect(self._removed)
        self.cells.events.selected_label.disconnect(self._selected)
        self.cells.events.mode.disconnect(self._mode_changed)
        self._session.events.label.disconnect(self._told_label)
        self.curation.changed.disconnect(self._changed)
        self.curation.ended.disconnect(self.end)
        self.curation.end()
        self.keys.give_back()
        self._gestures.end()
        self.autosave.close()
        self.ended.emit(why)

    def choose(self, tool: str) -> None:
        """Take a tool, a key of `TOOLS`, into the hand."""
        self.tool, self._joining = tool, 0
        self._gestures.listen(TOOLS[tool])
        if not TOOLS[tool]:
            if tool == "paint" and not self.label:
                self.cells.selected_label = self.curation.next_label()
            self.cells.mode = tool
        self.tool_changed.emit(tool)

    def new_by_brush(self) -> None:
        """Take the brush, to paint a cell that is not there yet."""
        self._session.label = 0
        self.cells.selected_label = self.curation.next_label()
        self.choose("paint")

    def look_at(self, label: int, *, centre: bool = False) -> None:
        """Look at a cell: the brush is to change this one, and keys are about it.

        Parameters
        ----------
        label : int
            The cell, 0 for none.
        centre : bool
            Whether to move the view so that the cell is in its middle.
        """
        if centre and label in self.curation.table.index:
            curation = self.curation
            show_plane(self.viewer, self.cells, curation.plane_of(label))
            row = curation.table.loc[label]  # measured when its plane is first shown
            place = (row["centroid_y"], row["centroid_x"])
            if np.isfinite(place).all():
                look_at(self.viewer, self.cells, (*curation.plane, *place))
        self._session.label = label
        if label and self.cells.selected_label != label:
            self.cells.selected_label = label
        self.looked.emit()

    def do(self, act: Callable[..., object], *arguments: Any) -> bool:
        """Do an edit of `napari_sgcldff.cell_edits`; False if it is refused, and the user is told why."""
        try:
            act(self.curation, *arguments)
        except SgcldffError as problem:
            self.said.emit(_sentence(str(problem)))
            return False
        return True

    def undo(self) -> None:
        """Take the latest step back."""
        if not self.curation.undo():
            self.said.emit("There is nothing to undo.")

    def redo(self) -> None:
        """Do again what was taken back last."""
        if not self.curation.redo():
            self.said.emit("There is nothing to redo.")

    def name_cell(self, name: str) -> None:
        """Give the cell that is looked at a class, and so the next cells that are painted from nothing."""
        self.curation.new_class = name
        if self.label:
            self.do(set_class, self.label, name)
        else:
            self.said.emit(f"Cells that you paint now are {name}. Click a cell to change its class.")

    def accept(self) -> None:
        """Say that the cell that is looked at is right, and look at the next one in the queue."""
        if not self.label or self.do(accept_cells, [self.label]):
            self.next_cell()

    def next_cell(self) -> None:
        """Look at the next cell in the queue."""
        queue = in_review_order(self.curation.table)
        if not queue:
            self.said.emit("Every cell is reviewed.")
            return
        at = queue.index(self.label) + 1 if self.label in queue else 0
        self.look_at(queue[at % len(queue)], centre=True)

    def save_all(self, what: str) -> None:
        """Save the plane that is shown although nothing was edited, as after a recovery; `what` is for the history."""
        table = self.curation.table
        self._save(Change(what, self.curation.plane, (), None, (), table[:0]))

    def _clicked(self, y: float, x: float) -> None:
        label = self.curation.cell_at(y, x)
        if self.tool == "add":
            if label:
                self.said.emit(f"Cell {label} is here already. Click where a cell is missing.")
            else:
                self._propose(y, x)
        elif self.tool == "delete" and label:
            self.do(delete_cell, label)
        elif self.tool == "join" and label and self._joining in self.curation.table.index:
            first, self._joining = self._joining, 0
            self.do(merge_cells, first, label)
        elif self.tool == "join" and label:
            self._joining = label
            self.look_at(label)
            self.said.emit(f"Now click the cell to join with cell {label}.")
        else:
            self.look_at(label)

    def _lined(self, line: NDArray[np.float64]) -> None:
        label = cell_under_line(self.curation.labels, line)
        if label:
            self.do(split_cell, label, line)
        else:
            self.said.emit("The line crosses no cell. Draw it across the cell to split.")

    def _changed(self, change: Change) -> None:
        if self.label != self._session.label or change.label:
            self._session.label = change.label if change.label in self.curation.table.index else 0
        label = self.label
        if label and self.cells.selected_label != label:
            self.cells.selected_label = label
        self._save(change)
        show_plane(self.viewer, self.cells, change.plane)  # of a stack: what was undone is to be seen
        self.said.emit("")
        self.looked.emit()

    def _save(self, change: Change) -> None:
        self.autosave.save(change, self._snapshots.take(self.curation, change.plane))

    def _stepped(self, event: object = None) -> None:
        plane = shown_plane(self.viewer.dims.point, self.cells)
        if plane != self.curation.plane:
            self.curation.show_plane(plane)
            self.looked.emit()

    def _removed(self, event: Any) -> None:
        if event.value is self.cells or event.value is self.image:
            self.end(f"{event.value.name} was removed.")

    def _selected(self, event: object = None) -> None:
        label = self.cells.selected_label
        if label in self.curation.table.index and label != self._session.label:
            self.look_at(int(label))

    def _mode_changed(self, event: object = None) -> None:
        mode = str(self.cells.mode)
        if mode in TOOLS and mode != self.tool:
            self.choose(mode)

    def _told_label(self, label: int) -> None:
        if label != self.cells.selected_label and label in self.curation.table.index:
            self.look_at(label)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"
