"""How a model is trained: where it starts, what is trained, how long, what is held out."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_sgcldff.training_wish import SCRATCH
from sgcldff_core.model_folders import DEFAULT_MODEL, available_models

__all__ = ["TrainingSettings"]

_HEADS, _ALL = "heads", "all"
_EPOCHS = {_HEADS: 8, _ALL: 15}
_SCRATCH_EPOCHS = 30


class TrainingSettings(QWidget):
    """The settings of a training as a form.

    Parameters
    ----------
    model : str
        The model to go on from at first; empty for the shipped one.
    parent : QWidget, optional
        The widget it lies in.
    """

    def __init__(self, model: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.start = QComboBox()
        self.start.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.start.setMinimumContentsLength(14)
        self.start.setToolTip(
            "The model to go on from. A few corrected cells are enough to improve one; "
            "a new one from ImageNet or at random needs hundreds."
        )
        self.browse = QPushButton("…")
        self.browse.setMaximumWidth(32)
        self.browse.setToolTip("Go on from a model in another folder.")
        self.browse.clicked.connect(self._choose_folder)
        self.what = QComboBox()
        self.what.addItem("Last layers (quick)", _HEADS)
        self.what.addItem("Whole network (slow)", _ALL)
        self.epochs = QSpinBox()
        self.epochs.setRange(1, 500)
        self.epochs.setToolTip("How often the images are gone through.")
        self.validation = QSpinBox()
        self.validation.setRange(0, 60)
        self.validation.setSingleStep(5)
        self.validation.setSuffix(" % of images")
        self.validation.setSpecialValueText("nothing")
        self.validation.setValue(20)
        self.validation.setToolTip(
            "Images kept out of the training, to choose the best model by and to compare before with after. "
            "At least one is held out, unless this is set to nothing."
        )
        self.rate = QDoubleSpinBox()
        self.rate.setDecimals(5)
        self.rate.setRange(0, 0.1)
        self.rate.setSingleStep(0.0005)
        self.rate.setSpecialValueText("automatic")
        self.rate.setToolTip("Learning rate at its highest. Lower it if the loss jumps about.")
        self.views = QSpinBox()
        self.views.setRange(0, 100_000)
        self.views.setSingleStep(64)
        self.views.setSpecialValueText("automatic")
        self.views.setToolTip("Crops shown in one epoch, each turned, scaled and recoloured at random.")
        self.advanced = QToolButton()
        self.advanced.setText("Advanced")
        self.advanced.setCheckable(True)
        self.advanced.setToolTip("Show settings that rarely need a change.")
        self.advanced.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.advanced.setArrowType(Qt.ArrowType.RightArrow)
        self.advanced.toggled.connect(self._show_advanced)
        self._lay_out()
        self.list_models(model)
        self.start.currentIndexChanged.connect(self._started_elsewhere)
        self.what.currentIndexChanged.connect(self._suggest_epochs)
        self._started_elsewhere()

    @property
    def heads(self) -> bool:
        """Whether only the last layers are trained."""
        return self.what.isEnabled() and self.what.currentData() == _HEADS

    @property
    def learning_rate(self) -> float | None:
        """None for automatic."""
        return self.rate.value() or None

    def list_models(self, chosen: str | None = None) -> None:
        """List the models that there are anew.

        Parameters
        ----------
        chosen : str, optional
            Name or folder of the one to choose, empty for the shipped one; by default what was chosen.
        """
        wanted = self.start.currentData() if chosen is None else chosen
        self.start.blockSignals(True)
        self.start.clear()
        self.start.addItem("Shipped model", "")
        for name, folder in available_models().items():
            if name != DEFAULT_MODEL:
                self.start.addItem(name, name)
                self.start.setItemData(self.start.count() - 1, str(folder), Qt.ItemDataRole.ToolTipRole)
        self.start.insertSeparator(self.start.count())
        self.start.addItem("New, from ImageNet", SCRATCH[0])
        self.start.addItem("New, at random", SCRATCH[1])
        self.start.blockSignals(False)
        self._choose(wanted or "")

    def _choose(self, start: str) -> None:
        index = self.start.findData("" if start == DEFAULT_MODEL else start)
        if index < 0 and (Path(start) / "model.json").is_file():
            self.start.insertItem(1, Path(start).name, start)
            self.start.setItemData(1, start, Qt.ItemDataRole.ToolTipRole)
            index = 1
        self.start.setCurrentIndex(max(index, 0))

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose a model folder")
        if folder:
            self._choose(folder)

    def _started_elsewhere(self) -> None:
        new = self.start.currentData() in SCRATCH
        self.what.setEnabled(not new)
        if new:
            self.what.setCurrentIndex(self.what.findData(_ALL))
        self.what.setToolTip(
            "A new model has to be trained as a whole."
            if new
            else "The last layers learn from a few cells in about a minute and forget little; "
            "the whole network can learn more from many cells, and takes ten times as long."
        )
        self._suggest_epochs()

    def _suggest_epochs(self) -> None:
        new = self.start.currentData() in SCRATCH
        self.epochs.setValue(_SCRATCH_EPOCHS if new else _EPOCHS[self.what.currentData()])

    def _show_advanced(self, shown: bool) -> None:
        self.advanced.setArrowType(Qt.ArrowType.DownArrow if shown else Qt.ArrowType.RightArrow)
        self._more.setVisible(shown)

    def _lay_out(self) -> None:
        start = QHBoxLayout()
        start.setContentsMargins(0, 0, 0, 0)
        start.addWidget(self.start, stretch=1)
        start.addWidget(self.browse)
        form = _form()
        form.addRow("Start from", start)
        form.addRow("Train", self.what)
        form.addRow("Epochs", self.epochs)
        form.addRow("Hold out", self.validation)
        self._more = QWidget()
        more = _form()
        more.setContentsMargins(0, 0, 0, 0)
        more.addRow("Learning rate", self.rate)
        more.addRow("Views per epoch", self.views)
        self._more.setLayout(more)
        self._more.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addWidget(self.advanced)
        layout.addWidget(self._more)


def _form() -> QFormLayout:
    form = QFormLayout()
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return form
