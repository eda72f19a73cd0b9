"""Curated folders: with their index, laid out by hand, and damaged. Round trips are in test_conversion."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from sgcldff_core.datasets import open_dataset
from sgcldff_core.errors import FormatError
from sgcldff_core.sample import Box, Point


@pytest.fixture
def curated(tmp_path, draw, save):
    """Lay out two images, one with labels, as `curated_writer` does; return the folder and its index."""
    drawn = draw(50, 60, (25, 30, 12))
    labels = drawn.cells.astype(np.uint16) * 7
    for name in ("a", "b"):
        save(drawn.rgb, tmp_path / "images" / f"{name}.png")
    (tmp_path / "labels").mkdir()
    tifffile.imwrite(tmp_path / "labels" / "a.tif", labels)
    save(drawn.nuclei.astype(np.uint8) * 255, tmp_path / "nuclei" / "a.png")
    (tmp_path / "cells.csv").write_text("image,label,class\na,7,EOS\n")
    index = {
        "format": "sgcldff-curated",
        "version": 1,
        "images": {
            "a": {
                "file": "images/a.png",
                "labels": "labels/a.tif",
                "nuclei": "nuclei/a.png",
                "source": "bccd",
                "group": "bccd/1",
                "split": "val",
                "image_class": "eosinophil",
                "boxes": [[1, 2, 3, 4, "platelet"]],
                "points": [[5, 6, "leukocyte"]],
            },
            "b": {"file": "images/b.png", "labels": None, "nuclei": None, "boxes": [], "points": None},
        },
    }
    (tmp_path / "dataset.json").write_text(json.dumps(index))
    return tmp_path, drawn, index


def test_everything_that_the_index_tells(curated):
    folder, drawn, _ = curated
    data_set = open_dataset(folder)
    a, b = data_set
    assert data_set.format == "curated"
    np.testing.assert_array_equal(a.read_labels(), drawn.cells * 7)
    np.testing.assert_array_equal(a.read_nucleus(), drawn.nuclei)
    assert (a.source, a.group, a.split, a.image_class) == ("bccd", "bccd/1", "val", "eosinophil")
    assert a.classes == {7: "eosinophil"}
    assert a.boxes == (Box(1, 2, 3, 4, "platelet"),)
    assert a.points == (Point(5, 6, "leukocyte"),)
    assert (b.kinds, b.boxes, b.points) == (("boxes",), (), None)


def test_a_folder_laid_out_by_hand_needs_no_index(curated):
    folder, drawn, _ = curated
    (folder / "dataset.json").unlink()
    (folder / "images").rename(folder / "Images")
    a, b = open_dataset(folder)
    np.testing.assert_array_equal(a.read_labels(), drawn.cells * 7)
    assert a.kinds == ("masks", "nuclei", "classes")
    assert b.kinds == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", r"dataset\.json: the index cannot be read .*; restore it from a copy"),
        ('{"format": "sgcldff-curated"}', "the index cannot be read"),
        (
            '{"format": "sgcldff-curated", "version": 2, "images": {}}',
            "version 2, not 'sgcldff-curated', version 1; update this program",
        ),
        ('{"format": "other", "version": 1, "images": {}}', "it is of the format 'other'"),
        ("[" * 100_000, "the index cannot be read"),
    ],
)
def test_a_damaged_index_is_refused_rather_than_classes_lost(curated, text, problem):
    folder, *_ = curated
    (folder / "dataset.json").write_text(text)
    with pytest.raises(FormatError, match=problem):
        list(open_dataset(folder))


def test_files_that_are_missing_or_lie_outside_are_named(curated):
    folder, _, index = curated
    (folder / "labels" / "a.tif").unlink()
    index["images"]["b"]["labels"] = "../../secret.tif"
    index["images"]["c"] = {"file": "images/c.png"}
    (folder.parent.parent / "secret.tif").write_bytes((folder / "images" / "a.png").read_bytes())
    (folder / "dataset.json").write_text(json.dumps(index))
    data_set = open_dataset(folder)
    assert [sample.labels for sample in data_set] == [None, None]
    assert [p.problem for p in data_set.report.unusable] == ["dataset.json names it, but it is missing"] * 3


@pytest.mark.parametrize(
    "entry", [[], 5, {"file": "images/b.png", "boxes": [[1, 2]]}, {"file": "images/b.png", "points": 3}]
)
def test_a_damaged_entry_is_named_and_the_rest_is_read(curated, entry):
    folder, _, index = curated
    index["images"]["b"] = entry
    (folder / "dataset.json").write_text(json.dumps(index))
    data_set = open_dataset(folder)
    assert [sample.name for sample in data_set] == ["a"]
    (problem,) = data_set.report.unusable
    assert "what dataset.json tells of it cannot be read" in problem.problem


def test_labels_of_another_size_are_named(curated):
    folder, *_ = curated
    tifffile.imwrite(folder / "labels" / "a.tif", np.zeros((5, 6), np.uint16))
    data_set = open_dataset(folder)
    assert next(iter(data_set)).labels is None
    (problem,) = data_set.report.unusable
    assert "the label image has shape (5, 6), its image" in problem.problem
    assert problem.problem.endswith("a.png has (50, 60)")


def test_rows_that_cannot_be_used_are_named(curated):
    folder, *_ = curated
    (folder / "cells.csv").write_text("image,label,class\na,7,\na,x,monocyte\na,0,monocyte\n\n")
    data_set = open_dataset(folder)
    assert next(iter(data_set)).classes is None
    assert [p.problem for p in data_set.report] == [
        "row 3 is no image, label and class; it was dropped",
        "row 4 is no image, label and class; it was dropped",
    ]


def test_a_table_without_its_columns_is_refused(curated):
    folder, *_ = curated
    (folder / "cells.csv").write_text("file,label\na,7\n")
    with pytest.raises(FormatError, match=r"cells\.csv: it has no column image, class; name the columns"):
        list(open_dataset(folder))
