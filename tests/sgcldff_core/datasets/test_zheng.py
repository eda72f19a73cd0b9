"""Zheng's pairs with the flaws that pairs and tables have."""

from __future__ import annotations

import numpy as np
import pytest

from sgcldff_core.datasets import open_dataset
from sgcldff_core.errors import UnknownFormatError


@pytest.fixture
def pair(tmp_path, draw, save):
    """Return a function that lays out one image with a cell at row 30, column 32, and its mask."""

    def lay_out(stem, *, shade=0, discs=((30, 32, 20),), folder="Dataset 1", mask=True):
        drawn = draw(60, 64, *discs)
        save(drawn.rgb - np.uint8(shade), tmp_path / folder / f"{stem}.bmp")
        if mask:
            save(drawn.mask(128, 255), tmp_path / folder / f"{stem}.png")
        return drawn

    return lay_out


def problems(data_set):
    return [f"{p.path.name}: {p.problem}" for p in data_set.report]


def test_pairs_with_a_table_above_them(tmp_path, pair):
    drawn = pair("001")
    pair("010", shade=1, folder="Dataset 2")
    (tmp_path / "Class Labels of Dataset 1.csv").write_text("image ID,class label\n1,5\n")
    (tmp_path / "Class Labels of Dataset 2.csv").write_text("image ID,class\n10,3\n")
    first, second = open_dataset(tmp_path)
    assert (first.name, first.source, first.classes, first.image_class) == (
        "zheng1_001",
        "zheng1",
        {1: "basophil"},
        "basophil",
    )
    assert (second.name, second.source, second.classes) == ("zheng2_010", "zheng2", {1: "monocyte"})
    np.testing.assert_array_equal(first.read_labels(), drawn.cells)
    np.testing.assert_array_equal(first.read_nucleus(), drawn.nuclei)


def test_upper_case_spaces_and_one_more_folder(tmp_path, pair):
    pair("1", folder="a/b c/DATASET 1")
    inner = tmp_path / "a" / "b c" / "DATASET 1"
    (inner / "1.bmp").rename(inner / "1.BMP")
    (inner / "1.png").rename(inner / "1.PNG")
    (tmp_path / "a" / "b c" / "CLASS LABELS OF dataset 1.CSV").write_text("id;class\r\n001;2\r\n")
    (sample,) = open_dataset(tmp_path)
    assert sample.classes == {1: "lymphocyte"}


def test_specks_are_dropped_and_the_central_cell_has_the_class(tmp_path, pair):
    drawn = pair("001", discs=((30, 36, 12), (3, 5, 14), (55, 60, 1)))
    (tmp_path / "Class Labels of Dataset 1.csv").write_text("image ID,class\n1,1\n")
    (sample,) = open_dataset(tmp_path)
    labels = sample.read_labels()
    assert sample.classes == {1: "neutrophil"}
    assert (labels[30, 36], labels[3, 5], labels[55, 60]) == (1, 2, 0)
    assert drawn.cells[55, 60]
    assert not sample.read_nucleus()[55, 60]


def test_identical_images_are_one_group(tmp_path, pair):
    pair("001")
    pair("002", shade=1)
    pair("003")
    groups = [sample.group for sample in open_dataset(tmp_path)]
    assert groups == ["zheng1/001", "zheng1/002", "zheng1/001"]


def test_flaws_are_named_and_the_rest_is_read(tmp_path, pair, draw, save):
    for n in range(1, 7):
        pair(f"00{n}", shade=n, mask=n != 2)
    save(draw(50, 64, (20, 20, 9)).mask(128, 255), tmp_path / "Dataset 1" / "003.png")
    (tmp_path / "Dataset 1" / "004.bmp").write_bytes(b"")
    (tmp_path / "Class Labels of Dataset 1.csv").write_text("image ID,class\n1,1\n2,2\n3,3\n4,1\n5,9\n6,\n")
    data_set = open_dataset(tmp_path)
    samples = {sample.name: sample for sample in data_set}
    assert {name: sample.kinds for name, sample in samples.items()} == {
        "zheng1_001": ("masks", "nuclei", "classes", "image class"),
        "zheng1_002": ("image class",),
        "zheng1_003": ("image class",),
        "zheng1_005": ("masks", "nuclei"),
        "zheng1_006": ("masks", "nuclei"),
    }
    assert [p.path.name for p in data_set.report.unusable] == ["003.png", "004.bmp"]
    assert problems(data_set)[:3] == [
        "Class Labels of Dataset 1.csv: row 6 has the class 9, known are 1 to 5; its image has none",
        "Class Labels of Dataset 1.csv: row 7 names no class; its image has none",
        "002.bmp: it has no mask; the image is used without",
    ]


def test_without_a_table_cells_have_no_class(tmp_path, pair):
    pair("001")
    data_set = open_dataset(tmp_path)
    (sample,) = data_set
    assert sample.classes is sample.image_class is None
    assert problems(data_set) == ["Dataset 1: there is no table of classes in or above it; its cells have no class"]


def test_a_photograph_beside_its_copy_is_no_mask(tmp_path, draw, save):
    drawn = draw(60, 64, (30, 32, 20))
    save(drawn.rgb, tmp_path / "1.bmp")
    save(drawn.rgb, tmp_path / "1.png")
    assert open_dataset(tmp_path).format == "plain"
    with pytest.raises(UnknownFormatError, match="no data set was recognised here, looked for zheng: images"):
        open_dataset(tmp_path, format="zheng")


def test_a_table_that_is_no_text_is_named(tmp_path, pair):
    pair("001")
    (tmp_path / "Class Labels of Dataset 1.csv").write_bytes(b"PK\0\0 a spreadsheet")
    data_set = open_dataset(tmp_path)
    assert [sample.kinds for sample in data_set] == [("masks", "nuclei")]
    assert problems(data_set)[0] == "Class Labels of Dataset 1.csv: this is no text"


def test_a_table_in_the_encoding_of_an_old_spreadsheet(tmp_path, pair):
    pair("zelle_ä")
    (tmp_path / "Class Labels of Dataset 1.csv").write_bytes("Bild;Klasse\r\nzelle_ä;Mono\r\n".encode("cp1252"))
    assert [sample.classes for sample in open_dataset(tmp_path)] == [{1: "monocyte"}]
