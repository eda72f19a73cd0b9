"""Many files, watched step by step, and stopped half-way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from sgcldff_core.errors import CancelledError
from sgcldff_core.inference.batch import FileStep, predict_files
from sgcldff_core.model import Model

Draw = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def inputs(tmp_path: Path, draw: Draw) -> dict[str, Path]:
    files = {}
    for stem in ("a", "b", "c"):
        files[stem] = tmp_path / f"{stem}.png"
        Image.fromarray(draw((150, 210), (50.0, 60.0, 25.0), (110.0, 150.0, 25.0))).save(files[stem])
    files["b"].write_bytes(b"no picture")
    return files


def test_each_step_of_each_file_is_told(stain_reader: Model, inputs: dict[str, Path], tmp_path: Path) -> None:
    steps: list[FileStep] = []
    result = predict_files(inputs, stain_reader, tmp_path / "out", diameter=50, watch=steps.append)
    assert [file.stem for file in result.failures] == ["b"]
    of_a = [step for step in steps if step.stem == "a"]
    stages = list(dict.fromkeys(step.stage for step in of_a))
    looks = ["finding cells", "looking in the mirror"]
    assert stages == [
        "reading",
        *looks,
        "naming cells",
        "explaining",
        "drawing outlines",
        "measuring cells",
        "writing",
        "over",
    ]
    assert [step.result for step in steps if step.result] == list(result.files)
    assert len(of_a[-1].result.cells) == 2  # type: ignore[union-attr, arg-type]
    assert "b.png" in next(step.result.problem for step in steps if step.stem == "b" and step.result)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_done_before_a_stop_is_kept(
    stain_reader: Model, inputs: dict[str, Path], tmp_path: Path, workers: int
) -> None:
    out = tmp_path / "out"
    done: list[Any] = []

    def watch(step: FileStep) -> None:
        if step.stem == "c" and step.stage == "finding cells":
            raise CancelledError("enough")
        if step.result is not None:
            done.append(step.stem)

    with pytest.raises(CancelledError, match="enough"):
        predict_files(inputs, stain_reader, out, diameter=50, workers=workers, watch=watch)
    assert sorted(done) == ["a", "b"]
    assert set(pd.read_csv(out / "cells.csv")["image"]) == {"a"}
    report = json.loads((out / "run.json").read_text(encoding="utf-8"))
    assert report["stopped"] == "after 2 of 3 images"
    assert [Path(failure["file"]).name for failure in report["failures"]] == ["b.png"]
    assert not list(out.glob("c_*"))
