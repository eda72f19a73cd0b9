"""One image saved anew: the others, and whatever the folder knows besides, stay as they are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sgcldff_core.datasets import open_dataset
from sgcldff_core.datasets.class_tables import read_table
from sgcldff_core.datasets.curated_update import check_updatable, free_name, set_aside, update_curated
from sgcldff_core.datasets.curated_writer import write_curated
from sgcldff_core.datasets.history import Change, Provenance, history_of
from sgcldff_core.errors import ConfigError, DataError, FormatError
from sgcldff_core.sample import Box, Raster, Sample
from sgcldff_core.smear import SmearSettings, make_smear

SETTINGS = SmearSettings(height=120, width=140, diameter=40, leukocytes=2, cut=0)


def _sample(name: str, seed: int = 1) -> Sample:
    return make_smear(seed, SETTINGS).to_sample(name)


def _read(folder: Path) -> dict[str, Sample]:
    return {sample.name: sample for sample in open_dataset(folder, "curated")}


def _change(what: str) -> Change:
    return Change("2026-11-24T15:00:00+00:00", "Ada", what)


def test_a_new_folder_is_a_curated_data_set(tmp_path: Path) -> None:
    sample = _sample("field")
    folder = tmp_path / "mine"
    check_updatable(folder)
    update_curated(folder, sample, changes=[_change("deleted cell 3")], title="Mine", origin="napari")
    (read,) = _read(folder).values()
    np.testing.assert_array_equal(read.read_image(), sample.read_image())
    np.testing.assert_array_equal(read.read_labels(), sample.read_labels())
    assert read.classes == sample.classes
    assert history_of(folder) == (_change("deleted cell 3"),)


def test_one_image_changes_and_the_others_stay(tmp_path: Path) -> None:
    a = replace(_sample("a"), boxes=(Box(1, 2, 30, 40, "leukocyte"),), split="test", source="bccd")
    write_curated([a, _sample("b", 2)], tmp_path / "set", provenance=Provenance("Set", "smears", (_change("made it"),)))
    folder = tmp_path / "set"
    files = {p: p.read_bytes() for p in folder.rglob("*b.*")}
    labels = a.read_labels()
    assert labels is not None
    edited = replace(_sample("a"), labels=Raster.of(np.where(labels == 1, 0, labels)), classes={2: "basophil"})
    update_curated(folder, edited, changes=[_change("deleted cell 1"), _change("made cell 2 a basophil")])

    read = _read(folder)
    assert read["a"].classes == {2: "basophil"}
    assert (read["a"].boxes, read["a"].split, read["a"].source) == (a.boxes, "test", "bccd")
    np.testing.assert_array_equal(read["a"].read_labels(), edited.read_labels())
    assert read["a"].read_nucleus() is not None
    assert read["b"].classes == _sample("b", 2).classes
    assert {p: p.read_bytes() for p in files} == files
    assert [change.what for change in history_of(folder)] == ["made it", "deleted cell 1", "made cell 2 a basophil"]


def test_what_a_model_says_is_noted_but_is_no_class(tmp_path: Path) -> None:
    sample = replace(_sample("field"), classes={1: "basophil"})
    update_curated(tmp_path, sample, changes=[], predicted={2: "monocyte"})
    assert read_table(tmp_path / "cells.csv") == [
        ["image", "label", "class", "predicted"],
        ["field", "1", "basophil", ""],
        ["field", "2", "", "monocyte"],
    ]
    assert _read(tmp_path)["field"].classes == {1: "basophil"}


def test_a_name_is_free_or_belongs_to_this_very_image(tmp_path: Path) -> None:
    sample = _sample("field")
    assert free_name(tmp_path / "new", "a/b: c.", sample.read_image()) == "a-b- c"
    assert free_name(tmp_path / "new", " .", sample.read_image()) == "image"
    update_curated(tmp_path, sample, changes=[])
    assert free_name(tmp_path, "Field", sample.read_image()) == "field"
    other = _sample("field", 2).read_image()
    assert free_name(tmp_path, "field", other) == "field 2"
    assert free_name(tmp_path, "field", other[:50]) == "field 2"


def test_earlier_labels_are_kept_aside(tmp_path: Path) -> None:
    sample = _sample("field")
    assert set_aside(tmp_path, "field") is None
    update_curated(tmp_path, sample, changes=[])
    kept = set_aside(tmp_path, "field")
    assert kept is not None
    assert kept.read_bytes() == (tmp_path / "labels" / "field.tif").read_bytes()
    assert [row[0] for row in read_table(kept.with_suffix(".csv"))] == ["image", "field", "field"]
    assert list(_read(tmp_path)) == ["field"]


@pytest.mark.parametrize("absolute", [False, True])
def test_an_index_cannot_have_files_written_outside_of_its_folder(tmp_path: Path, absolute: bool) -> None:
    folder = tmp_path / "set"
    update_curated(folder, _sample("field"), changes=[])
    precious = {tmp_path / name: name.encode() for name in ("labels.tif", "image.png")}
    for path, content in precious.items():
        path.write_bytes(content)
    index = json.loads((folder / "dataset.json").read_text())
    prefix = f"{tmp_path}/" if absolute else "../"
    index["images"]["field"] |= {"labels": f"{prefix}labels.tif", "file": f"{prefix}image.png"}
    (folder / "dataset.json").write_text(json.dumps(index))
    assert set_aside(folder, "field") is None
    update_curated(folder, _sample("field", 2), changes=[])
    assert {path: path.read_bytes() for path in precious} == precious
    np.testing.assert_array_equal(_read(folder)["field"].read_labels(), _sample("field", 2).read_labels())


def test_other_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("precious")
    with pytest.raises(DataError, match=r"holds other files, and no dataset\.json; choose an empty"):
        update_curated(tmp_path, _sample("a"), changes=[])
    with pytest.raises(DataError, match="this is a file"):
        check_updatable(tmp_path / "thesis.docx")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "dataset.json").write_text("{")
    with pytest.raises(FormatError, match="index cannot be read"):
        check_updatable(broken)
    with pytest.raises(ConfigError, match="cannot be a file name"):
        update_curated(tmp_path / "new", _sample("a/b"), changes=[])


def test_a_failure_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = _sample("field")
    update_curated(tmp_path, sample, changes=[_change("one")])
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sgcldff_core.datasets.curated_update.save_labels", full)
    with pytest.raises(OSError, match="No space"):
        update_curated(tmp_path, replace(sample, classes={}), changes=[_change("two")])
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
