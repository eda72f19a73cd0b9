"""``sgcldff datasets doubts``, from judged images to table and sheet."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sgcldff_core.cli import app as cli
from sgcldff_core.datasets.curated_writer import write_curated
from sgcldff_core.datasets.history import Provenance
from sgcldff_core.evaluation.assessment import ImageAssessment, JudgedCell
from sgcldff_core.sample import Raster, Sample

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command and returns its exit code."""

    def _run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["sgcldff", "datasets", "doubts", *map(str, arguments)])
        with pytest.raises(SystemExit) as leaving:
            cli.main()
        return int(leaving.value.code or 0)

    return _run


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """Write two trials of eight cells each; cell 3 of each is called a monocyte against its annotation."""
    for fold in (0, 1):
        images = []
        for i in range(8):
            wrong = i == 3
            p = 0.05 if wrong else 0.9
            cell = JudgedCell("basophil", "monocyte" if wrong else "basophil", 0.9, {"basophil": p, "monocyte": 1 - p})
            if i % 2 == 0:
                cell = JudgedCell("monocyte", "monocyte", 0.9, {"basophil": 0.1, "monocyte": 0.9})
            images.append(ImageAssessment(f"c{fold}{i}", "drawn", 1, 1, 1, 1, 1, 1, None, (cell,), 20.0))
        folder = tmp_path / "run" / f"fold{fold}"
        folder.mkdir(parents=True)
        content = {"images": [asdict(i) for i in images], "failures": []}
        (folder / "judged.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path / "run"


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """Write the images of the first of the two folds as a curated data set."""
    labels = np.zeros((40, 40), np.int32)
    labels[10:30, 10:30] = 1
    image = np.full((40, 40, 3), 90, np.uint8)
    samples = [
        Sample(
            name=f"c0{i}",
            image=Raster.of(image),
            source="drawn",
            group=f"c0{i}",
            labels=Raster.of(labels),
            classes={1: "basophil" if i % 2 else "monocyte"},
        )
        for i in range(8)
    ]
    write_curated(samples, tmp_path / "drawn", provenance=Provenance("drawn", "made for a test"))
    return tmp_path / "drawn"


def test_the_table_names_the_cells_and_the_rates(
    run: Run, judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(judged, "--out", tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out" / "doubts.csv")
    assert table["name"].tolist() == ["c03", "c13"]
    assert table["annotated"].tolist() == ["basophil", "basophil"]
    assert table["suggested"].tolist() == ["monocyte", "monocyte"]
    assert table["self_confidence"].tolist() == [0.05, 0.05]
    assert table["rank"].tolist() == [1, 2]
    assert not (tmp_path / "out" / "doubts.png").exists()
    said = capsys.readouterr().out
    assert "25.0%" in said  # two of eight basophils
    assert "12.5%" in said  # two of sixteen cells
    assert "16 cells judged, 0 not found" in said


def test_a_share_of_a_few_cells_is_not_shown(
    run: Run, judged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads((judged / "fold0" / "judged.json").read_text(encoding="utf-8"))
    content["images"] = content["images"][2:5]  # two monocytes, and the wrong basophil
    (judged / "fold1" / "judged.json").unlink()
    (judged / "fold0" / "judged.json").write_text(json.dumps(content), encoding="utf-8")
    assert run(judged, "--out", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "%" not in said
    assert said.count("too few cells") == 3
    assert pd.read_csv(tmp_path / "out" / "doubts.csv")["name"].tolist() == ["c03"]


def test_cells_without_an_image_are_named(
    run: Run, judged: Path, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(judged, "--out", tmp_path / "out", "--data", drawn) == 1
    assert "drawn c13: is in none of the data sets given" in capsys.readouterr().err
    with Image.open(tmp_path / "out" / "doubts.png") as sheet:
        assert sheet.width > 1000


def test_a_folder_that_holds_no_run_is_refused(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--out", tmp_path / "out") == 1
    assert "holds no judged.json" in " ".join(capsys.readouterr().err.split())
