"""The real data sets, read in full, with what was counted in them by hand and by eye."""

from __future__ import annotations

import pickle
from collections import Counter
from itertools import islice

import numpy as np
import pytest

from sgcldff_core.datasets import open_dataset
from sgcldff_core.datasets.rasters import read_grey


@pytest.fixture(scope="module")
def whole(real_data):
    """All data sets that lie under one folder, opened together, and every sample by name."""
    data_set = open_dataset(real_data)
    samples = list(data_set)
    by_name = {sample.name: sample for sample in samples}
    assert len(by_name) == len({name.casefold() for name in by_name}) == len(samples) == 1085
    return data_set, by_name


@pytest.fixture(scope="module")
def bccd(whole):
    data_set, samples = whole
    return data_set, {name: s for name, s in samples.items() if s.source.startswith("bccd")}


def check_pixels(samples):
    """Check that labels fit their image, that classes have pixels, and that nuclei lie in cells."""
    for sample in samples:
        image, labels, nucleus = sample.read_image(), sample.read_labels(), sample.read_nucleus()
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert labels.dtype == np.int32
        assert nucleus.dtype == bool
        assert labels.shape == nucleus.shape == image.shape[:2]
        assert set(sample.classes or {}) <= set(np.unique(labels)) - {0}
        assert nucleus.any()
        assert not nucleus[labels == 0].any()


def classes_in(samples):
    return Counter(name for sample in samples for name in (sample.classes or {}).values())


@pytest.mark.parametrize(
    ("folder", "format"),
    [
        (".", "zheng+bccd+bccd_crops+all_idb2"),
        ("zheng", "zheng"),
        ("zheng/Dataset 1", "zheng"),
        ("bccd", "bccd+bccd_crops"),
        ("bccd/BCCD", "bccd"),
        ("bccd/BCCD_cropped", "bccd_crops"),
        ("all_idb2", "all_idb2"),
    ],
)
def test_formats_are_told_by_content(real_data, folder, format):
    assert open_dataset(real_data / folder).format == format


def test_zheng(whole):
    samples = [s for s in whole[1].values() if s.source.startswith("zheng")]
    assert Counter(s.source for s in samples) == {"zheng1": 240, "zheng2": 70}
    assert classes_in(s for s in samples if s.source == "zheng1") == {
        "neutrophil": 141,
        "lymphocyte": 42,
        "monocyte": 38,
        "eosinophil": 18,
        "basophil": 1,
    }
    assert classes_in(s for s in samples if s.source == "zheng2") == {
        "lymphocyte": 26,
        "neutrophil": 23,
        "monocyte": 11,
        "eosinophil": 8,
        "basophil": 2,
    }
    assert not [p for p in whole[0].report if "zheng" in str(p.path)]
    check_pixels(samples)
    assert all(s.read_labels().max() == 1 for s in samples)
    groups = {s.name: s.group for s in samples}
    assert groups["zheng1_112"] == groups["zheng1_139"]
    assert len(set(groups.values())) == 309


def test_one_of_zhengs_data_sets_alone_finds_its_table(real_data):
    samples = list(open_dataset(real_data / "zheng" / "Dataset 2"))
    assert len(samples) == sum(classes_in(samples).values()) == 70


def test_stray_greys_of_zheng_are_background(whole):
    sample = whole[1]["zheng2_047"]
    grey = read_grey(sample.labels.path)
    assert (grey == 7).sum() == 179
    np.testing.assert_array_equal(sample.read_labels() > 0, grey >= 128)


def test_all_idb2(whole):
    samples = [s for s in whole[1].values() if s.source == "all_idb2"]
    assert Counter(s.image_class for s in samples) == classes_in(samples) == {"blast": 100, "healthy": 100}
    check_pixels(samples[::5])
    with_neighbours = 0
    for sample in samples:
        labels = sample.read_labels()
        with_neighbours += int(labels.max() > 1)
        rows, columns = np.nonzero(labels)
        nearest = np.argmin((rows - labels.shape[0] / 2) ** 2 + (columns - labels.shape[1] / 2) ** 2)
        assert labels[rows[nearest], columns[nearest]] == 1
    assert with_neighbours == 15


def test_bccd_counts(bccd):
    samples = bccd[1]
    fields = [s for s in samples.values() if s.source == "bccd"]
    crops = [s for s in samples.values() if s.source == "bccd_crops"]
    assert (len(fields), len(crops)) == (292, 283)
    assert Counter(s.split for s in fields) == {"train": 205, "val": 87}
    assert classes_in(fields) == {"neutrophil": 169, "eosinophil": 67, "lymphocyte": 31, "monocyte": 17, "basophil": 1}
    assert Counter(s.image_class for s in crops) == {
        "neutrophil": 169,
        "eosinophil": 67,
        "lymphocyte": 29,
        "monocyte": 17,
        "basophil": 1,
    }
    kinds = Counter(box.kind for s in fields for box in s.boxes)
    assert (kinds["erythrocyte"], kinds["platelet"]) == (3348, 292)
    # 301 drawn, three more that only the masks show.
    assert sum(kinds.values()) - 3348 - 292 == 304


