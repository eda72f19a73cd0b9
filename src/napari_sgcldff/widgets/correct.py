"""Correct cells: outlines and classes, one cell after the other, saved as they are edited."""

from __future__ import annotations

import weakref
from functools import partial
from typing import Any

import napari
import numpy as np
from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QCoreApplication, QTimer
from qtpy.QtWidgets import QFormLayout, QGroupBox, QVBoxLayout, QWidget

from napari_sgcldff.cell_edits import accept_cells, add_cell, fill_holes, smooth_outline, split_cell
from napari_sgcldff.correction import Correction
from napari_sgcldff.edited_rows import in_review_order, reviewed
from napari_sgcldff.known_classes import classes_for, remember_class
from napari_sgcldff.layers import KEY, is_smear
from napari_sgcldff.lazy_labels import read_labels
from napari_sgcldff.pairing import image_of
from napari_sgcldff.proposing import Request, propose, what_is_known
from napari_sgcldff.recovery import show_restored
from napari_sgcldff.session import session_of
from napari_sgcldff.step_making import editable
from napari_sgcldff.unsaved_work import UnsavedWork
from napari_sgcldff.widgets.cell_card import CellCard
from napari_sgcldff.widgets.class_palette import ClassPalette
from napari_sgcldff.widgets.correction_keys import keys_of
from napari_sgcldff.widgets.layer_choice import LayerChoice
from napari_sgcldff.widgets.recovery_banner import RecoveryBanner
from napari_sgcldff.widgets.review_bar import ReviewBar
from napari_sgcldff.widgets.saving_line import SavingLine
from napari_sgcldff.widgets.task_panel import TaskPanel
from napari_sgcldff.widgets.tool_buttons import ToolButtons
from sgcldff_core.errors import SgcldffError

__all__ = ["CorrectWidget"]

_EDITS = {"holes": fill_holes, "smooth": smooth_outline, "halve": split_cell}


