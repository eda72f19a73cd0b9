"""The main widget: outline and name every white blood cell of an image."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import napari
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QCheckBox, QComboBox, QFormLayout, QHBoxLayout, QSpinBox, QVBoxLayout, QWidget

from napari_sgcldff.extent import Extent, is_smear, plane_count
from napari_sgcldff.layers import finding_layers, show_layers
from napari_sgcldff.segmenting import ModelShelf, Order, estimate_diameter, segment
from napari_sgcldff.session import session_of
from napari_sgcldff.view import visible_box
from napari_sgcldff.widgets.cell_table import CellTable
from napari_sgcldff.widgets.device_choice import DeviceChoice
from napari_sgcldff.widgets.diameter import DiameterControl
from napari_sgcldff.widgets.layer_choice import LayerChoice
from napari_sgcldff.widgets.live import LiveMode
from napari_sgcldff.widgets.model_choice import ModelChoice
from napari_sgcldff.widgets.task_panel import TaskPanel
from sgcldff_core.cells import UNLIKE_A_SMEAR, counted_cells
from sgcldff_core.errors import ConfigError
from sgcldff_core.model_folders import SMALL_MODEL, available_models

if TYPE_CHECKING:
    from napari_sgcldff.segmenting import Finding
    from napari_sgcldff.tasks import Report

__all__ = ["SegmentWidget"]

_NO_IMAGE = "Open a colour image of a stained smear first."
_STRIDE, _LEAST_TILE, _USUAL_TILE, _LARGEST_TILE = 32, 288, 640, 2048  # px at the model's scale


class SegmentWidget(QWidget):
    """Choose an image and a model, run it in the background, show layers, the count and the cells.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose images it works on.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._session = session_of(napari_viewer)
        self._shelf = ModelShelf()
        self._make_controls()
        self._lay_out()
        self._refresh()

    def run(self) -> None:
        """Start the model on the chosen image; while it runs this does nothing."""
        extent = self._extent()
        if extent is None:
            return
        order, shelf = self._order(), self._shelf

        def work(report: Report) -> Finding:
            return segment(extent, order, shelf, report)

        self.panel.start("Segment white blood cells", work, self._show)

    def estimate(self) -> None:
        """Measure the cells that are in view, and write their diameter into the box."""
        extent = self._extent()
        if extent is None:
            return
        extent, order, shelf = extent.only(0), self._order(), self._shelf

        def work(report: Report) -> float:
            return estimate_diameter(extent, order, shelf, report)

        self.panel.start("Estimate the diameter", work, self._accept)

    def _extent(self) -> Extent | None:
        layer = self.image_choice.layer
        if layer is None:
            return None
        box = visible_box(self._viewer, layer) if self.region.currentIndex() else None
        try:
            return Extent.of(
                layer,
                self._viewer.dims.current_step,
                box=box,
                whole_stack=self.planes.currentIndex() > 0 and plane_count(layer) > 1,
            )
        except ConfigError as problem:
            self.panel.message.setText(f"{str(problem)[:1].upper()}{str(problem)[1:]}.")
            return None

    def _order(self) -> Order:
        return Order(
            self._session.model,
            self._session.diameter,
            self.explain.isChecked(),
            self.device.currentText(),
            self.tile.value(),
        )

    def _live_order(self) -> Order:
        order = self._order()
        # One look: a view that is passed through needs no second opinion.
        return replace(order, model=self._live_model(), explain=False, mirror=False)

    def _live_model(self) -> str:
        return SMALL_MODEL if SMALL_MODEL in available_models() else self._session.model

    def _accept(self, diameter: float) -> None:
        self.diameter.accept_estimate(diameter)
        self.panel.message.setText(f"A typical cell is {diameter:.0f} px across, as the ring in the view.")

    def _show(self, finding: Finding) -> None:
        if not self._is_open(finding):
            self.panel.message.setText(f"{finding.extent.name} was removed; its result was dropped.")
            return
        # The cells come last; with them selected, the status bar tells of the cell under the mouse.
        cells = show_layers(self._viewer, finding_layers(finding), between=QApplication.processEvents)[-1]
        self._viewer.layers.selection.active = cells
        self._session.cells, self._session.label = str(cells.unique_id), 0
        self._say(finding, "")

    def _show_live(self, finding: Finding) -> None:
        kept = self._viewer.layers.selection.active
        cells = show_layers(self._viewer, finding_layers(finding, live=True))[-1]
        self._viewer.layers.selection.active = kept
        self._session.cells, self._session.label = str(cells.unique_id), 0
        self._say(finding, "Live: ")

    def _is_open(self, finding: Finding) -> bool:
        return finding.extent.uid in {str(layer.unique_id) for layer in self._viewer.layers}

    def _say(self, finding: Finding, start: str) -> None:
        cells, run = finding.cells, finding.run
        review = int(cells["needs_review"].sum()) if "needs_review" in cells else 0
        images = f" in {len(finding.extent.planes)} images" if len(finding.extent.planes) > 1 else ""
        self.panel.message.setText(
            f"{start}{len(cells)} {'cell' if len(cells) == 1 else 'cells'}{images} in {run['seconds']:.1f} s, "
            f"diameter {finding.diameter:.0f} px"
            + (f"; {review} to review" if review else "")
            + (f"; {UNLIKE_A_SMEAR}" if len(counted_cells(cells)) < len(cells) else "")
        )

    def _refresh(self, event: object = None) -> None:
        layer = self.image_choice.layer
        running, live = self.panel.running, self.live.isChecked()
        why = _NO_IMAGE if layer is None else "Live is on; switch it off for a whole run." if live else ""
        self.panel.hinder(why)
        for control in (self.image_choice, self.model, self.explain, self.region, self.planes, self.device, self.tile):
            control.setEnabled(not running)
        self.planes.setVisible(layer is not None and plane_count(layer) > 1)
        self.diameter.value.setEnabled(not running)
        self.diameter.estimate.setEnabled(not running and not why)
        self.diameter.estimate.setToolTip(
            "A run is on." if running else why or "Measure the cells of the image, or of its visible part."
        )
        self.diameter.draw()
        self.live.setEnabled(layer is not None and not running)
        self.live.setToolTip(
            _NO_IMAGE
            if layer is None
            else "A run is on."
            if running
            else "Find the cells in view again whenever the view moves, "
            f"with the model {self._live_model() or 'that ships'}."
        )
        self.device.refresh()

    def _image_chosen(self) -> None:
        self._refresh()
        self.live.look_anew()

    def _make_controls(self) -> None:
        self.image_choice = LayerChoice(
            self._viewer, is_smear, "The colour image to work on: a field, a stack, a slide."
        )
        self.region = QComboBox()
        self.region.addItems(["Whole image", "Visible part"])
        self.region.setToolTip("Work on the whole image, or only on the part that is in view now.")
        self.planes = QComboBox()
        self.planes.addItems(["Shown plane", "All planes"])
        self.planes.setToolTip("Work on the plane of the stack that is shown, or on every one.")
        self.model = ModelChoice(self._viewer)
        self.diameter = DiameterControl(self._viewer, lambda: self.image_choice.layer)
        self.device = DeviceChoice()
        self.tile = QSpinBox()
        self.tile.setRange(_LEAST_TILE, _LARGEST_TILE)
        self.tile.setSingleStep(_STRIDE)
        self.tile.setValue(_USUAL_TILE)
        self.tile.setPrefix("tiles of ")
        self.tile.setSuffix(" px")
        self.tile.setToolTip(
            "Side of the squares that the model sees at once, in pixels at its own scale, a multiple of 32. "
            "Smaller ones need less memory, larger ones are a little quicker."
        )
        self.tile.editingFinished.connect(self._round_tile)
        self.explain = QCheckBox("with Grad-CAM")
        self.explain.setToolTip("Also show which pixels spoke for the class of each cell; takes longer.")
        self.live = LiveMode(self._viewer, lambda: self.image_choice.layer, self._live_order, self._shelf)
        self.panel = TaskPanel(self._viewer, "Segment", "Find, outline and name every white blood cell.")
        self.cells = CellTable(self._viewer)
        self.image_choice.chosen.connect(self._image_chosen)
        self.diameter.estimate_asked.connect(self.estimate)
        self.live.toggled.connect(self._refresh)
        self.live.found.connect(self._show_live)
        self.live.said.connect(self.panel.message.setText)
        self.panel.run_button.clicked.connect(self.run)
        self.panel.changed.connect(self._refresh)

    @property
    def differential(self) -> Any:
        """The table of the differential count."""
        return self.cells.differential

    def _round_tile(self) -> None:
        self.tile.setValue(max(_LEAST_TILE, round(self.tile.value() / _STRIDE) * _STRIDE))

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        form.addRow("Image", self.image_choice)
        form.addRow("Part", _row(self.region, self.planes))
        form.addRow("Model", self.model)
        form.addRow("Diameter", self.diameter)
        form.addRow("Run on", _row(self.device, self.tile))
        form.addRow("", _row(self.explain, self.live))
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.panel)
        layout.addWidget(self.cells, stretch=1)
        self.setMinimumWidth(360)


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        row.addWidget(widget, stretch=1)
    return row
