"""Saliency maps: what stands out in a smear, by any prior, seen while its parameters change."""

from __future__ import annotations

from functools import partial
from typing import Any

import napari
from napari.layers import Labels
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_sgcldff.detector_figures import detector_figures
from napari_sgcldff.layers import is_smear, show_layers
from napari_sgcldff.placement import plane_of
from napari_sgcldff.prior_titles import listed_priors
from napari_sgcldff.saliency_preview import (
    LARGEST_WHOLE,
    Part,
    Recipe,
    Saliency,
    compute,
    saliency_layer,
)
from napari_sgcldff.session import session_of
from napari_sgcldff.tasks import Ending
from napari_sgcldff.view import camera_of
from napari_sgcldff.widgets.figures_table import FiguresTable
from napari_sgcldff.widgets.layer_choice import LayerChoice
from napari_sgcldff.widgets.listening import listen
from napari_sgcldff.widgets.task_panel import TaskPanel
from napari_sgcldff.widgets.value_slider import ValueSlider
from sgcldff_core.errors import ConfigError

__all__ = ["SaliencyWidget"]

_PAUSE = 200  # ms without a change before a preview starts


class SaliencyWidget(QWidget):
    """Choose a prior, refine it, and see at once what it makes of the image.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer whose images it works on.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._session = session_of(napari_viewer)
        self._last: Saliency | None = None
        self._shown: Any = None
        self._again = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._preview)
        self._lay_out()
        self._listen()
        self._refresh()

    def run(self) -> None:
        """Compute the saliency of the chosen image; while that runs, do so anew when it has stopped."""
        image = self.image_choice.layer
        if image is None:
            return
        if self.panel.running:
            self._again = True
            self.panel.cancel()
            return
        step = self._viewer.dims.current_step
        try:
            part = Part.of(image, step, whole=self.whole.isChecked() and self.whole.isEnabled())
            cells = self.cells_choice.layer
            labels = None if cells is None else part.labels_of(cells, image, step)
        except ConfigError as problem:
            self.panel.message.setText(f"{str(problem)[0].upper()}{str(problem)[1:]}.")
            return
        work = partial(compute, part, self.recipe(), labels, self._last)
        self.panel.start("Compute the saliency", work, self._show, on_end=self._ended)

    def recipe(self) -> Recipe:
        """Return what is set."""
        return Recipe(
            str(self.method.currentData()), self.smoothing.value(), self.gamma.value(), self.threshold.value()
        )

    def _show(self, found: Saliency) -> None:
        if found.part.source not in {str(layer.unique_id) for layer in self._viewer.layers}:
            self.panel.message.setText(f"{found.part.name} was removed; its saliency was dropped.")
            return
        first = self._last is None or self._last.part.source != found.part.source
        self._last = found
        active = self._viewer.layers.selection.active
        (shown,) = show_layers(self._viewer, [saliency_layer(found)], all_results=False)
        if first:  # from then on the eye of the layer list decides
            shown.visible = True
        if shown is not self._shown:
            self._shown = shown
            self._show_alone(self.alone.isChecked())
        self._viewer.layers.selection.active = active
        self.figures_title.setVisible(found.figures is not None)
        self.figures.setVisible(found.figures is not None)
        self.take_threshold.setVisible(found.figures is not None)
        if found.figures is not None:
            self.figures.show_figures(detector_figures(found.figures))
            self.take_threshold.setText(f"Cut off at the best threshold, {found.figures.threshold:.2f}")
        seen = "" if found.part.stride == (1, 1) else f", every {found.part.stride[0]} px"
        height, width = found.shown.shape
        self.panel.message.setText(f"{width} × {height} px{seen}")

    def _ended(self, ending: Ending) -> None:
        again, self._again = self._again, False
        if again and ending is not Ending.FAILED:
            self._timer.start()

    def _changed(self, *_: object) -> None:
        self._refresh()
        if self.live.isChecked() and self.isVisible():
            self._timer.start()

    def _preview(self) -> None:
        # Another widget's run comes first; this one follows with the next change.
        if self.live.isChecked() and (self.panel.running or not self._session.busy):
            self.run()

    def _moved(self, *_: object) -> None:
        """Follow the view over an image that is computed only where it is seen."""
        if self._last is not None and self._last.part.key[3][:2] != self._plane_shape():
            self._changed()

    def _show_alone(self, alone: bool) -> None:
        if self._shown is not None and self._shown in self._viewer.layers:
            self._shown.blending, self._shown.opacity = ("translucent", 1.0) if alone else ("additive", 0.6)

    def _take_threshold(self) -> None:
        if self._last is not None and self._last.figures is not None:
            self.threshold.set_value(self._last.figures.threshold)

    def _plane_shape(self) -> tuple[int, ...]:
        image = self.image_choice.layer
        return () if image is None else tuple(plane_of(image, self._viewer.dims.current_step)[0].shape[:2])

    def _refresh(self) -> None:
        shape = self._plane_shape()
        self.panel.hinder("" if shape else "Open a colour image of a stained smear first.")
        area = shape[0] * shape[1] if shape else 0
        small, large = area <= 2**22, area > LARGEST_WHOLE
        self.whole.setEnabled(not small and not large)
        self.whole.setToolTip(
            "The image is small: all of it is computed anyway."
            if small
            else "The image is too large to be computed as a whole; move the view instead."
            if large
            else "Compute all of this large image, which takes some seconds, not only what is seen of it."
        )

    def _listen(self) -> None:
        camera = camera_of(self._viewer)
        listen(self, self._viewer.dims.events.current_step, to=self._changed)
        listen(self, camera.events.zoom, camera.events.center, to=self._moved)

    def _lay_out(self) -> None:
        self.image_choice = LayerChoice(
            self._viewer, is_smear, "The colour image; of a stack, the plane that is shown."
        )
        self.method = QComboBox()
        for name, title, about in listed_priors():
            self.method.addItem(title, name)
            self.method.setItemData(self.method.count() - 1, about, Qt.ItemDataRole.ToolTipRole)
        self.method.setToolTip("What counts as standing out. The first one guides the shipped model.")
        self.smoothing = ValueSlider(0, 20, 0.5, 0, " px")
        self.smoothing.setToolTip("Blur, in pixels of the image; takes away specks.")
        self.gamma = ValueSlider(0.2, 3, 0.05, 1)
        self.gamma.setToolTip("Below 1 lifts what is faint, above 1 keeps only what is strong.")
        self.threshold = ValueSlider(0, 1, 0.01, 0)
        self.threshold.setToolTip("What is less salient than this is left out.")
        self.cells_choice = LayerChoice(self._viewer, _is_labels, "Outlined cells to measure the saliency against.")
        self.live = QCheckBox("at once")
        self.live.setChecked(True)
        self.live.setToolTip("Show each change of a parameter at once.")
        self.whole = QCheckBox("the whole image")
        self.alone = QCheckBox("alone, without the image")
        self.alone.setToolTip("Lay the saliency over the image, so that only it is seen, instead of adding its light.")
        self.alone.toggled.connect(self._show_alone)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for title, field in (
            ("Image", self.image_choice),
            ("Prior", self.method),
            ("Smoothing", self.smoothing),
            ("Gamma", self.gamma),
            ("Cut off", self.threshold),
            ("Measure on", self.cells_choice),
            ("Preview", self.live),
            ("Compute", self.whole),
            ("Show", self.alone),
        ):
            form.addRow(title, field)
        self.panel = TaskPanel(self._viewer, "Compute", "Compute the saliency and show it as a layer.")
        self.panel.run_button.clicked.connect(self.run)
        self.figures_title = QLabel("<b>As a detector by itself</b>")
        self.figures = FiguresTable()
        self.take_threshold = QPushButton()
        self.take_threshold.setToolTip("Leave out what is below the threshold at which it overlaps the cells best.")
        self.take_threshold.clicked.connect(self._take_threshold)
        for part in (self.figures_title, self.figures, self.take_threshold):
            part.hide()
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        for part in (self.panel, self.figures_title, self.figures, self.take_threshold):
            layout.addWidget(part)
        layout.addStretch()
        self.setMinimumWidth(340)
        self.image_choice.chosen.connect(self._changed)
        self.cells_choice.chosen.connect(self._changed)
        self.method.currentIndexChanged.connect(self._changed)
        self.live.toggled.connect(self._changed)
        self.whole.toggled.connect(self._changed)
        for slider in (self.smoothing, self.gamma, self.threshold):
            slider.changed.connect(self._changed)


def _is_labels(layer: object) -> bool:
    return isinstance(layer, Labels)
