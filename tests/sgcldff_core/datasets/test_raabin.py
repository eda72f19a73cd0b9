"""Raabin-WBC, whose archives are unpacked in many ways."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from sgcldff_core.datasets import open_dataset


def test_crops_in_their_splits(tmp_path, draw, save):
    rgb = draw(40, 40, (20, 20, 12)).rgb
    for folder, name in (
        ("Train/Basophil", "20190526_162951_0"),
        ("Train/Basophil", "20190526_162951_1"),
        ("Train/Neutrophil", "95-5-18-1_38_2"),
        ("TestA/Large Lymph", "20190527_101112_0"),
        ("TestB/lymphocyte", "20190527_101112_0"),
    ):
        save(rgb, tmp_path / "Raabin WBC" / folder / f"{name}.jpg")
    data_set = open_dataset(tmp_path)
    samples = list(data_set)
    assert data_set.format == "raabin"
    assert Counter((s.split, s.image_class) for s in samples) == {
        ("train", "basophil"): 2,
        ("train", "neutrophil"): 1,
        ("test", "lymphocyte"): 2,
    }
    assert [s.group for s in samples if s.image_class == "basophil"] == ["raabin/20190526_162951"] * 2
    assert len({s.name for s in samples}) == 5


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("Original/Monocyte/7.jpg", {"both": "Mask/Monocyte/7.png"}),
        ("Monocyte/Original/7.jpg", {"both": "Monocyte/Ground Truth/7.png"}),
        ("Monocyte/7.jpg", {"both": "Monocyte/7_mask.png"}),
        ("images/Monocyte/7.jpg", {"nucleus": "Nucleus/Monocyte/7.png", "cytoplasm": "Cytoplasm/Monocyte/7.png"}),
        ("Monocyte/7.jpg", {"nucleus": "Monocyte/7_nucleus.png", "cytoplasm": "Monocyte/7-cytoplasm.png"}),
    ],
)
def test_masks_of_nucleus_and_cytoplasm(tmp_path, draw, save, image, parts):
    drawn = draw(60, 60, (30, 28, 18))
    save(drawn.rgb, tmp_path / image)
    pixels = {
        "both": drawn.mask(128, 255),
        "nucleus": drawn.nuclei.astype(np.uint8) * 255,
        "cytoplasm": (drawn.cells & ~drawn.nuclei).astype(np.uint8) * 255,
    }
    for part, path in parts.items():
        save(pixels[part], tmp_path / path)
    data_set = open_dataset(tmp_path)
    (sample,) = data_set
    assert data_set.format == "raabin"
    assert sample.classes == {1: "monocyte"}
    np.testing.assert_array_equal(sample.read_labels(), drawn.cells)
    np.testing.assert_array_equal(sample.read_nucleus(), drawn.nuclei)


def test_a_mask_of_two_greys_tells_no_nucleus(tmp_path, draw, save):
    drawn = draw(60, 60, (30, 28, 18))
    save(drawn.rgb, tmp_path / "Monocyte" / "7.jpg")
    save(drawn.cells.astype(np.uint8) * 255, tmp_path / "Monocyte" / "7_mask.png")
    (sample,) = open_dataset(tmp_path)
    assert sample.nucleus is None
    np.testing.assert_array_equal(sample.read_labels(), drawn.cells)


def test_a_mask_of_another_size_is_named(tmp_path, draw, save):
    save(draw(60, 60, (30, 28, 18)).rgb, tmp_path / "Monocyte" / "7.jpg")
    save(draw(50, 60, (30, 28, 18)).mask(128, 255), tmp_path / "Monocyte" / "7_mask.png")
    data_set = open_dataset(tmp_path)
    (sample,) = data_set
    assert sample.labels is sample.classes is None
    assert sample.image_class == "monocyte"
    assert "(50, 60), its image" in data_set.report.unusable[0].problem


def test_class_folders_of_another_source_are_plain(tmp_path, draw, save):
    for name in ("Monocyte", "Basophil"):
        save(draw(30, 30, (15, 15, 9)).rgb, tmp_path / name / "cell 1.jpg")
    assert open_dataset(tmp_path).format == "plain"
