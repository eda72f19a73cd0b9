"""Sets of classes from end to end: fitted on a cross-validation's cells, written beside the cells."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from sgcldff_core.cli.app import app
from sgcldff_core.errors import ConfigError, FormatError
from sgcldff_core.evaluation.assessment import ImageAssessment, JudgedCell
from sgcldff_core.evaluation.trial import Trial, write_trial
from sgcldff_core.model import load_model
from sgcldff_core.smear import SmearSettings, make_smear


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """Judged cells whose true class had a probability of 0.04, 0.08 and so on up to 0.96."""
    classes = load_model().config.classes
    images = []
    for number in range(1, 25):
        of_true = number / 25
        probabilities = dict.fromkeys(classes, (1 - of_true) / (len(classes) - 1)) | {classes[0]: of_true}
        cell = JudgedCell(
            classes[0], max(probabilities, key=probabilities.get), max(probabilities.values()), probabilities
        )
        nothing = dict.fromkeys(("iou", "cell_iou", "nucleus_iou", "disc_iou", "cells", "boxes"))
        images.append(
            ImageAssessment(name=str(number), source="made", cells_found=1, classes=(cell,), diameter=60.0, **nothing)
        )
    write_trial(Trial(tmp_path / "fold0", tuple(images)))
    return tmp_path / "fold0"


def test_sets_are_fitted_kept_and_written(trial: Path, tmp_path: Path) -> None:
    fitted = run("models", "calibrate", "leukocytes", trial, "--out", tmp_path / "mine")
    assert fitted.exit_code == 0, fitted.output
    assert "mine: fitted on 24 cells" in fitted.stdout
    calibration = load_model(tmp_path / "mine").calibration
    # Place ceil(25 * 0.9) of 24, the most probable first, is the second least probable.
    assert calibration["conformal_0.9"] == pytest.approx(2 / 25)
    assert "conformal_0.99" not in calibration  # 24 cells cannot promise so much

    smear = make_smear(1, SmearSettings(height=160, width=200, diameter=60, leukocytes=2, cut=0, touching=0))
    Image.fromarray(smear.image).save(tmp_path / "one.png")
    out = tmp_path / "out"
    model = ("--model", tmp_path / "mine", "--diameter", 60)
    assert run("predict", tmp_path / "one.png", "--out", out, *model, "--sets", 0.9).exit_code == 0
    sets, cells = pd.read_csv(out / "class_sets.csv"), pd.read_csv(out / "cells.csv")
    assert sets[["image", "label", "class"]].equals(cells[["image", "label", "class"]])
    for named, (_, row) in zip(sets["classes"], cells.iterrows(), strict=True):
        held = {name for name in load_model().config.classes if row[f"prob_{name}"] >= 2 / 25}
        assert set(named.split(" or ")) == held | {row["class"]}
        assert named.split(" or ")[0] == row["class"]

    unknown = run("predict", tmp_path / "one.png", "--out", tmp_path / "no", *model, "--sets", 0.8)
    assert isinstance(unknown.exception, ConfigError)
    assert "no sets of classes for 0.8; it has 0.9, 0.95" in str(unknown.exception)
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize("wrong", ["", "nowhere", "fold0/judged.json"])
def test_a_path_without_a_finished_trial_is_named(trial: Path, tmp_path: Path, wrong: str) -> None:
    """There is nothing to delete: the folder above, one that is not there, a file."""
    done = run("models", "calibrate", "leukocytes", trial.parent / wrong, "--out", tmp_path / "mine")
    assert isinstance(done.exception, FormatError)
    assert str(done.exception) == (
        f"{trial.parent / wrong}: holds no judged.json; "
        "give the folder of a finished trial, such as seed0/fold0 of what 'sgcldff crossval' wrote"
    )
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("content", ["", "{}", '{"images": [1], "failures": []}'])
def test_a_damaged_trial_is_to_be_deleted_and_run_again(trial: Path, tmp_path: Path, content: str) -> None:
    (trial / "judged.json").write_text(content, encoding="utf-8")
    done = run("models", "calibrate", "leukocytes", trial, "--out", tmp_path / "mine")
    assert isinstance(done.exception, FormatError)
    assert str(done.exception).startswith(f"{trial / 'judged.json'}: holds no finished trial (")
    assert str(done.exception).endswith("; delete it, and run the trial again")
