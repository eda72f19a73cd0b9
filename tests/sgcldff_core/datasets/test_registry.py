"""The one door to data sets: formats told apart, plain folders, plugins, reports."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

import sgcldff_core.datasets as public
from sgcldff_core.datasets import DataSet, Format, ReadReport, formats, open_dataset
from sgcldff_core.datasets.layout import natural_key, split_named
from sgcldff_core.errors import ConfigError, DataError, FormatError, UnknownFormatError
from sgcldff_core.sample import Raster, Sample


def test_the_public_names():
    assert public.__all__ == sorted(public.__all__, key=lambda name: (not name.isupper(), name))
    assert all(hasattr(public, name) for name in public.__all__)


def test_data_sets_do_not_load_torch():
    code = "import sys, sgcldff_core.datasets; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_formats():
    known = formats()
    assert list(known) == [
        "curated",
        "coco",
        "zheng",
        "bccd",
        "bccd_crops",
        "bccd_augmented",
        "original_mask",
        "all_idb1",
        "all_idb2",
        "lisc",
        "lisc_crops",
        "raabin",
        "plain",
    ]
    assert all(known[name].name == name and known[name].looks_for for name in known)


def test_a_plain_folder(tmp_path, draw, save):
    rgb = draw(20, 30, (10, 10, 5)).rgb
    for name in ("10.png", "2.JPG", "x.bmp"):
        save(rgb, tmp_path / name)
    (tmp_path / "broken.png").touch()
    (tmp_path / "notes.txt").write_text("stained on Monday")
    (tmp_path / ".hidden.png").touch()
    data_set = open_dataset(tmp_path)
    assert data_set.format == "plain"
    assert [(s.name, s.kinds, s.source) for s in data_set] == [
        ("2", (), "plain"),
        ("10", (), "plain"),
        ("x", (), "plain"),
    ]
    assert {p.path.name: (p.problem, p.unusable) for p in data_set.report} == {
        "broken.png": ("the file is empty", True),
        "notes.txt": ("this is no image by its suffix; it was passed over", False),
    }


def test_class_folders_in_splits(tmp_path, draw, save):
    rgb = draw(20, 30, (10, 10, 5)).rgb
    for path in ("train/Neut/1.png", "train/Smudge cell/1.png", "test/Neut/1.png", "test/Mono/1.png"):
        save(rgb, tmp_path / "My cells" / path)
    samples = list(open_dataset(tmp_path))
    assert sorted((s.split, s.image_class) for s in samples) == [
        ("test", "monocyte"),
        ("test", "neutrophil"),
        ("train", "Smudge cell"),
        ("train", "neutrophil"),
    ]
    assert len({s.name for s in samples}) == len({s.group for s in samples}) == 4


def test_folders_of_masks_are_no_class(tmp_path, draw, save):
    drawn = draw(20, 30, (10, 10, 5))
    for folder in ("Basophil", "Monocyte", "my masks"):
        save(drawn.rgb, tmp_path / folder / "1.png")
    data_set = open_dataset(tmp_path)
    assert [s.image_class for s in data_set] == ["basophil", "monocyte"]
    assert "by its name it holds masks" in data_set.report.notes[0].problem


def test_an_empty_folder(tmp_path):
    with pytest.raises(UnknownFormatError, match=r": the folder is empty; give the folder that holds the images"):
        open_dataset(tmp_path)


def test_a_folder_without_images_lists_what_was_looked_for(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UnknownFormatError, match=r"looked for curated: .*; bccd: JPEGImages .*; plain: any images"):
        open_dataset(tmp_path)


def test_unknown_names_and_paths(tmp_path):
    with pytest.raises(ConfigError, match="there is no data format 'bcd'; known are auto, curated, coco, zheng, bccd,"):
        open_dataset(tmp_path, format="bcd")
    with pytest.raises(DataError, match="there is no such file or folder; check the spelling"):
        open_dataset(tmp_path / "nowhere")


def test_a_data_set_without_one_usable_image_says_so(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "b.png").write_text("text")
    data_set = open_dataset(tmp_path)
    with pytest.raises(
        FormatError, match=r"no image in it could be used, 2 files are unusable, the first: .*a\.png: the"
    ):
        list(data_set)


def test_names_are_unique_whatever_their_case(tmp_path, draw, save):
    rgb = draw(20, 30, (10, 10, 5)).rgb
    for path in ("a/one/x.png", "a/two/x.png", "b/one/X.png", "b/Two/x.png"):
        save(rgb, tmp_path / path)
    names = [s.name for s in open_dataset(tmp_path)]
    assert names == ["one_x", "two_x", "one_X_2", "Two_x_2"]


def test_the_report_keeps_each_problem_once(tmp_path, draw, save):
    save(draw(20, 30, (10, 10, 5)).rgb, tmp_path / "a.png")
    (tmp_path / "b.png").touch()
    data_set = open_dataset(tmp_path)
    for _ in range(2):
        assert len(list(data_set)) == 1
        assert len(data_set.report) == 1
    assert repr(data_set.report) == "ReadReport(1 unusable, 0 noted)"


class Smears(Format):
    name = "smears"
    looks_for = "a file named smears"

    def claims(self, folder):
        return (folder / "smears").is_file()

    def read_root(self, root, report):
        report.note(root, "made up")
        yield Sample(name="made", image=Raster(len, root), source=self.name, group="made")


def test_formats_of_plugins_are_found(tmp_path, monkeypatch):
    found = EntryPoint("mine", f"{__name__}:Smears", "sgcldff.formats")
    monkeypatch.setattr(EntryPoint, "load", lambda self: Smears)
    monkeypatch.setattr("sgcldff_core.datasets.registry.entry_points", lambda group: [found])
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "smears").touch()
    data_set = open_dataset(tmp_path)
    assert isinstance(data_set, DataSet)
    assert (data_set.format, [s.name for s in data_set]) == ("smears", ["made"])
    report = ReadReport()
    assert [s.name for s in Smears().read(tmp_path, report)] == ["made"]
    assert [p.problem for p in report] == ["made up"]


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (dict, r"mine = .*:Smears in sgcldff\.formats is no Format; uninstall it"),
        (type("Again", (Smears,), {"name": "bccd"}), "two formats are named 'bccd'"),
    ],
)
def test_plugins_that_cannot_be_used_are_refused(tmp_path, monkeypatch, made, problem):
    found = EntryPoint("mine", f"{__name__}:Smears", "sgcldff.formats")
    monkeypatch.setattr(EntryPoint, "load", lambda self: made)
    monkeypatch.setattr("sgcldff_core.datasets.registry.entry_points", lambda group: [found])
    with pytest.raises(ConfigError, match=problem):
        formats()


def test_numbers_sort_as_numbers(tmp_path):
    names = ["b.png", "10.png", "2.png", "a10_2.png", "a9_3.png", "A1.png", "²3.png"]
    ordered = [p.name for p in sorted((tmp_path / n for n in names), key=natural_key)]
    assert ordered == ["2.png", "10.png", "A1.png", "a9_3.png", "a10_2.png", "b.png", "²3.png"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("TestA", "test"),
        ("Test-B", "test"),
        ("instances_val2017", "val"),
        ("Validation", "val"),
        ("TEST_SIMPLE", "test"),
        ("trained", None),
        ("interval", None),
        ("attest", None),
    ],
)
def test_splits_are_told_by_whole_words(name, split):
    assert split_named(name) == split
