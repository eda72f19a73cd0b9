"""Whatever is written comes back the same, pixel by pixel and class by class, or is skipped and named."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sgcldff_core.datasets import Problem, open_dataset
from sgcldff_core.datasets.coco_writer import run_lengths, write_coco
from sgcldff_core.datasets.conversion import WRITERS, convert
from sgcldff_core.datasets.curated_writer import write_curated
from sgcldff_core.datasets.history import Change, Provenance, history_of
from sgcldff_core.datasets.masks import read_single_cell, read_single_nucleus
from sgcldff_core.datasets.pixels import counted_cells
from sgcldff_core.datasets.writing import Written
from sgcldff_core.datasets.zheng_writer import write_zheng
from sgcldff_core.errors import ConfigError, DataError, FormatError, UnreadableImageError
from sgcldff_core.sample import Box, Point, Raster, Sample

PROVENANCE = Provenance("smears", "a test", (Change("2026-01-02T03:04:05+00:00", "A. Uthor", "drawn"),))
FIVE = ("neutrophil", "lymphocyte", "monocyte", "eosinophil", "basophil")
LOSSLESS = {"coco": write_coco, "curated": write_curated}


def disc(shape: tuple[int, int], y: float, x: float, radius: float) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def field(*cells: tuple[float, float, float, str | None], shape: tuple[int, int] = (60, 80), **known: Any) -> Sample:
    """Return a sample with round cells, given by row, column, radius and class, each with a nucleus."""
    labels, nucleus = np.zeros(shape, np.int32), np.zeros(shape, bool)
    for n, (y, x, radius, _) in enumerate(cells, start=1):
        labels[disc(shape, y, x, radius)] = n
        nucleus |= disc(shape, y, x, radius / 2)
    image = np.random.default_rng(len(cells)).integers(0, 256, (*shape, 3)).astype(np.uint8)
    told: dict[str, Any] = {
        "name": "field_1",
        "image": Raster.of(image),
        "source": "drawn",
        "group": "drawn/1",
        "labels": Raster.of(labels),
        "nucleus": Raster.of(nucleus),
        "classes": {n: c for n, (*_, c) in enumerate(cells, start=1) if c} or None,
    }
    return Sample(**(told | known))


ONE = (30, 40, 14, "eosinophil")


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    """Draw a sample with anything that a sample may hold."""
    shape = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    numbers = draw(st.lists(st.sampled_from([1, 2, 3, 255, 65535, 65536, 2**31 - 1]), min_size=1, unique=True))
    labels = rng.choice([0, *numbers], size=shape).astype(np.int32)
    nucleus = rng.random(shape) < draw(st.sampled_from([0.0, 0.5]))
    if draw(st.booleans()):
        nucleus &= labels > 0
    kinds = st.sampled_from(["leukocyte", "erythrocyte", "platelet", "neutrophil", "Smudge cell, large"])
    name = st.sampled_from([*FIVE, "blast", "healthy", "Smudge cell, large", 'a "quoted" one', "übergroß"])
    position = st.floats(0, 20, allow_subnormal=False)
    return Sample(
        name=draw(st.sampled_from(["1", "007", "a b", "Im001_1", "x.y", "größe"])),
        image=Raster.of(rng.integers(0, 256, (*shape, 3)).astype(np.uint8)),
        source=draw(st.sampled_from(["bccd", "zheng1"])),
        group=draw(st.sampled_from(["bccd/1", "g"])),
        split=draw(st.sampled_from([None, "train", "val", "test"])),
        labels=draw(st.sampled_from([None, Raster.of(labels)])),
        nucleus=draw(st.sampled_from([None, Raster.of(nucleus)])),
        classes=draw(st.none() | st.dictionaries(st.sampled_from(numbers), name, min_size=1)),
        boxes=draw(st.none() | st.lists(st.builds(Box, *[position] * 4, kinds), max_size=3).map(tuple)),
        points=draw(st.none() | st.lists(st.builds(Point, position, position, kinds), max_size=3).map(tuple)),
        image_class=draw(st.none() | name),
    )


@st.composite
def few_cells(draw: st.DrawFn) -> Sample:
    """Draw a sample of the kind that Zheng's layout can express now and then."""
    name = st.sampled_from([None, None, *FIVE, "blast"])
    place = st.integers(0, 23)
    cells = draw(st.lists(st.tuples(place, place, st.integers(1, 7), name), min_size=1, max_size=3))
    drawn = field(*cells, shape=(24, 24))
    labels = drawn.read_labels()
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    present = {n: c for n, c in (drawn.classes or {}).items() if (labels == n).any()}
    nucleus = (rng.random(labels.shape) < draw(st.sampled_from([0.1, 0.5, 1.0]))) & (labels > 0)
    return replace(drawn, nucleus=Raster.of(nucleus), classes=present or None)


