"""Edits reach the disk: in the log at once, in the curated folder soon, and never half."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from napari_sgcldff.autosave import Autosave, Snapshot, lock_folder
from napari_sgcldff.edit_steps import Change
from napari_sgcldff.edited_rows import as_table
from napari_sgcldff.unsaved_work import UNSAVED, UnsavedWork, left_behind
from sgcldff_core.datasets import open_dataset
from sgcldff_core.datasets.history import history_of
from sgcldff_core.errors import DataError, FormatError

IMAGE = np.random.default_rng(1).integers(0, 255, (40, 50, 3), np.uint8)


def _labels() -> np.ndarray:
    labels = np.zeros((40, 50), np.int32)
    labels[5:15, 5:15], labels[20:30, 20:30] = 3, 7
    return labels


def _table() -> pd.DataFrame:
    return as_table(
        pd.DataFrame(
            {"index": [3, 7], "class": ["basophil", "monocyte"], "curated": [True, False], "mine": pd.array([1, 2])}
        )
    )


def _snapshot(**known: object) -> Snapshot:
    about = {"image": "field", "cells": "field WBC", "classes": ["basophil", "monocyte"]}
    given = {"labels": _labels(), "table": _table(), "trusted": False, "renumber": False, **known}
    return Snapshot(name="field", image=IMAGE, about=about, **given)  # type: ignore[arg-type]


def _change(what: str = "deleted cell 7") -> Change:
    return Change(what, (), ((20, 30), (20, 30)), np.zeros((10, 10), np.int32), (7,), _table()[:0])


def test_an_edit_is_saved_in_the_background(tmp_path: Path) -> None:
    folder = tmp_path / "curated"
    autosave = Autosave(folder)
    autosave.save(_change("made cell 3 a basophil"), _snapshot())
    autosave.close()
    assert autosave.saved_at is not None
    assert not autosave.busy
    (sample,) = open_dataset(folder, "curated")
    np.testing.assert_array_equal(sample.read_labels(), _labels())
    np.testing.assert_array_equal(sample.read_image(), IMAGE)
    assert sample.classes == {3: "basophil"}  # of cell 7 only a model said what it is
    (entry,) = history_of(folder)
    assert entry.what == "field: made cell 3 a basophil"
    assert (folder / "cells.csv").read_text().splitlines()[2] == "field,7,,monocyte"
    assert not (folder / UNSAVED).exists()


def test_classes_of_annotated_data_are_kept_and_stacks_are_numbered_by_image(tmp_path: Path) -> None:
    autosave = Autosave(tmp_path)
    autosave.save(_change(), _snapshot(trusted=True, renumber=True))
    autosave.close()
    (sample,) = open_dataset(tmp_path, "curated")
    assert sample.classes == {1: "basophil", 2: "monocyte"}
    assert np.unique(sample.read_labels()).tolist() == [0, 1, 2]


def test_many_edits_are_all_in_the_history_and_the_last_state_is_saved(tmp_path: Path) -> None:
    autosave = Autosave(tmp_path)
    for i in range(20):
        labels = _labels()
        labels[0, : i + 1] = 9
        autosave.save(_change(f"edit {i}"), _snapshot(labels=labels))
    autosave.close()
    assert [entry.what for entry in history_of(tmp_path)] == [f"field: edit {i}" for i in range(20)]
    (sample,) = open_dataset(tmp_path, "curated")
    assert (sample.read_labels() == 9).sum() == 20


def test_without_an_edit_nothing_is_left(tmp_path: Path) -> None:
    Autosave(tmp_path / "new").close()
    assert not (tmp_path / "new").exists()


def test_a_folder_is_for_one_window(tmp_path: Path) -> None:
    autosave = Autosave(tmp_path)
    with pytest.raises(DataError, match="another napari window saves into this folder"):
        Autosave(tmp_path)
    autosave.close()
    Autosave(tmp_path).close()


def test_a_folder_with_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("precious")
    with pytest.raises(DataError, match="holds other files"):
        Autosave(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.docx"]


def test_a_failure_is_told_and_the_log_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    autosave = Autosave(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("sgcldff_core.datasets.curated_update.update_curated", full)
        autosave.save(_change("one"), _snapshot())
        autosave.close()
    assert "No space left" in autosave.problem
    (log,) = left_behind(tmp_path)
    assert log.restore().labels.sum() == _labels().sum()


def test_a_log_restores_every_change_but_one_that_was_cut_off(tmp_path: Path) -> None:
    log = UnsavedWork(tmp_path / UNSAVED / "a")
    log.begin({"image": "field"}, _labels(), _table())
    log.keep_image(IMAGE)
    log.append(_change())
    log.append(Change("named", (), (), None, (3,), _table().loc[[3]].assign(**{"class": "eosinophil"})))
    with (log.path / "changes.jsonl").open("a") as stream:
        stream.write('{"what": "cut o')

    (found,) = left_behind(tmp_path)
    restored = found.restore()
    assert restored.edits == 3
    assert restored.about["image"] == "field"
    np.testing.assert_array_equal(restored.image, IMAGE)
    np.testing.assert_array_equal(restored.labels, np.where(_labels() == 3, 3, 0))
    expected = _table().loc[[3]]
    expected.at[3, "class"] = "eosinophil"
    pd.testing.assert_frame_equal(restored.table, expected)
    found.discard()
    assert left_behind(tmp_path) == []


def test_a_damaged_log_is_named(tmp_path: Path) -> None:
    log = UnsavedWork(tmp_path / UNSAVED / "a")
    log.begin({}, _labels(), _table())
    (log.path / "start.npz").write_bytes(b"PK")
    with pytest.raises(FormatError, match="the log of unsaved work is damaged"):
        log.restore()
    (log.path / "about.json").write_text("{")
    with pytest.raises(FormatError, match="cannot be read"):
        log.about()


CRASH = """
    import os, sys
    from pathlib import Path
    sys.path[:0] = {path!r}
    import numpy as np
    from tests_autosave import _change, _snapshot
    from napari_sgcldff.autosave import Autosave
    autosave = Autosave(Path({folder!r}))
    autosave.save(_change("one"), _snapshot())
    autosave.save(_change("two"), _snapshot())
    while autosave._jobs:
        pass
    os._exit(9)
"""


def test_after_a_crash_the_folder_is_free_and_the_work_is_there(tmp_path: Path) -> None:
    (tmp_path / "tests_autosave.py").write_text(Path(__file__).read_text())
    folder = tmp_path / "curated"
    code = textwrap.dedent(CRASH).format(path=[str(tmp_path), *filter(None, sys.path)], folder=str(folder))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    assert json.loads((folder / UNSAVED).glob("*/about.json").__next__().read_text())["image"] == "field"
    lock = lock_folder(folder)
    lock.unlock()
    (log,) = left_behind(folder)
    restored = log.restore()
    assert restored.edits >= 1
    assert not (restored.labels == 7).any() or restored.edits == 1
    assert os.getpid() != int(log.path.name.rsplit("-", 1)[1])
