"""The main widget: outline and name every white blood cell of an image."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import napari
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

import sgcldff_core
from napari_sgcldff.layers import Source, is_smear, prediction_layers, show_layers
from napari_sgcldff.session import session_of
from napari_sgcldff.tasks import Report
from napari_sgcldff.torch_loading import load_torch
from napari_sgcldff.widgets.differential import DifferentialTable
from napari_sgcldff.widgets.layer_choice import LayerChoice
from napari_sgcldff.widgets.task_panel import TaskPanel

if TYPE_CHECKING:
    from sgcldff_core.inference import Prediction

__all__ = ["SegmentWidget"]


class SegmentWidget(QWidget):
    """Choose an image and a model, run it in the background, show layers and the differential count.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose images it works on.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._session = session_of(napari_viewer)
        self._lay_out()
        self._refresh()

    def run(self) -> None:
        """Start the model on the chosen image; while it runs this does nothing."""
        layer = self.image_choice.layer
        if layer is None:
            return
        model, diameter, explain = self.model.text().strip(), self.diameter.value() or None, self.explain.isChecked()
        step = self._viewer.dims.current_step

        def work(report: Report) -> _Finding:
            report("reading", 0, 0)
            return _find(Source.of(layer, step), model, diameter, explain, report)

        if self.panel.start("Segment white blood cells", work, self._show):
            self._session.model, self._session.diameter = model, self.diameter.value()

    def _show(self, finding: _Finding) -> None:
        if finding.source.uid not in {str(layer.unique_id) for layer in self._viewer.layers}:
            self.panel.message.setText(f"{finding.source.name} was removed; its result was dropped.")
            return
        layers = prediction_layers(finding.prediction, finding.source, finding.run, finding.classes)
        # The cells come last; with them selected, the status bar tells of the cell under the mouse.
        self._viewer.layers.selection.active = show_layers(self._viewer, layers)[-1]
        cells = finding.prediction.cells
        self.differential.show_cells(cells, finding.classes)
        self.differential.show()
        review = int(cells["needs_review"].sum()) if "needs_review" in cells else 0
        self.panel.message.setText(
            f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'} in {finding.run['seconds']:.1f} s, "
            f"diameter {finding.prediction.diameter:.0f} px" + (f"; {review} to review" if review else "")
        )

    def _refresh(self) -> None:
        ready = self.image_choice.layer is not None
        self.panel.hinder("" if ready else "Open a colour image of a stained smear first.")
        for control in (self.image_choice, self.model, self.browse, self.diameter, self.explain):
            control.setEnabled(not self.panel.running)

    def _choose_model(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a model folder")
        if folder:
            self.model.setText(folder)

    def _lay_out(self) -> None:
        self.image_choice = LayerChoice(
            self._viewer, is_smear, "The colour image to work on; of a stack, the plane that is shown."
        )
        self.image_choice.chosen.connect(self._refresh)
        self.model = QLineEdit(self._session.model)
        self.model.setPlaceholderText("shipped model")
        self.model.setClearButtonEnabled(True)
        self.model.setToolTip("Name or folder of a model; empty for the one that ships with the plugin.")
        self.browse = QPushButton("…")
        self.browse.setMaximumWidth(32)
        self.browse.setToolTip("Choose a model folder.")
        self.browse.clicked.connect(self._choose_model)
        model_row = QHBoxLayout()
        model_row.setContentsMargins(0, 0, 0, 0)
        model_row.addWidget(self.model)
        model_row.addWidget(self.browse)
        self.diameter = QDoubleSpinBox()
        self.diameter.setRange(0, 2000)
        self.diameter.setDecimals(0)
        self.diameter.setSingleStep(5)
        self.diameter.setSuffix(" px")
        self.diameter.setSpecialValueText("estimate")
        self.diameter.setValue(self._session.diameter)
        self.diameter.setToolTip("Diameter of a typical leukocyte, in pixels of the image.")
        self.explain = QCheckBox("with Grad-CAM")
        self.explain.setToolTip("Also show which pixels spoke for the class of each cell; takes longer.")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        form.addRow("Image", self.image_choice)
        form.addRow("Model", model_row)
        form.addRow("Diameter", self.diameter)
        form.addRow("Explain", self.explain)
        self.panel = TaskPanel(self._viewer, "Segment", "Find, outline and name every white blood cell.")
        self.panel.run_button.clicked.connect(self.run)
        self.panel.changed.connect(self._refresh)
        self.differential = DifferentialTable()
        self.differential.hide()
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.panel)
        layout.addWidget(self.differential)
        layout.addStretch()
        self.setMinimumWidth(300)


@dataclass(frozen=True, slots=True, eq=False)
class _Finding:
    source: Source
    prediction: Prediction
    classes: tuple[str, ...]
    run: dict[str, Any]


def _find(source: Source, model: str, diameter: float | None, explain: bool, report: Report) -> _Finding:
    report("loading the model", 0, 0)
    load_torch()
    # Imported here, in the worker's thread, because they bring torch.
    from sgcldff_core.inference import predict_image
    from sgcldff_core.model import load_model

    loaded = load_model(model or None)
    begun = time.perf_counter()
    prediction = predict_image(
        source.image, loaded, name=source.name, diameter=diameter, explain=explain, progress=report
    )
    run = {
        "model": loaded.name,
        "sha256": loaded.sha256,
        "version": sgcldff_core.__version__,
        "diameter": prediction.diameter,
        "diameter_given": diameter is not None,
        "explain": explain,
        "seconds": time.perf_counter() - begun,
    }
    return _Finding(source, prediction, tuple(loaded.config.classes), run)