def test_each_leukocyte_of_bccd_lies_in_its_box(bccd):
    fields = [s for s in bccd[1].values() if s.labels is not None]
    check_pixels(fields[::6])
    counts = Counter()
    for sample in fields:
        labels = sample.read_labels()
        boxes = [box for box in sample.boxes if box.kind not in ("erythrocyte", "platelet")]
        counts[int(labels.max())] += 1
        for label in range(1, labels.max() + 1):
            box = boxes[label - 1]
            inside = labels[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] == label
            assert inside.sum() > 0.9 * (labels == label).sum()
    assert counts == {1: 280, 2: 11}


def test_touching_leukocytes_of_bccd_are_parted(bccd):
    labels = bccd[1]["BloodImage_00313"].read_labels()
    areas = np.bincount(labels.ravel())[1:]
    assert areas.sum() == 44493
    # The boxes hold 14,000 and 37,700 px of the mask, 7,000 of them both.
    assert 11_000 < areas[0] < 14_000
    assert areas[1] > 30_000


def test_the_mask_of_another_field_is_refused(bccd):
    data_set, samples = bccd
    field = samples["BloodImage_00177"]
    assert field.labels is None
    assert field.classes is None
    assert [box.kind for box in field.boxes if box.kind not in ("erythrocyte", "platelet")] == ["eosinophil"]
    (refused,) = data_set.report.unusable
    assert refused.path.name == "BloodImage_Mask_00177.png"
    assert "too little of the leukocyte's box" in refused.problem


def test_a_red_cell_is_cut_off_at_the_box(bccd):
    data_set, samples = bccd
    sample = samples["BloodImage_00032"]
    top = sample.boxes[0].y0
    assert (read_grey(sample.labels.path) > 77).any(axis=1).argmax() < top - 30
    assert sample.read_labels().any(axis=1).argmax() >= top - 4
    assert any(p.path.name == "BloodImage_Mask_00032.png" and "cut at" in p.problem for p in data_set.report.notes)


@pytest.mark.parametrize(("name", "kind"), [("00133", "eosinophil"), ("00228", "eosinophil"), ("00242", "leukocyte")])
def test_boxes_that_were_forgotten_come_from_the_mask(bccd, name, kind):
    sample = bccd[1][f"BloodImage_{name}"]
    labels = sample.read_labels()
    box = sample.boxes[-1]
    rows, columns = np.nonzero(labels == labels.max())
    assert (box.y0, box.x0, box.y1, box.x1) == (rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
    assert box.kind == kind


@pytest.mark.parametrize(
    ("name", "image_class", "classes"),
    [
        ("00010", None, None),  # neutrophil and eosinophil, nobody says which is which
        ("00044", "eosinophil", {1: "eosinophil", 2: "eosinophil"}),
        ("00117", None, None),  # an empty row
        ("00113", "neutrophil", {1: "neutrophil"}),  # a platelet was boxed as leukocyte
        ("00374", "neutrophil", {1: "neutrophil", 2: "neutrophil"}),
    ],
)
def test_classes_of_bccd_fields(bccd, name, image_class, classes):
    sample = bccd[1][f"BloodImage_{name}"]
    assert (sample.image_class, sample.classes) == (image_class, classes)


def test_a_field_and_its_crop_are_one_group(bccd):
    samples = bccd[1]
    assert samples["BloodImage_00008"].group == samples["BloodImage_00008_1"].group == "bccd/00008"


def test_what_was_wrong_with_bccd_is_told(bccd):
    told = {(p.path.name, p.problem) for p in bccd[0].report}
    assert ("BloodImage_00338.xml", "object 13, RBC 504,337 to 504,337, has no area; it was dropped") in told
    assert ("BloodImage_00343.xml", "object 4, RBC 181,329 to 181,329, has no area; it was dropped") in told
    assert (
        "labels.csv",
        "image 313 has several classes (neutrophil, lymphocyte); as a whole it has none",
    ) in told


def test_the_inner_folder_finds_masks_and_classes_beside_it(real_data, bccd):
    for sample in islice(open_dataset(real_data / "bccd" / "BCCD"), 40):
        same = bccd[1][sample.name]
        assert (sample.kinds, sample.classes, sample.boxes) == (same.kinds, same.classes, same.boxes)


def test_samples_travel_to_other_processes(bccd):
    sample = bccd[1]["BloodImage_00313"]
    arrived = pickle.loads(pickle.dumps(sample))
    np.testing.assert_array_equal(arrived.read_labels(), sample.read_labels())
    np.testing.assert_array_equal(arrived.read_image(), sample.read_image())
