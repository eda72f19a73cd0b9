"""The main widget: outline and name every white blood cell of an image."""

from __future__ import annotations

import time
import weakref
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import napari
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

import sgcldff_core
from napari_sgcldff.layers import Source, is_smear, prediction_layers, show_layers
from napari_sgcldff.tasks import Ending, Progress, Report, Task
from napari_sgcldff.torch_loading import load_torch
from napari_sgcldff.widgets.differential import DifferentialTable

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
        self._task: Task[_Finding] | None = None
        self._lay_out()
        self._list_images()
        events = [napari_viewer.layers.events.inserted, napari_viewer.layers.events.removed]
        events.append(napari_viewer.layers.events.renamed)
        for event in events:
            event.connect(self._list_images)
        self.destroyed.connect(partial(_forget, weakref.ref(self), events))

    def run(self) -> None:
        """Start the model on the chosen image; while it runs this does nothing."""
        layer = self._chosen_layer()
        if layer is None or (self._task is not None and self._task.running):
            return
        model, diameter, explain = self.model.text().strip(), self.diameter.value() or None, self.explain.isChecked()
        step = self._viewer.dims.current_step

        def work(report: Report) -> _Finding:
            report("reading", 0, 0)
            return _find(Source.of(layer, step), model, diameter, explain, report)

        self._task = Task(
            "Segment white blood cells",
            work,
            on_result=self._show,
            on_progress=self._advance,
            on_end=self._end,
        )
        self._task.start()
        self.message.setText("")
        self._refresh()

    def cancel(self) -> None:
        """Ask the running model to stop."""
        if self._task is not None and self._task.running:
            self._task.cancel()
            self.cancel_button.setEnabled(False)
            self.message.setText("Stopping …")

    def _show(self, finding: _Finding) -> None:
        if finding.source.uid not in {str(layer.unique_id) for layer in self._viewer.layers}:
            self.message.setText(f"{finding.source.name} was removed; its result was dropped.")
            return
        layers = prediction_layers(finding.prediction, finding.source, finding.run, finding.classes)
        # The cells come last; with them selected, the status bar tells of the cell under the mouse.
        self._viewer.layers.selection.active = show_layers(self._viewer, layers)[-1]
        cells = finding.prediction.cells
        self.differential.show_cells(cells, finding.classes)
        self.differential.show()
        review = int(cells["needs_review"].sum()) if "needs_review" in cells else 0
        self.message.setText(
            f"{len(cells)} {'cell' if len(cells) == 1 else 'cells'} in {finding.run['seconds']:.1f} s, "
            f"diameter {finding.prediction.diameter:.0f} px" + (f"; {review} to review" if review else "")
        )

    def _advance(self, progress: Progress) -> None:
        self.progress.setRange(0, progress.total)
        self.progress.setValue(progress.done)
        self.progress.setFormat(f"{progress.stage} %p %" if progress.total else progress.stage)

    def _end(self, ending: Ending) -> None:
        if ending is Ending.STOPPED:
            self.message.setText("Stopped; nothing was changed.")
        elif ending is Ending.FAILED:
            self.message.setText("Failed; the notification says why.")
        self._refresh()

    def _refresh(self) -> None:
        running = self._task is not None and self._task.running
        ready = self.image_choice.count() > 0
        self.run_button.setEnabled(ready and not running)
        self.run_button.setToolTip(
            "A run is on; stop it first."
            if running
            else "Find, outline and name every white blood cell."
            if ready
            else "Open a colour image of a stained smear first."
        )
        self.progress.setVisible(running)
        self.cancel_button.setEnabled(running)
        for control in (self.image_choice, self.model, self.browse, self.diameter, self.explain):
            control.setEnabled(not running)

    def _list_images(self, event: object = None) -> None:
        chosen = self.image_choice.currentData()
        self.image_choice.clear()
        for layer in self._viewer.layers:
            if is_smear(layer):
                self.image_choice.addItem(layer.name, str(layer.unique_id))
        self.image_choice.setCurrentIndex(max(self.image_choice.findData(chosen), 0))
        self._refresh()

    def _chosen_layer(self) -> Any:
        uid = self.image_choice.currentData()
        return next((layer for layer in self._viewer.layers if str(layer.unique_id) == uid), None)

    def _choose_model(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a model folder")
        if folder:
            self.model.setText(folder)

    def _lay_out(self) -> None:
        self.image_choice = QComboBox()
        self.image_choice.setToolTip("The colour image to work on; of a stack, the plane that is shown.")
        self.image_choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.image_choice.setMinimumContentsLength(12)
        self.model = QLineEdit()
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
        self.run_button = QPushButton("Segment")
        self.run_button.clicked.connect(self.run)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip("Stop the run and leave the viewer as it was.")
        self.cancel_button.clicked.connect(self.cancel)
        self.progress = QProgressBar()
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.differential = DifferentialTable()
        self.differential.hide()
        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button, stretch=1)
        buttons.addWidget(self.cancel_button)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addLayout(buttons)
        layout.addWidget(self.progress)
        layout.addWidget(self.message)
        layout.addWidget(self.differential)
        layout.addStretch()
        self.setMinimumWidth(300)


def _forget(widget: weakref.ref[SegmentWidget], events: list[Any]) -> None:
    """Stop what a widget started and what it listens to, once its window is gone."""
    gone = widget()
    if gone is None:
        return
    for event in events:
        event.disconnect(gone._list_images)
    if gone._task is not None:
        gone._task.abandon()


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
