"""A folder appears whole or not at all, and nothing of the user's is ever deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgcldff_core.datasets.drafts import folder_drafted
from sgcldff_core.errors import DataError

MARK = "mark.json"


def write(target: Path, text: str, *, overwrite: bool = False, fail: bool = False) -> None:
    with folder_drafted(target, mark=MARK, overwrite=overwrite) as draft:
        (draft / MARK).write_text(text)
        if fail:
            raise ZeroDivisionError


def test_appears_with_everything_that_is_above_it(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b", "1")
    assert (tmp_path / "a" / "b" / MARK).read_text() == "1"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]


def test_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "out", "1", fail=True)
    assert list(tmp_path.iterdir()) == []


def test_keeps_the_old_one_when_the_new_one_fails(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    with pytest.raises(ZeroDivisionError):
        write(tmp_path / "out", "new", overwrite=True, fail=True)
    assert (tmp_path / "out" / MARK).read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_puts_the_old_one_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "out", "old")
    rename = Path.rename

    def refusing(self: Path, target: Path) -> Path:
        if (self / MARK).exists() and (self / MARK).read_text() == "new":
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(PermissionError):
        write(tmp_path / "out", "new", overwrite=True)
    assert (tmp_path / "out" / MARK).read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_replaces_only_when_told_and_leaves_no_trace_of_the_old(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    with pytest.raises(DataError, match="exists already; choose another one, or allow"):
        write(tmp_path / "out", "new")
    (tmp_path / "out" / "extra").write_text("old")
    write(tmp_path / "out", "new", overwrite=True)
    assert [(p.name, p.read_text()) for p in (tmp_path / "out").iterdir()] == [(MARK, "new")]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_never_deletes_what_this_program_did_not_write(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(DataError, match=r"holds no mark\.json, so it was not written by this program"):
        write(tmp_path, "new", overwrite=True)
    assert (tmp_path / "thesis.docx").exists()


def test_uses_an_empty_folder_but_neither_file_nor_link(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "1")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for name in ("file", "link"):
        with pytest.raises(DataError, match="a link or a file, where a folder is to be written"):
            write(tmp_path / name, "2", overwrite=True)


def test_does_not_overwrite_what_appeared_meanwhile(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="exists already"), folder_drafted(tmp_path / "out", mark=MARK):
        write(tmp_path / "out", "other")
    assert (tmp_path / "out" / MARK).read_text() == "other"
