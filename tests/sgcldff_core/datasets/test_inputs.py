"""What names on the command line stand for, and that no two results share a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgcldff_core.datasets.inputs import expand_inputs, output_stems
from sgcldff_core.errors import ConfigError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.png", "a.TIF", ".hidden.png", "notes.txt", "deep/c.jpg", "deep/deeper/d.bmp", "f[1].png"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (tmp_path / "slide.zarr").mkdir()
    return tmp_path


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_a_folder_gives_its_images_and_slides_sorted(folder: Path) -> None:
    assert names(expand_inputs([folder])) == ["a.TIF", "b.png", "f[1].png", "slide.zarr"]


def test_a_file_is_taken_whatever_its_suffix(folder: Path) -> None:
    assert names(expand_inputs([str(folder / "notes.txt"), folder / ".hidden.png"])) == [".hidden.png", "notes.txt"]


def test_a_slide_is_one_input_and_no_folder_of_files(folder: Path) -> None:
    assert expand_inputs([folder / "slide.zarr"]) == [folder / "slide.zarr"]


def test_patterns_find_images_at_any_depth(folder: Path) -> None:
    assert names(expand_inputs([f"{folder}/**/*"])) == ["a.TIF", "b.png", "c.jpg", "d.bmp", "f[1].png", "slide.zarr"]
    assert names(expand_inputs([f"{folder}/*.p?g"])) == ["b.png", "f[1].png"]


def test_a_name_with_brackets_is_taken_literally_if_it_exists(folder: Path) -> None:
    assert names(expand_inputs([folder / "f[1].png"])) == ["f[1].png"]


def test_a_file_named_twice_counts_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert expand_inputs(["b.png", folder / "b.png", "*.png", "deep/../b.png"]) == [Path("b.png"), Path("f[1].png")]


def test_the_home_folder_is_known(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("USERPROFILE", str(folder))
    assert expand_inputs(["~/b.png"]) == [folder / "b.png"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("missing.png", r"missing\.png: there is no such file or folder"),
        ("*.webp", r"\*\.webp: the pattern matches no image \(\.bmp, .*put it in quotes"),
        ("empty", r"empty: no image directly in this folder .* write .*empty.\*\*.\*$"),
    ],
)
def test_what_finds_nothing_is_named(folder: Path, name: str, text: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(ConfigError, match=text):
        expand_inputs([folder / "b.png", folder / name])


def test_no_input_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="name image files, folders or patterns"):
        expand_inputs([])


def test_the_first_of_a_name_keeps_it() -> None:
    paths = [Path("a/1.png"), Path("b/1.bmp"), Path("b/1-2.png"), Path("c/1.png"), Path("c/X.png"), Path("d/x.png")]
    assert output_stems(paths) == ["1", "1-3", "1-2", "1-4", "X", "x-2"]


@given(st.lists(st.sampled_from(["x", "X", "x-2", "x-3", "y"]), max_size=12))
def test_stems_are_never_shared(stems: list[str]) -> None:
    found = output_stems([Path(f"{i}/{stem}.png") for i, stem in enumerate(stems)])
    assert len({stem.lower() for stem in found}) == len(stems)
