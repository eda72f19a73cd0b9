"""The choice of a model, in step with the session."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog

from napari_sgcldff.session import session_of
from napari_sgcldff.widgets.model_choice import ModelChoice
from sgcldff_core.model_folders import available_models


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Make models of the user's own: copies of what the shipped one says of itself."""
    monkeypatch.setattr("sgcldff_core.model_folders.user_models", lambda: tmp_path / "models")
    shipped = available_models()["leukocytes"] / "model.json"

    def make(name: str, home: str = "models") -> Path:
        folder = tmp_path / home / name
        folder.mkdir(parents=True)
        shutil.copy(shipped, folder / "model.json")
        return folder

    return make


@pytest.fixture
def viewer() -> ViewerModel:
    """Return a viewer without a window."""
    return ViewerModel()


@pytest.fixture
def choice(qtbot: QtBot, viewer: ViewerModel, own: Callable[[str], Path]) -> ModelChoice:
    """Return the widget, with one model of the user's own."""
    own("mine")
    choice = ModelChoice(viewer)
    qtbot.addWidget(choice)
    choice.show()
    return choice


def _names(choice: ModelChoice) -> list[str]:
    return [choice.names.itemText(i) for i in range(choice.names.count())]


def test_shipped_and_own_models_are_listed(choice: ModelChoice) -> None:
    assert _names(choice)[0] == "leukocytes (shipped)"
    assert "mine" in _names(choice)
    assert choice.names.currentText() == "leukocytes (shipped)"
    assert "neutrophil" in choice.names.toolTip()


def test_choosing_tells_the_session_and_the_session_is_followed(
    qtbot: QtBot, viewer: ViewerModel, choice: ModelChoice
) -> None:
    choice.names.setFocus()
    QTest.keyClicks(choice.names, "mine")
    choice.names.activated.emit(choice.names.currentIndex())
    assert session_of(viewer).model == "mine"
    session_of(viewer).model = ""
    assert choice.names.currentText() == "leukocytes (shipped)"


def test_a_model_that_was_trained_meanwhile_is_chosen_and_listed(
    viewer: ViewerModel, choice: ModelChoice, own: Callable[[str], Path]
) -> None:
    own("trained")
    session_of(viewer).model = "trained"
    assert choice.names.currentText() == "trained"
    own("later")
    choice.names.showPopup()
    choice.names.hidePopup()
    assert "later" in _names(choice)
    assert choice.names.currentText() == "trained"


def test_a_folder_may_be_picked(
    qtbot: QtBot,
    viewer: ViewerModel,
    choice: ModelChoice,
    own: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = own("elsewhere", "other place")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    qtbot.mouseClick(choice.folder, Qt.MouseButton.LeftButton)
    assert session_of(viewer).model == str(folder)
    assert choice.names.currentText() == "elsewhere"
    assert str(folder) in choice.names.toolTip()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    qtbot.mouseClick(choice.folder, Qt.MouseButton.LeftButton)
    assert session_of(viewer).model == str(folder)


def test_what_is_missing_or_damaged_is_said(
    viewer: ViewerModel, choice: ModelChoice, own: Callable[[str], Path]
) -> None:
    session_of(viewer).model = "gone"
    assert choice.names.currentText() == "gone"
    assert "Not found: no model 'gone'" in choice.names.toolTip()
    (own("broken") / "model.json").write_text(json.dumps([1]))
    session_of(viewer).model = "broken"
    assert "Damaged: " in choice.names.toolTip()
    assert "gone" not in _names(choice)