class CorrectWidget(QWidget):
    """Choose cells, correct them with tools, keys and the brush, and have every edit saved.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose labels it works on.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._session = session_of(napari_viewer)
        self.correction: Correction | None = None
        self._lay_out()
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._show_saving)
        self.destroyed.connect(partial(_abandon, weakref.ref(self)))
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self.finish)
        self._pair()
        self.banner.look_in(self.saving.folder)
        self._refresh()

    def start(self) -> None:
        """Begin to correct the chosen cells."""
        cells, image = self.cells_choice.layer, self.image_choice.layer
        if self.correction is not None or cells is None or image is None:
            return
        if isinstance(cells.data, np.ndarray):
            self._begin(cells, image, editable(cells.data))
            return
        read = partial(read_labels, cells.data)
        self.panel.start("Read the labels", read, partial(self._begin, cells, image))

    def finish(self) -> None:
        """End the correction; everything is saved."""
        if self.correction is not None:
            self.correction.end()

    def _begin(self, cells: Labels, image: Image, data: Any) -> None:
        if cells not in self._viewer.layers or image not in self._viewer.layers:
            self._say(f"{cells.name} or its image was removed meanwhile.")
            return
        if data is not cells.data:
            cells.data = data
        classes = classes_for(cells)
        try:
            correction = Correction(self._viewer, cells, image, self.saving.folder, classes, self._propose)
        except SgcldffError as problem:
            self._say(str(problem))
            return
        self.correction = correction
        correction.looked.connect(self._show_cell)
        correction.tool_changed.connect(self.tools.show_tool)
        correction.said.connect(self._say)
        correction.ended.connect(self._ended)
        self.palette_.show_classes(classes)
        self._bind_keys()
        self.tools.show_tool(correction.tool)
        self._say("")
        self._timer.start(1000)
        self._refresh()
        self._show_cell()

    def _ended(self, why: str) -> None:
        saved, self.correction = self.correction, None
        self._timer.stop()
        told = "" if saved is None else saved.autosave.summary
        self._say(" ".join(filter(None, (why, told))))
        self.card.show_nothing()
        self._show_saving()
        self._refresh()

    def _toggle(self) -> None:
        if self.correction is None:
            self.start()
        else:
            self.finish()

    def _bind_keys(self) -> None:
        if self.correction is not None:
            self.correction.keys.borrow(keys_of(self.correction, self.palette_.classes, self._act))

    def _act(self, action: str) -> None:
        correction = self.correction
        if correction is None:
            return
        if action == "new":
            correction.new_by_brush()
        elif correction.label:
            correction.do(_EDITS[action], correction.label)
        else:
            self._say("Click a cell first.")

    def _accept_all(self) -> None:
        if self.correction is not None:
            self.correction.do(accept_cells, in_review_order(self.correction.curation.table))

    def _add_class(self, name: str) -> None:
        remember_class(name)
        if self.correction is not None:
            self.correction.curation.classes.append(name)
            self._bind_keys()
            self._show_cell()

    def _propose(self, y: float, x: float) -> None:
        correction = self.correction
        if correction is None:
            return
        labels, cells = correction.curation.labels, correction.cells
        picture = correction.picture()
        request = Request(
            picture,
            labels[: picture.shape[0], : picture.shape[1]] > 0,
            (y, x),
            self._session.model,
            float(cells.metadata.get(KEY, {}).get("diameter") or self._session.diameter),
            correction.curation.table["area_px"].dropna().to_numpy(float),
        )
        plane = correction.curation.plane
        self.panel.start("Add a cell", partial(propose, request), partial(self._add, correction, plane))

    def _add(self, correction: Correction, plane: tuple[int, ...], found: Any) -> None:
        if self.correction is not correction or correction.curation.plane != plane:
            self._say("Another image is shown by now; the new cell was dropped.")
        elif found is None:
            self._say("The model sees no cell there. Paint it: New by brush, key M.")
        else:
            found_cell = found.prediction
            known = what_is_known(found_cell.cells)
            correction.do(add_cell, found_cell.labels > 0, found.corner, known, found_cell.nucleus)

    def _restore(self, work: UnsavedWork) -> None:
        try:
            cells, image = show_restored(self._viewer, work.restore())
        except SgcldffError as problem:
            self._say(str(problem))
            return
        self.cells_choice.choose(cells)
        self.image_choice.choose(image)
        self.start()
        if self.correction is not None:
            self.correction.save_all("restored after a crash")
            self.correction.autosave.when_saved(work.discard)
            self._say("Your work is back; undo begins anew from here.")

    def _pair(self) -> None:
        cells = self.cells_choice.layer
        image = None if cells is None else image_of(self._viewer.layers, cells)
        if image is not None and self.correction is None:
            self.image_choice.choose(image)
        self._refresh()

    def _say(self, text: str) -> None:
        self.panel.message.setText(text)

    def _show_saving(self) -> None:
        self.saving.show_state(None if self.correction is None else self.correction.autosave)

    def _show_cell(self) -> None:
        correction = self.correction
        if correction is None:
            return
        curation, label = correction.curation, correction.label
        row = curation.table.loc[label].to_dict() if label else None
        if row is None or not np.isfinite(row["area_px"]):
            self.card.show_nothing()
        else:
            self.card.show_cell(row, correction.picture(), curation.labels, curation.classes)
        self.palette_.mark(row["class"] if row else curation.new_class)
        self.review.show_progress(int(reviewed(curation.table).sum()), len(curation.table))
        steps = curation.steps
        undo, redo = (stack[-1].done.what if stack else "" for stack in (steps.taken, steps.taken_back))
        self.review.show_steps(undo, redo)
        self._show_saving()

    def _refresh(self) -> None:
        on = self.correction is not None
        cells, image = self.cells_choice.layer, self.image_choice.layer
        if not on and cells is None:
            self.panel.hinder("Segment an image first, or open labels of its cells.")
        elif not on and image is None:
            self.panel.hinder("Open the image that these cells belong to.")
        else:
            self.panel.hinder("")
        self.panel.run_button.setText("Finish" if on else "Start correcting")
        for control in (self.cells_choice, self.image_choice):
            control.setEnabled(not on and not self.panel.running)
        for box in self._boxes:
            box.setEnabled(on)
            box.setToolTip("" if on else "Press Start correcting first.")
        self.banner.restore.setEnabled(not on)

    def _lay_out(self) -> None:
        self.cells_choice = LayerChoice(self._viewer, _is_labels, "The labels layer with the cells to correct.")
        self.image_choice = LayerChoice(self._viewer, is_smear, "The image that the cells were outlined in.")
        self.cells_choice.chosen.connect(self._pair)
        self.image_choice.chosen.connect(self._refresh)
        self.banner, self.saving = RecoveryBanner(), SavingLine()
        self.banner.restored.connect(self._restore)
        self.saving.chosen.connect(lambda: self.banner.look_in(self.saving.folder))
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Cells", self.cells_choice)
        form.addRow("Image", self.image_choice)
        form.addRow("Save in", self.saving)
        self.panel = TaskPanel(
            self._viewer, "Start correcting", "Edit these cells; each edit is saved and can be undone."
        )
        self.panel.run_button.clicked.connect(self._toggle)
        self.panel.changed.connect(self._refresh)
        self.tools, self.palette_, self.card, self.review = ToolButtons(), ClassPalette(), CellCard(), ReviewBar()
        self.tools.chosen.connect(lambda tool: self.correction and self.correction.choose(tool))
        self.tools.acted.connect(self._act)
        self.palette_.show_classes(classes_for())
        self.palette_.chosen.connect(lambda name: self.correction and self.correction.name_cell(name))
        self.palette_.added.connect(self._add_class)
        self.review.accepted.connect(lambda: self.correction and self.correction.accept())
        self.review.skipped.connect(lambda: self.correction and self.correction.next_cell())
        self.review.accepted_all.connect(self._accept_all)
        self.review.undone.connect(lambda: self.correction and self.correction.undo())
        self.review.redone.connect(lambda: self.correction and self.correction.redo())
        layout = QVBoxLayout(self)
        layout.addWidget(self.banner)
        layout.addLayout(form)
        layout.addWidget(self.panel)
        self._boxes = []
        for title, parts in (("Tools", [self.tools]), ("Class", [self.palette_]), ("Review", [self.card, self.review])):
            box = QGroupBox(title)
            inside = QVBoxLayout(box)
            for part in parts:
                inside.addWidget(part)
            self._boxes.append(box)
            layout.addWidget(box)
        layout.addStretch()
        self.setMinimumWidth(330)


def _is_labels(layer: Layer) -> bool:
    return isinstance(layer, Labels) and not layer.multiscale


def _abandon(widget: weakref.ref[CorrectWidget]) -> None:
    """Save and let go, once the window is gone."""
    gone = widget()
    if gone is not None and gone.correction is not None:
        correction, gone.correction = gone.correction, None
        for signal in (correction.looked, correction.tool_changed, correction.said, correction.ended):
            signal.disconnect()
        correction.end()
