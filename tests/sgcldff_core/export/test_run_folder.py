"""A run that is read back, and one that somebody has damaged or forged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sgcldff_core.errors import FormatError
from sgcldff_core.export.run_folder import read_run

MakeRun = Callable[..., Path]


def test_what_predict_wrote_is_read_back(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run({"a": (4, 1), "007": (2, 0)}))
    assert [image.name for image in run.images] == ["a", "007"]
    assert run.images[0].file == tmp_path / "images" / "a.png"
    assert run.counts() == {"neutrophil": 3, "lymphocyte": 2, "monocyte": 1}
    assert run.counts("007") == {"neutrophil": 1, "lymphocyte": 1}
    assert run.cells["needs_review"].tolist() == [True, False, False, False, False, False]
    assert run.cells["review_reason"].tolist()[1] == ""


def test_images_may_have_moved(make_run: MakeRun, tmp_path: Path) -> None:
    run = read_run(make_run({"a": (1, 0)}), tmp_path / "elsewhere")
    assert run.images[0].file == tmp_path / "elsewhere" / "a.png"


@pytest.mark.parametrize("name", ["../secret", "a/b", "..", "", "c:\\d"])
def test_a_name_that_is_a_path_is_refused(make_run: MakeRun, name: str) -> None:
    folder = make_run({"a": (1, 0)})
    told = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    told["images"][0]["image"] = name
    (folder / "run.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(FormatError, match="is no name of an image; run predict again"):
        read_run(folder)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("run.json", "{", "cannot be read as JSON"),
        ("run.json", "[]", "is not the record of a run"),
        ("run.json", "{}", "lacks what predict writes"),
        ("cells.csv", "image,label\na,1\n", "has no column class"),
        ("cells.csv", "", "cannot be read as a table"),
    ],
)
def test_damage_is_named(make_run: MakeRun, file: str, content: str, message: str) -> None:
    folder = make_run({"a": (1, 0)})
    (folder / file).write_text(content, encoding="utf-8")
    with pytest.raises(FormatError, match=message):
        read_run(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("neutrophil,", "unicorn,", "cells of class 'unicorn', which the model does not know"),
        ("\na,1", "\nb,1", "cells of 'b', which run.json does not list"),
        ("\na,1", "\na,one", "column label holds what is no number"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(make_run: MakeRun, old: str, new: str, message: str) -> None:
    folder = make_run({"a": (1, 0)})
    table = (folder / "cells.csv").read_text(encoding="utf-8")
    head, rows = table.split("\n", 1)
    (folder / "cells.csv").write_text(head + ("\n" + rows).replace(old, new), encoding="utf-8")
    with pytest.raises(FormatError, match=message):
        read_run(folder)


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="there is no such file; name a folder that predict wrote"):
        read_run(tmp_path)
