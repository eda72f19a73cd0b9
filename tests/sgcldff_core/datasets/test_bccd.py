"""BCCD as it lies on disks: without splits, annotations or masks, with broken boxes, as Kaggle copies it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sgcldff_core.datasets import ReadReport, open_dataset
from sgcldff_core.datasets.bccd_cells import cells_in_boxes
from sgcldff_core.datasets.voc import read_voc_boxes
from sgcldff_core.errors import FormatError, UnreadableImageError
from sgcldff_core.sample import Box

CELL = ("WBC", 21, 11, 60, 50)


def xml(*objects):
    body = "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
        "</bndbox></object>"
        for name, x0, y0, x1, y1 in objects
    )
    return f"<annotation><filename>a.jpg</filename>{body}</annotation>"


@pytest.fixture
def field(tmp_path, draw, save):
    """Return a function that lays out one field of 80×100 with a cell at row 30, column 40."""

    def lay_out(number=1, *, objects=(CELL,), discs=((30, 40, 18),), mask=True, root="BCCD"):
        drawn = draw(80, 100, *discs)
        save(drawn.rgb, tmp_path / root / "JPEGImages" / f"BloodImage_{number:05d}.png")
        if mask:
            save(drawn.mask(155, 255), tmp_path / "masks" / f"BloodImage_Mask_{number:05d}.png")
        if objects is not None:
            annotation = tmp_path / root / "Annotations" / f"BloodImage_{number:05d}.xml"
            annotation.parent.mkdir(exist_ok=True)
            annotation.write_text(xml(*objects))
        return drawn

    return lay_out


def problems(data_set):
    return [f"{p.path.name}: {p.problem}" for p in data_set.report]


def test_a_field_with_mask_boxes_and_split(tmp_path, field):
    drawn = field(objects=[CELL, ("RBC", 1, 1, 20, 30), ("Platelets", 90, 70, 100, 80)])
    lists = tmp_path / "BCCD" / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("BloodImage_00001 1\n\n")
    (tmp_path / "labels.csv").write_text(",Image,Category\n,1,EOSINOPHIL\n")
    data_set = open_dataset(tmp_path)
    (sample,) = data_set
    assert data_set.format == "bccd"
    assert (sample.name, sample.source, sample.group, sample.split) == ("BloodImage_00001", "bccd", "bccd/00001", "val")
    np.testing.assert_array_equal(sample.read_labels(), drawn.cells)
    np.testing.assert_array_equal(sample.read_nucleus(), drawn.nuclei)
    assert sample.classes == {1: "eosinophil"}
    # VOC counts from 1 and includes both corners.
    assert sample.boxes == (
        Box(10, 20, 50, 60, "eosinophil"),
        Box(0, 0, 30, 20, "erythrocyte"),
        Box(69, 89, 80, 100, "platelet"),
    )
    assert problems(data_set) == []


def test_without_splits_annotations_and_masks_the_rest_is_read(tmp_path, field):
    field(1, objects=None, mask=False)
    field(2, mask=False)
    (tmp_path / "labels.csv").write_text(",Image,Category\n,1,LYMPHOCYTE\n,2,MONOCYTE\n")
    data_set = open_dataset(tmp_path)
    bare, boxed = data_set
    assert (bare.kinds, bare.boxes, bare.image_class, bare.split) == (("image class",), None, "lymphocyte", None)
    assert [box.kind for box in boxed.boxes] == ["monocyte"]
    assert boxed.classes is boxed.labels is None
    assert problems(data_set) == ["BloodImage_00001.png: it has no annotation; the image is used without boxes"]


@pytest.mark.parametrize(
    ("corners", "problem", "kept"),
    [
        ((30, 40, 30, 40), "has no area; it was dropped", None),
        ((30, 40, 30, 60), "has no area; it was dropped", None),
        ((60, 50, 21, 11), "is inside out; its corners were exchanged", (10, 20, 50, 60)),
        ((-5, 11, 60, 90), "leaves the image of 100×80; it was clipped", (10, 0, 80, 60)),
        ((101, 11, 160, 50), "lies outside the image of 100×80; it was dropped", None),
        ((0, 0, 60, 50), None, (0, 0, 50, 60)),  # counted from 0
        ((1, 1, 100, 80), None, (0, 0, 80, 100)),
    ],
)
def test_broken_boxes_are_mended_or_dropped_and_named(tmp_path, corners, problem, kept):
    (tmp_path / "a.xml").write_text(xml(("RBC", *corners)))
    report = ReadReport()
    boxes = read_voc_boxes(tmp_path / "a.xml", (80, 100), report)
    assert [(b.y0, b.x0, b.y1, b.x1) for b in boxes] == ([kept] if kept else [])
    assert len(report) == (problem is not None)
    assert all(p.problem.endswith(problem) for p in report)
    assert not report.unusable


def test_an_object_without_name_or_corner_is_dropped(tmp_path):
    (tmp_path / "a.xml").write_text("<annotation><object><name>WBC</name></object><object/></annotation>")
    report = ReadReport()
    assert read_voc_boxes(tmp_path / "a.xml", (80, 100), report) == ()
    assert [p.problem for p in report] == [f"object {n} lacks a name or a corner; it was dropped" for n in (1, 2)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<annotation><object>", "this is no usable XML"),
        ("", "this is no usable XML"),
        ("<html/>", "this is <html>, not <annotation> of Pascal VOC; export the annotation as VOC"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "this is no usable XML .*EntitiesForbidden"),
    ],
)
def test_broken_xml_is_refused(tmp_path, text, problem):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(FormatError, match=rf"a\.xml: {problem}"):
        read_voc_boxes(tmp_path / "a.xml", (80, 100), ReadReport())


def test_a_field_with_broken_xml_keeps_its_mask(tmp_path, field):
    drawn = field()
    (tmp_path / "BCCD" / "Annotations" / "BloodImage_00001.xml").write_text("<annotation>")
    data_set = open_dataset(tmp_path)
    (sample,) = data_set
    assert sample.boxes is None
    np.testing.assert_array_equal(sample.read_labels() > 0, drawn.cells)
    assert [p.path.name for p in data_set.report.unusable] == ["BloodImage_00001.xml"]


@pytest.mark.parametrize("objects", [(), (("RBC", 1, 1, 20, 30),)])
def test_a_field_without_leukocytes_does_not_claim_to_have_none(tmp_path, field, objects):
    field(objects=objects, mask=False)
    (tmp_path / "labels.csv").write_text(",Image,Category\n,1,NEUTROPHIL\n")
    data_set = open_dataset(tmp_path)
    (sample,) = data_set
    assert sample.boxes is sample.labels is None
    assert sample.image_class == "neutrophil"
    assert problems(data_set) == [
        "BloodImage_00001.png: no leukocyte is annotated; its boxes are taken as incomplete and left out"
    ]


def test_a_forgotten_box_comes_from_the_mask(tmp_path, field):
    field(objects=())
    (sample,) = open_dataset(tmp_path)
    assert sample.boxes == (Box(12, 22, 49, 59, "leukocyte"),)


def test_a_box_without_mask_stays_a_box(tmp_path, field):
    field(objects=(CELL, ("WBC", 70, 60, 90, 80)))
    (tmp_path / "labels.csv").write_text(',Image,Category\n,1,"NEUTROPHIL, EOSINOPHIL"\n')
    data_set = open_dataset(tmp_path)
    (sample,) = data_set
    assert [box.kind for box in sample.boxes] == ["leukocyte", "leukocyte"]
    assert np.unique(sample.read_labels()).tolist() == [0, 1]
    assert sample.classes is sample.image_class is None
    assert problems(data_set) == [
        "labels.csv: image 1 has several classes (neutrophil, eosinophil); as a whole it has none"
    ]


def test_two_cells_of_one_class_are_both_named(tmp_path, field):
    field(objects=(("WBC", 6, 11, 40, 50), ("WBC", 56, 11, 94, 50)), discs=((30, 22, 14), (30, 75, 16)))
    (tmp_path / "labels.csv").write_text(',Image,Category\n,1,"LYMPHOCYTE, LYMPHOCYTE"\n')
    (sample,) = open_dataset(tmp_path)
    assert sample.classes == {1: "lymphocyte", 2: "lymphocyte"}
    assert sample.image_class == "lymphocyte"
    labels = sample.read_labels()
    assert (labels[30, 22], labels[30, 75]) == (1, 2)


def test_one_class_does_not_name_two_cells(tmp_path, field):
    field(objects=(("WBC", 6, 11, 40, 50), ("WBC", 56, 11, 94, 50)), discs=((30, 22, 14), (30, 75, 16)))
    (tmp_path / "labels.csv").write_text(",Image,Category\n,1,LYMPHOCYTE\n")
    (sample,) = open_dataset(tmp_path)
    assert sample.classes is None
    assert sample.image_class == "lymphocyte"


def test_crops_name_the_cell_and_share_its_group(tmp_path, field, draw, save):
    field()
    crop = draw(40, 40, (20, 20, 18)).rgb
    save(crop, tmp_path / "BCCD_cropped" / "Basophil" / "BloodImage_00001_1.jpg")
    data_set = open_dataset(tmp_path)
    whole, part = data_set
    assert data_set.format == "bccd+bccd_crops"
    assert whole.classes == {1: "basophil"}
    assert (part.source, part.image_class, part.labels) == ("bccd_crops", "basophil", None)
    assert whole.group == part.group


def test_masks_that_are_noisy_greys_in_rgb(tmp_path, field, save):
    drawn = field()
    rng = np.random.default_rng(0)
    noisy = np.clip(drawn.mask(155, 255) + rng.normal(0, 15, (80, 100)), 0, 255).astype(np.uint8)
    save(np.repeat(noisy[..., None], 3, axis=2), tmp_path / "masks" / "BloodImage_Mask_00001.png")
    (sample,) = open_dataset(tmp_path)
    np.testing.assert_array_equal(sample.read_labels(), drawn.cells)
    assert (sample.read_nucleus() == drawn.nuclei).mean() > 0.99


def test_masks_that_cannot_be_of_the_field_are_left_out(tmp_path, field, draw, save):
    field(1)
    field(2)
    field(3)
    save(draw(40, 50, (20, 20, 9)).mask(155, 255), tmp_path / "masks" / "BloodImage_Mask_00001.png")
    save(draw(80, 100).mask(155, 255), tmp_path / "masks" / "BloodImage_Mask_00002.png")
    save(draw(80, 100, (20, 30, 9)).mask(155, 255), tmp_path / "masks" / "BloodImage_Mask_00003.png")
    (tmp_path / "masks" / "BloodImage_Mask_00004.png").touch()
    data_set = open_dataset(tmp_path)
    assert [sample.labels for sample in data_set] == [None] * 3
    assert [p.path.name for p in data_set.report.unusable] == [f"BloodImage_Mask_0000{n}.png" for n in (1, 2, 3, 4)]
    assert "the label image has shape (40, 50), its image" in problems(data_set)[0]
    assert problems(data_set)[1:] == [
        "BloodImage_Mask_00002.png: it marks no leukocyte",
        "BloodImage_Mask_00003.png: it fills too little of the leukocyte's box to be the mask of this field",
        "BloodImage_Mask_00004.png: its image is missing",
    ]


def test_unreadable_images_are_named_and_the_rest_is_read(tmp_path, field):
    for number in (1, 2, 3):
        field(number)
    images = tmp_path / "BCCD" / "JPEGImages"
    (images / "BloodImage_00001.png").write_bytes(b"")
    (images / "BloodImage_00002.png").write_bytes(b"not an image")
    (images / "BloodImage_00003.png").write_bytes((images / "BloodImage_00003.png").read_bytes()[:150])
    data_set = open_dataset(tmp_path)
    (sample,) = data_set
    assert [p.problem for p in data_set.report.unusable] == ["the file is empty", "this is no image of a known kind"]
    with pytest.raises(UnreadableImageError, match=r"BloodImage_00003\.png: the image is truncated"):
        sample.read_image()


def test_a_truncated_mask_is_left_out(tmp_path, field):
    field()
    mask = tmp_path / "masks" / "BloodImage_Mask_00001.png"
    mask.write_bytes(mask.read_bytes()[:120])
    data_set = open_dataset(tmp_path)
    (sample,) = data_set
    assert sample.kinds == ("boxes",)
    assert "BloodImage_Mask_00001.png: the image is truncated" in problems(data_set)[0]


def test_kaggles_nesting_and_case(tmp_path, field):
    field(root="dataset master/dataset-master", mask=False)
    inner = tmp_path / "dataset master" / "dataset-master"
    (inner / "JPEGImages").rename(inner / "jpegimages")
    (inner / "Annotations").rename(inner / "annotations")
    (inner / "labels.csv").write_bytes("\ufeff,Image,Category\r\n,1,NEUTROPHIL\r\n,9,\r\n".encode())
    data_set = open_dataset(tmp_path)
    (sample,) = data_set
    assert sample.image_class == "neutrophil"
    assert problems(data_set) == ["labels.csv: 1 rows name no class"]


def test_a_table_without_its_columns_is_named(tmp_path, field):
    field()
    (tmp_path / "labels.csv").write_text("a,b\n1,2\n")
    data_set = open_dataset(tmp_path)
    assert len(list(data_set)) == 1
    assert problems(data_set) == ["labels.csv: it has no columns Image and Category"]


def test_kaggles_augmented_copies_keep_together(tmp_path, draw, save):
    pixels = draw(24, 32, (12, 16, 6)).rgb
    for name in ("_0_12", "_0_99", "_1_7"):
        save(pixels, tmp_path / "images" / "TRAIN" / "EOSINOPHIL" / f"{name}.jpeg")
    save(pixels, tmp_path / "images" / "TEST" / "EOSINOPHIL" / "_0_12.jpeg")
    data_set = open_dataset(tmp_path)
    samples = list(data_set)
    assert data_set.format == "bccd_augmented"
    assert sorted((s.split, s.group) for s in samples) == [
        ("test", "bccd_augmented/eosinophil/0"),
        ("train", "bccd_augmented/eosinophil/0"),
        ("train", "bccd_augmented/eosinophil/0"),
        ("train", "bccd_augmented/eosinophil/1"),
    ]
    assert len({s.name for s in samples}) == 4
    assert "never test on one, trained on the other" in problems(data_set)[0]


def test_original_beside_mask_of_leukocytes(tmp_path, draw, save):
    drawn = draw(60, 80, (30, 40, 15))
    save(drawn.rgb, tmp_path / "train" / "original" / "5f1c.png")
    save(drawn.cells.astype(np.uint8) * 255, tmp_path / "train" / "mask" / "5f1c.png")
    data_set = open_dataset(tmp_path)
    (sample,) = data_set
    assert (data_set.format, sample.split, sample.nucleus) == ("original_mask", "train", None)
    np.testing.assert_array_equal(sample.read_labels(), drawn.cells)


def test_masks_of_all_blood_cells_are_no_labels(tmp_path, draw, save):
    drawn = draw(100, 100, *((y, x, 7) for y in (12, 37, 62, 87) for x in (12, 37, 62, 87)))
    save(drawn.rgb, tmp_path / "test" / "original" / "5f1c.png")
    save(drawn.cells.astype(np.uint8) * 255, tmp_path / "test" / "mask" / "5f1c.png")
    data_set = open_dataset(tmp_path)
    (sample,) = data_set
    assert sample.labels is None
    assert problems(data_set) == [
        "test: its masks mark all blood cells, not leukocytes; the images are used without them"
    ]


def test_a_cell_in_two_parts_is_joined_by_its_box():
    foreground = np.zeros((40, 60), bool)
    foreground[10:30, 10:24] = foreground[10:30, 26:40] = True
    cells = cells_in_boxes(foreground, (Box(8, 8, 32, 42),))
    np.testing.assert_array_equal(cells.labels, foreground)


def test_a_mask_that_runs_on_is_cut_at_the_box():
    foreground = np.zeros((40, 90), bool)
    foreground[10:30, 10:40] = foreground[18:22, 40:80] = True
    cells = cells_in_boxes(foreground, (Box(8, 8, 32, 42),))
    assert cells.cut == (1,)
    assert np.flatnonzero(cells.labels.any(axis=0)).max() == 45


@settings(max_examples=40, deadline=None)
@given(
    gap=st.integers(-6, 30),
    radii=st.tuples(st.integers(14, 24), st.integers(14, 24)),
    slack=st.integers(0, 6),
    swapped=st.booleans(),
)
@example(gap=-4, radii=(14, 14), slack=6, swapped=False)
def test_two_cells_near_or_touching_are_told_by_their_boxes(gap, radii, slack, swapped):
    """No pixel is lost or made, and each cell's centre bears the number of its box."""
    y, x = np.mgrid[:70, :140]
    centres = (30, 30 + radii[0] + radii[1] + gap)
    foreground = np.any([np.hypot(y - 35, x - c) <= r for c, r in zip(centres, radii, strict=True)], axis=0)
    boxes = [
        Box(35 - r - slack, c - r - slack, 36 + r + slack, c + r + 1 + slack)
        for c, r in zip(centres, radii, strict=True)
    ]
    order = (1, 0) if swapped else (0, 1)
    cells = cells_in_boxes(foreground, tuple(boxes[i] for i in order))
    np.testing.assert_array_equal(cells.labels > 0, foreground)
    assert [cells.labels[35, centres[i]] for i in order] == [1, 2]
    assert cells.misfits == cells.cut == ()
