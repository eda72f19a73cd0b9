"""COCO as other tools write it: polygons, run lengths, packed run lengths, and files that are wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sgcldff_core.datasets import open_dataset
from sgcldff_core.datasets.coco_writer import run_lengths
from sgcldff_core.datasets.rle import check_segmentation, decode_counts, mask_of
from sgcldff_core.errors import UnknownFormatError
from sgcldff_core.sample import Box

SQUARE = [[10, 20, 30, 20, 30, 50, 10, 50]]  # x 10..29, y 20..49

masks = arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def packed(counts):
    """Pack run lengths into COCO's string, after the description of the format."""
    text = ""
    for n, count in enumerate(counts):
        number = count - counts[n - 2] if n > 2 else count
        more = True
        while more:
            bits = number & 31
            number >>= 5
            more = number != (-1 if bits & 16 else 0)
            text += chr((bits | 32 if more else bits) + 48)
    return text


@settings(max_examples=80, deadline=None)
@given(masks)
def test_run_lengths_round_trip(mask):
    rle = run_lengths(mask).get(1, {"size": list(mask.shape), "counts": [mask.size]})
    np.testing.assert_array_equal(mask_of(rle, mask.shape), mask)
    np.testing.assert_array_equal(mask_of({**rle, "counts": packed(rle["counts"])}, mask.shape), mask)
    check_segmentation(rle, mask.shape)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 10**7), max_size=12))
def test_packed_run_lengths_round_trip(counts):
    assert decode_counts(packed(counts)) == counts


def test_packed_run_lengths_by_hand():
    # 29 = 0b11101: five bits 13 and more to follow (13 + 16 is negative without), then 0; the run of 20
    # is 16 more than the 4 two before it: five bits 16 and more to follow, then 0.
    mask = np.zeros((9, 9), bool)
    mask[2:7, 3:7] = True
    assert run_lengths(mask)[1]["counts"] == [29, 5, 4, 5, 4, 5, 4, 5, 20]
    np.testing.assert_array_equal(mask_of({"size": [9, 9], "counts": "m05400000`0"}, (9, 9)), mask)


def test_polygons_hold_the_pixels_whose_centres_lie_inside():
    mask = mask_of([*SQUARE, [50, 0, 60, 0, 60, 10, 50, 10]], (60, 70))
    wanted = np.zeros((60, 70), bool)
    wanted[20:50, 10:30] = wanted[0:10, 50:60] = True
    np.testing.assert_array_equal(mask, wanted)


@pytest.mark.parametrize(
    ("segmentation", "problem"),
    [
        ({"size": [4, 4], "counts": [3, 2]}, "do not add up to the 16 pixels"),
        ({"size": [4, 4], "counts": [-3, 19]}, "do not add up"),
        ({"size": [4, 4], "counts": None}, "do not add up"),
        ({"size": [4, 5], "counts": [20]}, r"for the size \[4, 5\], the image has \[4, 4\]"),
        ({"size": [4, 4], "counts": "z"}, "holds the character 'z'"),
        ({"size": [4, 4], "counts": "P"}, "end in the middle of a number"),
        ([[1, 2, 3, 4]], "no list of at least three pairs"),
        ([[1, 2, 3, 4, 5]], "no list of at least three pairs"),
        ([[1, 2, 3, 4, 5, float("nan")]], "no list of at least three pairs"),
        ("circle", "neither run lengths nor polygons"),
        ([5], "neither run lengths nor polygons"),
    ],
)
def test_broken_segmentations_are_refused(segmentation, problem):
    with pytest.raises(ValueError, match=problem):
        check_segmentation(segmentation, (4, 4))
    with pytest.raises(ValueError, match=problem):
        mask_of(segmentation, (4, 4))


@pytest.fixture
def coco(tmp_path, draw, save):
    """Return a function that writes a JSON file about two images of 60×70."""

    def write(annotations, *, name="annotations/instances_val2017.json", images=(), categories=None):
        for stem in ("a", "b"):
            save(draw(60, 70, (30, 35, 12)).rgb, tmp_path / "val2017" / f"{stem}.png")
        listed = [{"id": n, "file_name": f"{stem}.png", "height": 60, "width": 70} for n, stem in ((1, "a"), (2, "b"))]
        names = categories or ["Neutrophil", "WBC", "RBC"]
        whole = {
            "images": [*listed, *images],
            "annotations": [{"id": n, "iscrowd": 0, **a} for n, a in enumerate(annotations, start=1)],
            "categories": [{"id": n, "name": c} for n, c in enumerate(names, start=1)],
        }
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(whole))
        return path

    return write