def assert_same(one: Sample, other: Sample) -> None:
    fields = ("name", "source", "group", "split", "classes", "boxes", "points", "image_class")
    assert {f: getattr(one, f) for f in fields} == {f: getattr(other, f) for f in fields}
    np.testing.assert_array_equal(one.read_image(), other.read_image())
    for mine, theirs in ((one.read_labels(), other.read_labels()), (one.read_nucleus(), other.read_nucleus())):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            np.testing.assert_array_equal(mine, theirs)


def tree(folder: Path) -> dict[str, str]:
    files = (p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def write(to: str, folder: Path, *given: Sample, **more: Any) -> Written:
    return WRITERS[to](given, folder, provenance=PROVENANCE, **more)


def read(folder: Path, format: str = "auto") -> list[Sample]:
    opened = open_dataset(folder, format=format)
    found = list(opened)
    assert opened.report.unusable == ()
    return found


class TestRoundTrips:
    @settings(deadline=None, max_examples=60)
    @given(sample=samples(), to=st.sampled_from(sorted(LOSSLESS)))
    def test_curated_and_coco_lose_nothing(self, sample: Sample, to: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            written = write(to, Path(folder) / "out", sample)
            assert written.skipped == written.lost == ()
            (back,) = read(Path(folder) / "out")
            assert_same(back, sample)

    @settings(deadline=None, max_examples=15)
    @given(sample=samples())
    def test_there_and_back_gives_the_same_files(self, sample: Sample) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write("curated", folder / "a", sample)
            convert(folder / "a", folder / "b", "coco", who="x")
            convert(folder / "b", folder / "c", "curated", who="x")
            before, after = tree(folder / "a"), tree(folder / "c")
            before.pop("dataset.json")
            after.pop("dataset.json")
            assert before == after

    @settings(deadline=None, max_examples=80)
    @given(sample=few_cells())
    def test_zheng_keeps_all_of_an_image_or_skips_it(self, sample: Sample) -> None:
        labels, nucleus = sample.read_labels(), sample.read_nucleus()
        assert labels is not None
        with tempfile.TemporaryDirectory() as name:
            out = Path(name) / "out"
            try:
                write("zheng", out, sample)
            except DataError as error:
                assert "nothing to write; the first of 1 that were left out" in error.problem  # noqa: PT017
                return
            # By the reader's parts: it knows a set by the cytoplasm in its first mask, and there may be none.
            mask = out / "Dataset 1" / "001.png"
            back = read_single_cell(mask, cell_above=64)
            pairs = {(int(a), int(b)) for a, b in zip(labels.ravel(), back.ravel(), strict=True)}
            assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
            np.testing.assert_array_equal(read_single_nucleus(mask, cell_above=64, nucleus_above=191), nucleus)
            rows = (out / "Class Labels of Dataset 1.csv").read_text().splitlines()[1:]
            central = next(a for a, b in pairs if b == 1)
            named = {central: FIVE[int(rows[0].split(",")[1]) - 1]} if rows else {}
            assert named == (sample.classes or {})

    @pytest.mark.parametrize("name", FIVE)
    @pytest.mark.parametrize(
        "through", [("zheng",), ("coco", "zheng"), ("zheng", "coco"), ("zheng", "curated", "zheng")]
    )
    def test_single_cells_survive_every_way(self, tmp_path: Path, name: str, through: tuple[str, ...]) -> None:
        sample = field((30, 40, 14, name), (5, 5, 4, None))
        write("curated", tmp_path / "0", sample)
        for n, to in enumerate(through, start=1):
            done = convert(tmp_path / str(n - 1), tmp_path / str(n), to, who="x")
            assert (done.written.images, done.written.cells, done.written.skipped) == (1, 2, ())
        (back,) = read(tmp_path / str(len(through)))
        np.testing.assert_array_equal(back.read_image(), sample.read_image())
        np.testing.assert_array_equal(back.read_labels(), sample.read_labels())
        np.testing.assert_array_equal(back.read_nucleus(), sample.read_nucleus())
        assert back.classes == {1: name}

    @pytest.mark.parametrize("to", sorted(WRITERS))
    def test_the_same_cells_give_the_same_bytes(self, tmp_path: Path, to: str) -> None:
        for n in "ab":
            write(to, tmp_path / n, field(ONE, boxes=(Box(1, 2, 3, 4),)))
        assert tree(tmp_path / "a") == tree(tmp_path / "b")


class TestCurated:
    def test_lays_out_what_the_design_says(self, tmp_path: Path) -> None:
        write("curated", tmp_path / "out", field(ONE, (50, 10, 5, None)), field(name="empty", nucleus=None))
        assert sorted(tree(tmp_path / "out")) == [
            "cells.csv",
            "dataset.json",
            "images/empty.png",
            "images/field_1.png",
            "labels/empty.tif",
            "labels/field_1.tif",
            "nuclei/field_1.png",
        ]
        assert (tmp_path / "out" / "cells.csv").read_text() == "image,label,class\nfield_1,1,eosinophil\nfield_1,2,\n"
        index = json.loads((tmp_path / "out" / "dataset.json").read_text())
        assert index["classes"] == ["eosinophil"]
        assert index["history"] == [{"when": "2026-01-02T03:04:05+00:00", "who": "A. Uthor", "what": "drawn"}]

    def test_can_replace_the_folder_that_it_reads(self, tmp_path: Path) -> None:
        write("curated", tmp_path / "out", field(ONE))
        corrected = (replace(s, classes={1: "basophil"}) for s in open_dataset(tmp_path / "out"))
        write("curated", tmp_path / "out", *corrected, overwrite=True)
        assert [s.classes for s in read(tmp_path / "out")] == [{1: "basophil"}]

    def test_is_left_as_it_was_when_writing_fails(self, tmp_path: Path) -> None:
        write("curated", tmp_path / "out", field(ONE))
        before = tree(tmp_path)

        def failing() -> Iterator[Sample]:
            yield field((30, 40, 14, "monocyte"))
            raise MemoryError

        with pytest.raises(MemoryError):
            write_curated(failing(), tmp_path / "out", provenance=PROVENANCE, overwrite=True)
        assert tree(tmp_path) == before


class TestCoco:
    def test_counts_no_cell_twice(self, tmp_path: Path) -> None:
        boxes = (
            Box(16, 26, 45, 55, "eosinophil"),  # frames the outlined cell
            Box(0, 0, 10, 10, "erythrocyte"),
            Box(2, 60, 14, 72, "leukocyte"),  # another cell, which nobody outlined
        )
        write("coco", tmp_path / "out", field(ONE, boxes=boxes))
        told = json.loads((tmp_path / "out" / "annotations.json").read_text())
        names = {c["id"]: c["name"] for c in told["categories"]}
        assert list(names.values()) == ["eosinophil", "erythrocyte", "leukocyte"]
        assert [(names[a["category_id"]], a["bbox"], bool(a["segmentation"])) for a in told["annotations"]] == [
            ("eosinophil", [26, 16, 29, 29], True),
            ("erythrocyte", [0, 0, 10, 10], False),
            ("leukocyte", [60, 2, 12, 12], False),
        ]
        assert told["annotations"][0]["area"] == disc((60, 80), 30, 40, 14).sum()
        assert told["images"][0]["file_name"] == "images/field_1.png"

    def test_run_lengths_by_hand(self) -> None:
        labels = np.array([[5, 0, 9], [5, 5, 9]])
        assert run_lengths(labels) == {
            5: {"size": [2, 3], "counts": [0, 2, 1, 1, 2]},
            9: {"size": [2, 3], "counts": [4, 2]},
        }


class TestZheng:
    def test_lays_out_what_its_authors_published(self, tmp_path: Path) -> None:
        done = write("zheng", tmp_path / "out", field(ONE), field((30, 40, 9, None), name="b", split="val"))
        files = tree(tmp_path / "out")
        assert sorted(files) == [
            "Class Labels of Dataset 1.csv",
            "Dataset 1/001.bmp",
            "Dataset 1/001.png",
            "Dataset 1/002.bmp",
            "Dataset 1/002.png",
            "sgcldff.json",
        ]
        table = (tmp_path / "out" / "Class Labels of Dataset 1.csv").read_bytes()
        assert table == b"image ID,class label\r\n1,4\r\n"
        assert done.lost == (
            "splits have no place in this format but sgcldff.json: 1 images",
            "scenes in several images have no place in this format but sgcldff.json: 2 images",
        )
        origins = json.loads((tmp_path / "out" / "sgcldff.json").read_text())["images"]
        assert origins["002"] == {"name": "b", "source": "drawn", "group": "drawn/1", "split": "val"}

    @pytest.mark.parametrize(
        ("sample", "reason"),
        [
            (field(ONE, nucleus=None), "its nuclei are unknown"),
            (field(ONE, labels=None), "no cell is outlined"),
            (field(), "no cell is outlined"),
            (field(ONE, nucleus=Raster.of(np.ones((60, 80), bool))), r"\d+ px of nucleus lie in no cell"),
            (field((30, 40, 14, "blast")), "no number for the class blast"),
            (field((30, 40, 14, "monocyte"), (30, 5, 4, "basophil")), r"2 cells have a class.*\(--crop\)"),
            (field((30, 40, 14, None), (30, 5, 4, "basophil")), r"1 cells have a class"),
            (field((30, 30, 12, "monocyte"), (30, 42, 12, None)), "cells touch, or have separate parts or specks"),
            (field((30, 40, 14, "monocyte"), (2, 2, 0, None)), "specks"),
            (field(ONE, image_class="basophil"), "the image has the class basophil, its central cell eosinophil"),
        ],
    )
    def test_says_what_it_cannot_express(self, tmp_path: Path, sample: Sample, reason: str) -> None:
        done = write("zheng", tmp_path / "out", sample, field(ONE, name="good"))
        assert [s.name for s in done.skipped] == ["field_1"]
        with pytest.raises(DataError, match=reason):
            write("zheng", tmp_path / "none", sample)
        assert not (tmp_path / "none").exists()
        assert done.images == 1

    def test_cuts_out_every_cell_where_it_lay(self, tmp_path: Path) -> None:
        cells = ((20, 20, 8, "monocyte"), (40, 50, 12, "basophil"), (3, 70, 7, None))
        sample = field(*cells)
        done = write_zheng([sample], tmp_path / "out", provenance=PROVENANCE, crop=True)
        assert (done.images, done.cells, done.skipped) == (3, 3, ())
        origins = json.loads((tmp_path / "out" / "sgcldff.json").read_text())["images"]
        labels, nucleus, image = sample.read_labels(), sample.read_nucleus(), sample.read_image()
        assert labels is not None
        assert nucleus is not None
        for crop, origin, (*_, name) in zip(read(tmp_path / "out"), origins.values(), cells, strict=True):
            cut = crop.read_image()
            window = np.s_[origin["y0"] : origin["y0"] + cut.shape[0], origin["x0"] : origin["x0"] + cut.shape[1]]
            np.testing.assert_array_equal(cut, image[window])
            np.testing.assert_array_equal(crop.read_labels() == 1, labels[window] == origin["label"])
            np.testing.assert_array_equal(crop.read_nucleus(), nucleus[window])
            assert crop.classes == ({1: name} if name else None)
            assert (labels[window] == origin["label"]).sum() == (labels == origin["label"]).sum()

    def test_does_not_cut_out_cells_that_touch(self, tmp_path: Path) -> None:
        sample = field((30, 20, 9, "monocyte"), (30, 37, 9, "basophil"), (10, 70, 6, "neutrophil"))
        done = write_zheng([sample], tmp_path / "out", provenance=PROVENANCE, crop=True)
        assert [s.name for s in done.skipped] == ["field_1, cell 1", "field_1, cell 2"]
        assert "touch" in done.skipped[0].reason
        assert done.images == 1


class TestSamplesThatCannotBeWritten:
    @pytest.mark.parametrize("to", sorted(WRITERS))
    def test_a_broken_image_is_named_and_the_rest_written(self, tmp_path: Path, to: str) -> None:
        def broken(path: Path) -> NDArray[np.uint8]:
            raise UnreadableImageError(path, "the file is truncated", "copy it again")

        bad = replace(field(ONE), name="bad", image=Raster(broken, tmp_path / "bad.jpg"))
        small = replace(field(ONE), name="small", labels=Raster.of(np.ones((5, 5), np.int32)))
        done = write(to, tmp_path / "out", bad, small, field(ONE))
        assert done.images == 1
        assert done.skipped[0].reason == f"{tmp_path / 'bad.jpg'}: the file is truncated; copy it again"
        assert "the labels have shape (5, 5), the image has (60, 80)" in done.skipped[1].reason

    @pytest.mark.parametrize("to", sorted(WRITERS))
    def test_nothing_to_write_leaves_nothing(self, tmp_path: Path, to: str) -> None:
        with pytest.raises(DataError, match="there was nothing to write"):
            write(to, tmp_path / "out")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "a\\b", "", "a:b", "two\nlines"])
    def test_a_name_must_be_a_file_name(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(ConfigError, match="cannot be a file name"):
            write("curated", tmp_path / "out", field(ONE, name=name))

    def test_names_must_differ_by_more_than_case(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="two samples are named 'cell' and 'Cell'"):
            write("coco", tmp_path / "out", field(ONE, name="cell"), field(ONE, name="Cell"))


class TestConvert:
    def test_carries_the_history_through_every_format(self, tmp_path: Path) -> None:
        write("curated", tmp_path / "0", field(ONE))
        for n, to in enumerate(("coco", "zheng", "curated"), start=1):
            convert(tmp_path / str(n - 1), tmp_path / str(n), to, who="B. Uilder")
        history = history_of(tmp_path / "3")
        assert [h.what.split(" by ")[0] for h in history] == [
            "drawn",
            "converted from 0 (curated) to coco",
            "converted from 1 (coco) to zheng",
            "converted from 2 (zheng) to curated",
        ]
        assert {h.who for h in history[1:]} == {"B. Uilder"}

    def test_refuses_to_lose_a_history_that_it_cannot_read(self, tmp_path: Path) -> None:
        write("coco", tmp_path / "a", field(ONE))
        index = tmp_path / "a" / "annotations.json"
        index.write_text(index.read_text().replace('"who"', '"whom"'))
        with pytest.raises(FormatError, match="its history cannot be read"):
            convert(tmp_path / "a", tmp_path / "b", "curated", who="x")

    def test_passes_on_what_the_reader_could_not_use(self, tmp_path: Path) -> None:
        write("curated", tmp_path / "a", field(ONE), field(ONE, name="gone"))
        (tmp_path / "a" / "images" / "gone.png").write_bytes(b"")
        done = convert(tmp_path / "a", tmp_path / "b", "coco", who="x")
        assert [(type(p), p.path.name, p.unusable) for p in done.problems] == [(Problem, "gone.png", True)]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"to": "yolo"}, "cannot be written as 'yolo'; known are coco, curated, zheng"),
            ({"to": "coco", "crop": True}, "cutting out cells is for zheng"),
            ({"target": "a"}, "lie in one another"),
            ({"target": "a/b"}, "lie in one another"),
            ({"target": "."}, "lie in one another"),
            ({"source": "a/annotations.json", "target": "a"}, "lie in one another"),
            ({"source_format": "yolo"}, "no data format 'yolo'"),
        ],
    )
    def test_refuses_what_cannot_be_meant(self, tmp_path: Path, options: dict[str, Any], message: str) -> None:
        write("coco", tmp_path / "a", field(ONE))
        asked = {"source": "a", "target": "b", "to": "curated"} | options
        source, target, to = tmp_path / asked.pop("source"), tmp_path / asked.pop("target"), asked.pop("to")
        with pytest.raises(ConfigError, match=message):
            convert(source, target, to, who="x", **asked)

    def test_says_that_there_is_no_source(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no such file or folder"):
            convert(tmp_path / "a", tmp_path / "b", "coco", who="x")

    def test_real_cells_survive_the_round(self, tmp_path: Path, real_data: Path) -> None:
        originals = {s.name: s for s in list(open_dataset(real_data / "zheng"))[::40]}
        write("zheng", tmp_path / "0", *originals.values())
        for n, to in enumerate(("coco", "curated", "zheng"), start=1):
            convert(tmp_path / str(n - 1), tmp_path / str(n), to, who="x")
        for back, original in zip(read(tmp_path / "3"), originals.values(), strict=True):
            np.testing.assert_array_equal(back.read_image(), original.read_image())
            np.testing.assert_array_equal(back.read_labels(), original.read_labels())
            np.testing.assert_array_equal(back.read_nucleus(), original.read_nucleus())
            assert back.classes == original.classes


@settings(deadline=None, max_examples=30)
@given(
    numbers=st.lists(st.integers(1, 2**31 - 1), max_size=5, unique=True),
    shape=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    seed=st.integers(0, 999),
)
def test_counting_cells_keeps_them_apart(numbers: list[int], shape: tuple[int, int], seed: int) -> None:
    labels = np.random.default_rng(seed).choice([0, *numbers], size=shape).astype(np.int32)
    found, compact = counted_cells(labels)
    assert found == sorted(set(labels.ravel().tolist()) - {0})
    np.testing.assert_array_equal(np.array([0, *found], np.int32)[compact], labels)
