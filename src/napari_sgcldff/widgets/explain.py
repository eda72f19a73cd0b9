"""Why a cell has its name: where the evidence lies, why not the next class, and whether it is sound."""

from __future__ import annotations

from functools import partial
from typing import Any

import napari
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QButtonGroup, QComboBox, QFormLayout, QHBoxLayout, QLabel, QRadioButton, QVBoxLayout, QWidget

from napari_sgcldff.cell_pictures import CellPicture
from napari_sgcldff.explaining import LEVELS, Answer, Question, answer, gradcam_layer, model_and_diameter
from napari_sgcldff.layers import KEY, is_smear, show_layers
from napari_sgcldff.pairing import image_of
from napari_sgcldff.session import session_of
from napari_sgcldff.tasks import Ending
from napari_sgcldff.view import bare
from napari_sgcldff.widgets.canvas_clicks import on_click
from napari_sgcldff.widgets.explanation_view import ExplanationView
from napari_sgcldff.widgets.layer_choice import LayerChoice
from napari_sgcldff.widgets.listening import listen
from napari_sgcldff.widgets.task_panel import TaskPanel
from sgcldff_core.errors import ConfigError

__all__ = ["ExplainWidget"]


class ExplainWidget(QWidget):
    """Click a cell, or take all of a layer, and see what speaks for a class.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose cells it explains.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._session = session_of(napari_viewer)
        self._answer: Answer | None = None
        self._again = False
        self._lay_out()
        self._listen()
        self._take_session()
        self._refresh()

    def run(self) -> None:
        """Explain the chosen cell, or all; while that runs, do so anew when it has stopped."""
        if self.panel.running:
            self._again = True
            self.panel.cancel()
            return
        try:
            question = self._question()
        except ConfigError as problem:
            self.panel.message.setText(f"{str(problem)[0].upper()}{str(problem)[1:]}.")
            return
        if question is not None:
            self.panel.start("Explain cells", partial(answer, question), self._show, on_end=self._ended)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Explain the cell that was chosen while this was not to be seen."""
        super().showEvent(event)
        if self.one_cell.isChecked() and self._session.label and self._answer is None and not self.panel.running:
            self.run()

    def _question(self) -> Question | None:
        cells, image = self.cells_choice.layer, self.image_choice.layer
        label = self._session.label if self.one_cell.isChecked() else None
        if cells is None or image is None or label == 0:
            return None
        model, diameter = model_and_diameter(cells.metadata.get(KEY, {}), self._session.model, self._session.diameter)
        picture = CellPicture.of(cells, image, self._viewer.dims.current_step, label)
        kind, level = self.class_choice.currentData(), self.level_choice.currentData()
        return Question(picture, label, kind, level, model, diameter, str(image.unique_id), image.name)

    def _show(self, found: Answer) -> None:
        self._answer = found
        if found.question.source not in {str(layer.unique_id) for layer in self._viewer.layers}:
            self.panel.message.setText(f"{found.question.name} was removed; its explanation was dropped.")
            return
        active = self._viewer.layers.selection.active
        layer = gradcam_layer(found)
        (shown,) = show_layers(self._viewer, [layer], all_results=False)
        # That of a run would tint all that no cell has evidence in.
        shown.colormap, shown.visible = layer[1]["colormap"], True
        cells = self.cells_choice.layer
        if cells is not None:  # the outlines stay on top, and a click still means a cell
            self._viewer.layers.move(self._viewer.layers.index(shown), self._viewer.layers.index(cells))
        self._viewer.layers.selection.active = active if active in self._viewer.layers else cells
        self._list_classes(found.classes)
        if found.question.label is None:
            review = sum(bool(cell.reason) for cell in found.cells)
            self.panel.message.setText(
                f"{len(found.cells)} {'cell' if len(found.cells) == 1 else 'cells'} explained, {review} to look at "
                "again. Click one for its figures."
            )
        self._show_figures()

    def _show_figures(self) -> None:
        """Show the figures of the cell that is looked at, if it was explained."""
        found, label = self._answer, self._session.label
        if found is None:
            return
        cell = next((cell for cell in found.cells if cell.label == label), None)
        if cell is None and found.question.label is None and label == 0:
            cell = max(found.cells, key=lambda cell: bool(cell.reason))
        self.view.setVisible(cell is not None)
        if cell is not None:
            rows, columns = cell.window
            self.view.show_cell(cell, found.image[rows, columns], found.question.kind, found.question.level)

    def _ended(self, ending: Ending) -> None:
        again, self._again = self._again, False
        if again and ending is not Ending.FAILED:
            self.run()

    def _take_session(self, value: object = None) -> None:
        """Follow what another widget, or a click, has chosen."""
        uid, label = self._session.cells, self._session.label
        chosen = next((layer for layer in self._viewer.layers if str(layer.unique_id) == uid), None)
        if chosen is not None and chosen is not self.cells_choice.layer:
            self.cells_choice.choose(chosen)
        self.cell_text.setText(f"cell {label}" if label else "click a cell in the image")
        self._refresh()
        if not label or value is None or not self.isVisible():
            return
        if self.one_cell.isChecked():
            self.run()
        else:
            self._show_figures()

    def _take_cells(self) -> None:
        """Follow the choice of another layer of cells."""
        cells = self.cells_choice.layer
        if cells is None:
            self._refresh()
            return
        image = image_of(self._viewer.layers, cells, guess=True)
        if image is not None:
            self.image_choice.choose(image)
        if self._session.cells != str(cells.unique_id):
            self._session.cells, self._session.label = str(cells.unique_id), 0
        columns = [str(name) for name in cells.features.columns]
        self._list_classes(tuple(name.removeprefix("prob_") for name in columns if name.startswith("prob_")))
        self._refresh()

    def _list_classes(self, classes: tuple[str, ...]) -> None:
        listed = tuple(self.class_choice.itemData(index) for index in range(1, self.class_choice.count()))
        if not classes or classes == listed:
            return
        kept = self.class_choice.currentData()
        blocked = self.class_choice.blockSignals(True)
        self.class_choice.clear()
        self.class_choice.addItem("the name that it got", "")
        for name in classes:
            self.class_choice.addItem(name, name)
        self.class_choice.setCurrentIndex(max(self.class_choice.findData(kept), 0))
        self.class_choice.blockSignals(blocked)

    def _changed(self) -> None:
        """Explain anew what is shown, when it is to be shown otherwise."""
        self._refresh()
        if self._answer is not None and self.one_cell.isChecked():
            self.run()

    def _refresh(self) -> None:
        cells, image, one = self.cells_choice.layer, self.image_choice.layer, self.one_cell.isChecked()
        if cells is None:
            why = "Segment an image first, or open a labels layer of outlined cells."
        elif image is None:
            why = "Open the colour image that the cells are on."
        elif one and not self._session.label:
            why = "Click a cell in the image first."
        else:
            why = ""
        self.panel.hinder(why)
        self.cell_text.setEnabled(one)
        about = {} if cells is None else cells.metadata.get(KEY, {})
        model, diameter = model_and_diameter(about, self._session.model, self._session.diameter)
        size = f"{diameter:.0f} px" if diameter else "diameter from the outlines"
        self.model_text.setText(f"{model or 'shipped model'}, {size}")

    def _listen(self) -> None:
        events = self._session.events
        listen(self, events.label, events.cells, to=self._take_session)
        listen(self, events.model, events.diameter, to=self._refresh)
        on_click(self, bare(self._viewer), self._pick)

    def _pick(self, event: Any) -> None:
        """Take the cell under the mouse."""
        cells = self.cells_choice.layer
        if cells is None or not self.isVisible() or not cells.visible or cells.mode != "pan_zoom":
            return
        label = cells.get_value(
            event.position, view_direction=event.view_direction, dims_displayed=event.dims_displayed, world=True
        )
        label = label[1] if isinstance(label, tuple) else label  # of a multi-scale layer, with its level
        if label:
            self._session.cells, self._session.label = str(cells.unique_id), int(label)

    def _lay_out(self) -> None:
        self.cells_choice = LayerChoice(self._viewer, _is_labels, "The outlined cells: of a run, a file, or painted.")
        self.cells_choice.chosen.connect(self._take_cells)
        self.image_choice = LayerChoice(self._viewer, is_smear, "The colour image that the cells are on.")
        self.image_choice.chosen.connect(self._refresh_image)
        self.one_cell, self.all_cells = QRadioButton("one"), QRadioButton("all")
        self.one_cell.setToolTip("Explain the cell that you click, or choose in a table.")
        self.all_cells.setToolTip("Explain all cells of the layer; then click one for its figures.")
        self.one_cell.setChecked(True)
        self._which = QButtonGroup(self)
        for button in (self.one_cell, self.all_cells):
            self._which.addButton(button)
        self.one_cell.toggled.connect(self._refresh)
        self.cell_text = QLabel()
        self.cell_text.setToolTip("The cell that is looked at; all widgets share it.")
        which = QHBoxLayout()
        which.setContentsMargins(0, 0, 0, 0)
        for control in (self.one_cell, self.all_cells):
            which.addWidget(control)
        which.addSpacing(8)
        which.addWidget(self.cell_text, stretch=1)
        self.class_choice = QComboBox()
        self.class_choice.addItem("the name that it got", "")
        self.class_choice.setToolTip("The class whose evidence is shown; the runner-up is shown beside it anyway.")
        self.level_choice = QComboBox()
        for index, (title, stride, tooltip) in enumerate(LEVELS):
            self.level_choice.addItem(title, stride)
            self.level_choice.setItemData(index, tooltip, Qt.ItemDataRole.ToolTipRole)
        self.level_choice.setToolTip(
            "On which level of the network to look. The fused map decides; finer levels show texture, coarser ones "
            "context. Strides are in pixels at the model's own scale."
        )
        for choice in (self.class_choice, self.level_choice):
            choice.currentIndexChanged.connect(self._changed)
        self.model_text = QLabel()
        self.model_text.setToolTip("As the cells were made, or as chosen in the Segment widget.")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for title, field in (
            ("Cells", self.cells_choice),
            ("Image", self.image_choice),
            ("Explain", which),
            ("Class", self.class_choice),
            ("Level", self.level_choice),
            ("Model", self.model_text),
        ):
            form.addRow(title, field)
        self.panel = TaskPanel(self._viewer, "Explain", "Show where the evidence for the class lies.")
        self.panel.run_button.clicked.connect(self.run)
        self.panel.changed.connect(self._refresh)
        self.view = ExplanationView()
        self.view.hide()
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.panel)
        layout.addWidget(self.view, stretch=1)
        layout.addStretch()
        self.setMinimumWidth(340)
        self._take_cells()

    def _refresh_image(self) -> None:
        if hasattr(self, "panel"):
            self._refresh()


def _is_labels(layer: object) -> bool:
    return isinstance(layer, Labels)