def test_instances_boxes_and_classes(tmp_path, coco):
    rle = run_lengths(np.pad(np.ones((5, 6), bool), ((40, 15), (50, 14))))[1]
    coco(
        [
            {"image_id": 1, "category_id": 1, "segmentation": SQUARE, "bbox": [10, 20, 20, 30]},
            {"image_id": 1, "category_id": 2, "segmentation": rle, "bbox": [50, 40, 6, 5]},
            {"image_id": 1, "category_id": 3, "segmentation": SQUARE, "bbox": [60, 50, 20, 30]},
        ]
    )
    data_set = open_dataset(tmp_path)
    first, second = data_set
    assert data_set.format == "coco"
    assert (first.name, first.split, first.source) == ("a", "val", "coco")
    labels = first.read_labels()
    assert (labels == 1).sum() == 600
    assert (labels == 2).sum() == 30
    assert labels.max() == 2
    assert first.classes == {1: "neutrophil"}
    assert first.boxes == (
        Box(20, 10, 50, 30, "neutrophil"),
        Box(40, 50, 45, 56, "leukocyte"),
        Box(50, 60, 60, 70, "erythrocyte"),
    )
    # Nobody outlined anything in the second image: it is not claimed to be empty.
    assert (second.labels, second.boxes, second.nucleus) == (None, (), None)
    assert not data_set.report


def test_the_json_file_itself_may_be_opened(coco):
    assert [s.name for s in open_dataset(coco([]))] == ["a", "b"]


def test_what_is_wrong_is_named_and_the_rest_is_read(tmp_path, coco, draw, save):
    save(draw(60, 71, (30, 35, 12)).rgb, tmp_path / "val2017" / "c.png")
    coco(
        [
            {"image_id": 1, "category_id": 1, "segmentation": [[1, 2]], "bbox": [10, 20, 20, 30]},
            {"image_id": 1, "category_id": 9, "segmentation": SQUARE, "bbox": [10, 20, 20, 30]},
            {"image_id": 1, "category_id": 1, "segmentation": SQUARE, "bbox": [90, 20, 20, 30]},
            {"image_id": 1, "category_id": 1, "segmentation": SQUARE, "iscrowd": 1},
            {"image_id": 8, "category_id": 1, "segmentation": SQUARE},
        ],
        images=[
            {"id": 3, "file_name": "../../etc/passwd", "height": 60, "width": 70},
            {"id": 4, "file_name": "c.png", "height": 60, "width": 70},
        ],
    )
    data_set = open_dataset(tmp_path)
    first, _ = data_set
    assert first.classes == {2: "neutrophil"}
    assert len(first.boxes) == 1
    assert sorted(f"{p.path.name}: {p.problem}" for p in data_set.report) == [
        "c.png: it has the size (60, 71), instances_val2017.json gives (60, 70)",
        "instances_val2017.json: annotation 1 was dropped: a polygon is no list of at least three pairs of numbers",
        "instances_val2017.json: annotation 2 has no known category; it was dropped",
        "instances_val2017.json: annotation 4 was dropped: it stands for a crowd of cells",
        "instances_val2017.json: annotations of image 8, which is not listed, were dropped",
        "instances_val2017.json: the box of annotation 3 has no area in the image; it was dropped",
        "passwd: instances_val2017.json names it, but it is missing",
    ]


def test_other_json_is_no_coco(tmp_path, draw, save):
    save(draw(20, 20, (10, 10, 5)).rgb, tmp_path / "a.png")
    for n, text in enumerate(["{", "[]", '{"images": {}}', '{"images": [1], "annotations": [], "categories": []}']):
        (tmp_path / f"{n}.json").write_text(text)
    assert open_dataset(tmp_path).format == "plain"
    with pytest.raises(UnknownFormatError, match="looked for coco: JSON with images, annotations and categories"):
        open_dataset(tmp_path / "0.json", format="coco")


@pytest.mark.parametrize(
    "told",
    [
        {"category_id": [1], "segmentation": SQUARE},
        {"image_id": {}, "segmentation": SQUARE},
        {"segmentation": SQUARE, "sgcldff": {"label": 2**40}},
        {"segmentation": SQUARE, "sgcldff": {"label": "x"}},
        {"segmentation": SQUARE, "sgcldff": [1]},
        {"segmentation": SQUARE, "nucleus": {"size": [60, 70], "counts": [1, [2]]}},
        {"segmentation": {"size": [60, 70], "counts": [2**63 - 1, 2**63 - 1, 4202]}},
        {"segmentation": [[1e400, 2, 3, 4, 5, 6]]},
    ],
)
def test_a_damaged_annotation_is_named_and_the_rest_is_read(tmp_path, coco, told):
    coco([{"image_id": 1, "category_id": 1, **told}, {"image_id": 2, "category_id": 1, "segmentation": SQUARE}])
    data_set = open_dataset(tmp_path)
    samples = list(data_set)
    assert samples[-1].name == "b"
    assert (samples[-1].read_labels() > 0).sum() == 600
    for sample in samples:
        sample.read_labels()
        sample.read_nucleus()
    assert len(data_set.report) == 1


def test_json_that_is_nested_without_end_is_no_coco(tmp_path, draw, save):
    save(draw(20, 20, (10, 10, 5)).rgb, tmp_path / "a.png")
    (tmp_path / "a.json").write_text("[" * 100_000)
    assert open_dataset(tmp_path).format == "plain"
