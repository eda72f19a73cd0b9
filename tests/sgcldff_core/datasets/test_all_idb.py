"""ALL-IDB1 as it is published, and ALL-IDB2 with and without masks."""

from __future__ import annotations

import numpy as np

from sgcldff_core.datasets import open_dataset
from sgcldff_core.sample import Point


def problems(data_set):
    return [f"{p.path.name}: {p.problem}" for p in data_set.report]


def test_all_idb1(tmp_path, draw, save):
    for name, size in (("Im001_1", (68, 86)), ("Im002_1", (97, 130)), ("Im003_0", (68, 86)), ("Im004_0", (68, 86))):
        save(draw(*size, (30, 40, 12)).rgb, tmp_path / "ALL_IDB1" / "im" / f"{name}.jpg")
    centres = tmp_path / "ALL_IDB1" / "xyc"
    centres.mkdir()
    (centres / "Im001_1.xyc").write_text("40\t30\n12\t7\n")
    (centres / "Im002_1.xyc").write_text("40 30\r\n  129  96 \r\n500 3\r\nx y\r\n")
    (centres / "Im003_0.xyc").write_text("\n")
    data_set = open_dataset(tmp_path)
    samples = list(data_set)
    assert data_set.format == "all_idb1"
    assert [(s.name, s.image_class, s.points) for s in samples] == [
        ("all_idb1_Im001_1", "blast", (Point(30, 40, "blast"), Point(7, 12, "blast"))),
        ("all_idb1_Im002_1", "blast", (Point(30, 40, "blast"), Point(96, 129, "blast"))),
        ("all_idb1_Im003_0", "healthy", ()),
        ("all_idb1_Im004_0", "healthy", None),
    ]
    assert samples[1].read_image().shape == (97, 130, 3)
    assert problems(data_set) == [
        "Im002_1.xyc: line 3 lies outside the image: x 500, y 3; it was dropped",
        "Im002_1.xyc: line 4 is no pair of numbers: 'x y'; it was dropped",
        "Im004_0.jpg: it has no .xyc file; whether it holds blasts is unknown",
    ]


def test_all_idb2(tmp_path, draw, save):
    drawn = draw(65, 65, (33, 30, 15), (2, 60, 12))
    for name in ("Im001_1", "Im131_0"):
        save(drawn.rgb, tmp_path / "IMG" / f"{name}.tif")
    save(drawn.mask(155, 255), tmp_path / "masks" / "Im001_1.png")
    blast, healthy = open_dataset(tmp_path)
    assert (blast.classes, blast.image_class) == ({1: "blast"}, "blast")
    assert (healthy.kinds, healthy.image_class) == (("image class",), "healthy")
    labels = blast.read_labels()
    assert (labels[33, 30], labels[2, 60]) == (1, 2)
    np.testing.assert_array_equal(blast.read_nucleus(), drawn.nuclei)


def test_both_together_keep_their_names_apart(tmp_path, draw, save):
    rgb = draw(20, 20, (10, 10, 5)).rgb
    save(rgb, tmp_path / "ALL_IDB1" / "im" / "Im001_1.jpg")
    (tmp_path / "ALL_IDB1" / "xyc").mkdir()
    (tmp_path / "ALL_IDB1" / "xyc" / "Im001_1.xyc").write_text("10\t10\n")
    save(rgb, tmp_path / "ALL_IDB2" / "img" / "Im001_1.tif")
    data_set = open_dataset(tmp_path)
    assert [sample.name for sample in data_set] == ["all_idb1_Im001_1", "all_idb2_Im001_1"]
