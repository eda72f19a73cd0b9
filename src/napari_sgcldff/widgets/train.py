"""Train a model: from corrected cells and data sets, watched as it goes, compared and saved at the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import napari
from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QAction
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMenu,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_sgcldff.session import session_of
from napari_sgcldff.tasks import Ending, Report
from napari_sgcldff.training_run import TrainingRun, runs_folder, unfinished_runs
from napari_sgcldff.training_wish import Wish
from napari_sgcldff.widgets.before_after_view import BeforeAfterView
from napari_sgcldff.widgets.task_panel import TaskPanel
from napari_sgcldff.widgets.training_progress import TrainingProgress
from napari_sgcldff.widgets.training_settings import TrainingSettings
from napari_sgcldff.widgets.training_sources import TrainingSources
from sgcldff_core.errors import SgcldffError
from sgcldff_core.model_folders import DESCRIPTION, available_models, user_models

if TYPE_CHECKING:
    from sgcldff_core.evaluation.before_after import BeforeAfter

__all__ = ["TrainWidget"]

_REDRAW = 400  # ms between looks at a run
_WIDTH = 376  # px, in which everything has room beside the scroll bar


class TrainWidget(QScrollArea):
    """Choose what to learn from and how, watch the training, compare, and save the model.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        Its open layers can be learned from; a model that is saved is selected in its session.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._session = session_of(napari_viewer)
        self._run: TrainingRun | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_REDRAW)
        self._timer.timeout.connect(self._look)
        self._lay_out()
        self._refresh()

    def run(self) -> None:
        """Start a training with what is chosen; while a task is on this only says so."""
        try:
            wish = Wish(
                paths=self.sources.paths,
                pairs=self.sources.pairs(),
                start=self.settings.start.currentData(),
                heads=self.settings.heads,
                epochs=self.settings.epochs.value(),
                validation=self.settings.validation.value() / 100,
                learning_rate=self.settings.learning_rate,
                views=self.settings.views.value(),
            )
        except SgcldffError as error:
            show_error(str(error))
            return
        self._start(TrainingRun(), wish)

    def resume(self, folder: Path) -> None:
        """Go on with a run that was broken off, from its folder.

        Parameters
        ----------
        folder : Path
            The run's.
        """
        run = self._run if self._run is not None and self._run.folder == folder else TrainingRun(folder)
        self._start(run, None)

    def compare(self) -> None:
        """Hold the model that was gone on from against the new one, on the same images."""
        run = self._run
        if run is None or not run.comparable:
            return

        def show(result: BeforeAfter) -> None:
            self.before_after.show_result(result, result.images, held_out=run.held_out)
            self.tabs.setCurrentWidget(self.before_after)
            self.panel.message.setText(" ".join(["Trained and compared; save the model to use it.", *run.notes]))

        self.panel.start("Compare before and after", run.compare, show)

    def save(self) -> None:
        """Save the model under the name that is given and select it for the other widgets."""
        run, name = self._run, self.name.text().strip()
        if run is None or not run.has_model or not name:
            return
        taken = (user_models() / name / DESCRIPTION).is_file()
        if taken and not self._may_overwrite(name):
            return
        try:
            run.save(name, overwrite=taken)
        except SgcldffError as error:
            show_error(str(error))
            return
        self._session.model = name
        self.settings.list_models()
        self.panel.message.setText(f"Saved as {name}, and selected for segmenting.")

    def _start(self, run: TrainingRun, wish: Wish | None) -> None:
        def work(report: Report) -> None:
            run.execute(wish, report)

        if not self.panel.start("Train a model", work, self._done, on_end=self._ended):
            return
        self._run = run
        self.tabs.setCurrentWidget(self.progress)
        self._timer.start()
        self._refresh()

    def _done(self, nothing: None) -> None:
        # Started once this task is over and the viewer free for the next.
        QTimer.singleShot(0, self.compare)

    def _ended(self, ending: Ending) -> None:
        self._timer.stop()
        run = self._run
        self.progress.show_run(run)
        if run is None:
            return
        run.go_on()
        if ending is Ending.STOPPED:
            best = "The best model so far is kept: save it, compare it, or resume the run." if run.has_model else ""
            self.panel.message.setText(f"Stopped. {best or 'There was no model yet.'}")
        elif ending is Ending.DONE:
            self.panel.message.setText(" ".join(["Trained.", *run.notes]))
        if ending is not Ending.FAILED and not self.name.text():
            self.name.setText(self._new_name())

    def _look(self) -> None:
        """Draw where the run is."""
        if self._run is not None:
            self.progress.show_run(self._run)
            if self._run.notes and not self._run.paused and self.panel.cancel_button.isEnabled():
                self.panel.message.setText(" ".join(self._run.notes))

    def _pause(self) -> None:
        run = self._run
        if run is None or not self.panel.running:
            return
        if run.paused:
            run.go_on()
        else:
            run.pause()
        self.progress.show_run(run)
        self._refresh()

    def _list_runs(self) -> None:
        self.runs.clear()
        for folder in unfinished_runs()[:10]:
            self.runs.addAction(f"Run of {folder.name}").setData(str(folder))
        if not self.runs.isEmpty():
            self.runs.addSeparator()
        self.runs.addAction("Choose a folder …")

    def _choose_run(self, action: QAction) -> None:
        folder = action.data() or QFileDialog.getExistingDirectory(
            self, "Choose the folder of a run", str(runs_folder())
        )
        if folder:
            self.resume(Path(folder))

    def _may_overwrite(self, name: str) -> bool:
        question = f"There is a model {name} already. Replace it?"
        buttons = QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No
        answer = QMessageBox.question(self, "Replace a model", question, buttons, QMessageBox.StandardButton.No)
        return answer == QMessageBox.StandardButton.Yes

    def _new_name(self) -> str:
        known, number = available_models(), 1
        while f"my-model-{number}" in known:
            number += 1
        return f"my-model-{number}"

    def _refresh(self) -> None:
        running, run = self.panel.running, self._run
        self.panel.hinder("Add a folder or layers to learn from first." if self.sources.empty else "")
        self.sources.setEnabled(not running)
        self.settings.setEnabled(not running)
        training = running and self._timer.isActive()
        self.pause_button.setEnabled(training)
        self.pause_button.setText("Go on" if training and run is not None and run.paused else "Pause")
        self.pause_button.setToolTip(
            "Wait after the present step, so that the machine is free." if training else "No training is on."
        )
        self.resume_button.setEnabled(not running)
        self.resume_button.setToolTip(
            "A run is on; stop it first." if running else "Go on with a training that was broken off."
        )
        self.compare_button.setEnabled(not running and run is not None and run.comparable)
        self.compare_button.setToolTip(
            "Compare the model before and after on the same images."
            if self.compare_button.isEnabled()
            else "Train a model first."
        )
        usable = not running and run is not None and run.has_model
        self.save_button.setEnabled(bool(usable and self.name.text().strip()))
        self.save_button.setToolTip(
            "Put the model among your own and select it for segmenting."
            if self.save_button.isEnabled()
            else "Give the model a name first."
            if usable
            else "Train a model first."
        )

    def _lay_out(self) -> None:
        self.sources = TrainingSources(self._viewer)
        self.sources.changed.connect(self._refresh)
        self.settings = TrainingSettings(self._session.model)
        self.panel = TaskPanel(self._viewer, "Train", "Train on what is chosen; the best model is kept.")
        self.panel.cancel_button.setToolTip("Stop the training; the best model so far is kept.")
        self.panel.run_button.clicked.connect(self.run)
        self.panel.changed.connect(self._refresh)
        self.pause_button = QPushButton("Pause")
        self.pause_button.clicked.connect(self._pause)
        self.resume_button = QPushButton("Resume …")
        self.runs = QMenu(self)
        self.runs.aboutToShow.connect(self._list_runs)
        self.runs.triggered.connect(self._choose_run)
        self.resume_button.setMenu(self.runs)
        self.compare_button = QPushButton("Compare")
        self.compare_button.clicked.connect(self.compare)
        self.progress = TrainingProgress(self._viewer)
        self.before_after = BeforeAfterView()
        self.tabs = QTabWidget()
        self.tabs.addTab(self.progress, "Progress")
        self.tabs.addTab(self.before_after, "Before and after")
        self.name = QLineEdit()
        self.name.setPlaceholderText("name of the new model")
        self.name.setToolTip("Under this name the model is found in every widget and by sgcldff predict --model.")
        self.name.textChanged.connect(self._refresh)
        self.save_button = QPushButton("Save model")
        self.save_button.clicked.connect(self.save)
        buttons = QHBoxLayout()
        for button in (self.pause_button, self.resume_button, self.compare_button):
            buttons.addWidget(button)
        saving = QHBoxLayout()
        saving.addWidget(self.name, stretch=1)
        saving.addWidget(self.save_button)
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.addWidget(QLabel("Learn from"))
        layout.addWidget(self.sources)
        layout.addWidget(self.settings)
        layout.addWidget(self.panel)
        layout.addLayout(buttons)
        layout.addWidget(self.tabs, stretch=1)
        layout.addLayout(saving)
        self.setWidget(inside)
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(_WIDTH)
