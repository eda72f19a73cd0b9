"""Process a folder: every image of it to the files that the command line writes."""

from __future__ import annotations

from collections import deque
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import napari
from napari.layers import Layer
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, QTimer, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sgcldff.predict_outputs import LABELS_SUFFIX, read_outputs
from napari_sgcldff.processing import Job, images_in, process
from napari_sgcldff.session import session_of
from napari_sgcldff.tasks import Ending
from napari_sgcldff.widgets.differential import DifferentialTable
from napari_sgcldff.widgets.file_list import FileList
from napari_sgcldff.widgets.listening import listen
from napari_sgcldff.widgets.task_panel import TaskPanel
from sgcldff_core.errors import ConfigError, SgcldffError

if TYPE_CHECKING:
    from sgcldff_core.inference.batch import BatchResult, FileStep

__all__ = ["BatchWidget"]

_CHOOSE = "Choose a folder of images first."
_OUTPUT = "sgcldff"  # folder for the results, in that of the images
_DRAW = 100  # ms between two looks at how far the files are
_PAUSE = 400  # ms without a key before a folder that is typed is listed


class BatchWidget(QWidget):
    """Choose a folder, run the model over its images, open what it found.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that shows the results.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._session = session_of(napari_viewer)
        self._inputs: dict[str, Path] = {}
        self._written = Path()
        self._why = _CHOOSE
        self._steps: deque[FileStep] = deque()
        self._draw, self._typed = QTimer(self), QTimer(self)
        self._draw.setInterval(_DRAW)
        self._draw.timeout.connect(self._take_steps)
        self._typed.setSingleShot(True)
        self._typed.setInterval(_PAUSE)
        self._typed.timeout.connect(self.list_files)
        self._lay_out()
        self._show_model()
        listen(self, self._session.events.model, to=self._show_model)
        self._refresh()

    def run(self) -> None:
        """Process the listed files; while that runs this does nothing."""
        if self._typed.isActive():
            self.list_files()
        if not self._inputs or self.panel.running:
            return
        job = Job(
            dict(self._inputs),
            self._out(),
            self._session.model,
            self.diameter.value() or None,
            self.explain.isChecked(),
        )
        self._steps.clear()
        if self.panel.start(
            "Process a folder", partial(process, job, self._steps.append), self._show, on_end=self._end
        ):
            self._written = job.folder
            self.files.wait()
            self.differential.hide()
            self._draw.start()

    def list_files(self) -> None:
        """List the images of the folder."""
        self._typed.stop()
        self._inputs = {}
        why = _CHOOSE
        if self.folder.text().strip():
            try:
                self._inputs, why = images_in(self.folder.text().strip(), self._out(), below=self.below.isChecked()), ""
            except (ConfigError, OSError) as problem:
                why = f"{str(problem)[0].upper()}{str(problem)[1:]}."
        self.files.show_files(self._inputs)
        count = len(self._inputs)
        self.panel.message.setText(f"{count} {'image' if count == 1 else 'images'}" if count else why)
        self._why = why
        self._refresh()

    def _show(self, result: BatchResult) -> None:
        columns = [str(name) for name in result.cells.columns]
        classes = [name.removeprefix("prob_") for name in columns if name.startswith("prob_")]
        self.differential.show_cells(result.cells, classes)
        self.differential.show()
        failed = len(result.failures)
        done = len(result.files) - failed
        review = int(result.cells["needs_review"].sum()) if len(result.cells) else 0
        self.panel.message.setText(
            f"{len(result.cells)} cells in {done} {'image' if done == 1 else 'images'}, {review} to review, "
            f"in {result.seconds:.0f} s." + (f" {failed} could not be used: the list says why." if failed else "")
        )

    def _end(self, ending: Ending) -> None:
        self._draw.stop()
        self._take_steps()
        if ending is not Ending.DONE:
            self.files.stop()
        if ending is Ending.STOPPED:
            done = sum(1 for stem in self._inputs if (self._written / f"{stem}{LABELS_SUFFIX}").is_file())
            self.panel.message.setText(f"Stopped; the results of {done} images are kept.")
        self._refresh()

    def _take_steps(self) -> None:
        while self._steps:
            self.files.show_step(self._steps.popleft())

    def _open(self, stem: str) -> None:
        """Show the results of a file; those that are shown already are brought to the front."""
        shown = {layer.name: layer for layer in self._viewer.layers}
        title = f"{stem} WBC"
        file = self._written / f"{stem}{LABELS_SUFFIX}"
        if title in shown and shown[title].metadata.get("sgcldff", {}).get("file") == str(file):
            self._viewer.layers.selection.active = shown[title]
            return
        try:
            layers = read_outputs(file, self._inputs.get(stem))
        except SgcldffError as problem:
            show_error(str(problem))
            return
        for layer in self._viewer.layers:
            layer.visible = False
        for data, attributes, kind in layers:
            layer = self._viewer.add_layer(Layer.create(data, attributes, kind))
            if kind == "labels":
                layer.contour = 3
        self._viewer.reset_view()

    def _open_folder(self) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._out())))

    def _out(self) -> Path:
        chosen = self.out.text().strip()
        if chosen:
            return Path(chosen).expanduser()
        folder = Path(self.folder.text().strip()).expanduser()
        return (folder.parent if folder.is_file() else folder) / _OUTPUT

    def _refresh(self) -> None:
        running = self.panel.running
        self.panel.hinder(self._why)
        for control in (self.folder, self.browse, self.below, self.out, self.browse_out, self.diameter, self.explain):
            control.setEnabled(not running)
        self.out.setPlaceholderText(str(self._out()) if self.folder.text().strip() else f"{_OUTPUT}, beside the images")
        there = self._out().is_dir() and bool(self.folder.text().strip() or self.out.text().strip())
        self.open_folder.setEnabled(there)
        self.open_folder.setToolTip("Show the tables and images." if there else "Nothing was written there yet.")

    def _type(self, text: str) -> None:
        self._typed.start()

    def _show_model(self, value: object = None) -> None:
        self.model.setText(self._session.model or "shipped model")

    def _choose(self, target: QLineEdit, title: str) -> None:
        folder = QFileDialog.getExistingDirectory(self, title)
        if folder:
            target.setText(folder)
            self.list_files()

    def _lay_out(self) -> None:
        self.folder, self.browse = QLineEdit(), QPushButton("…")
        self.folder.setPlaceholderText("folder of images")
        self.folder.setToolTip("A folder of images of stained smears: PNG, JPEG, TIFF, BMP and others.")
        self.below = QCheckBox("and the folders below")
        self.below.setToolTip("Take the images of all folders below as well.")
        self.out, self.browse_out = QLineEdit(), QPushButton("…")
        self.out.setToolTip("Where labels, maps, overlays and tables are written.")
        for button, target, title in (
            (self.browse, self.folder, "Choose a folder of images"),
            (self.browse_out, self.out, "Choose a folder for the results"),
        ):
            button.setMaximumWidth(32)
            button.setToolTip(f"{title}.")
            button.clicked.connect(partial(self._choose, target, title))
        self.model = QLabel()
        self.model.setToolTip("As chosen in the Segment widget.")
        self.diameter = QDoubleSpinBox()
        self.diameter.setRange(0, 2000)
        self.diameter.setDecimals(0)
        self.diameter.setSingleStep(5)
        self.diameter.setSuffix(" px")
        self.diameter.setSpecialValueText("estimate for each image")
        self.diameter.setValue(self._session.diameter)
        self.diameter.setToolTip("Diameter of a typical leukocyte in pixels, the same for all images.")
        self.explain = QCheckBox("with Grad-CAM")
        self.explain.setToolTip("Also write which pixels spoke for the class of each cell.")
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        form.addRow("Images", _row(self.folder, self.browse))
        form.addRow("", self.below)
        form.addRow("Results", _row(self.out, self.browse_out))
        form.addRow("Model", self.model)
        form.addRow("Diameter", self.diameter)
        form.addRow("Explain", self.explain)
        self.panel = TaskPanel(self._viewer, "Process", "Find, outline and name the cells of every listed image.")
        self.panel.cancel_button.setToolTip("Stop, also within an image; what is done is kept.")
        self.panel.run_button.clicked.connect(self.run)
        self.panel.changed.connect(self._refresh)
        self.files = FileList()
        self.files.opened.connect(self._open)
        self.open_folder = QPushButton("Open the results folder")
        self.open_folder.clicked.connect(self._open_folder)
        self.differential = DifferentialTable()
        self.differential.hide()
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.panel)
        layout.addWidget(self.files, stretch=1)
        layout.addWidget(self.differential)
        layout.addWidget(self.open_folder)
        self.setMinimumWidth(340)
        for line in (self.folder, self.out):
            line.textChanged.connect(self._type)
        self.below.toggled.connect(self.list_files)


def _row(*controls: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    for control in controls:
        row.addWidget(control)
    return row
