"""LISC laid out as it is published: masks that lack a margin, greys that say class and part."""

from __future__ import annotations

import json

import numpy as np
import pytest

from sgcldff_core.datasets import open_dataset

GREYS = {"eosi": (75, 100), "lymp": (125, 150), "mono": (175, 200), "neut": (225, 255)}
NAMES = {"Baso": "basophil", "eosi": "eosinophil", "lymp": "lymphocyte", "mono": "monocyte", "neut": "neutrophil"}


@pytest.fixture
def lisc(tmp_path, draw, save):
    """Lay out a field for each class with a cell at (60, 70), two of neutrophils, one mixed, one without mask."""
    root = tmp_path / "LISC Database"
    drawn = draw(120, 150, (60, 70, 20))

    def lay_out(folder, stem, drawn, mask, expert="_expert"):
        save(drawn.rgb, root / "Main Dataset" / folder / f"{stem}.bmp")
        truth = root / "Ground Truth Segmentation" / folder / "areaforexpert1"
        save(mask[4:-4, 4:-4], truth / f"{stem}{expert}.bmp")

    lay_out("Baso", "1", drawn, drawn.cells.astype(np.uint8) * 50)
    for folder, greys in GREYS.items():
        lay_out(folder, "1", drawn, drawn.mask(*greys))
    two = draw(120, 150, (40, 40, 20), (80, 100, 22))
    lay_out("neut", "2", two, two.mask(225, 255), "_expert12")
    save(two.mask(225, 255), root / "Ground Truth Segmentation" / "neut" / "areaforexpert2" / "2_expert.bmp")
    # A monocyte touches a neutrophil.
    mixed = np.where(
        np.arange(150) < 70, draw(120, 150, (60, 50, 20)).mask(175, 200), draw(120, 150, (60, 90, 20)).mask(225, 255)
    )
    lay_out("mixt", "1", draw(120, 150, (60, 50, 20), (60, 90, 20)), mixed)
    save(drawn.rgb, root / "Main Dataset" / "mono" / "7.bmp")
    save(drawn.rgb, root / "More Dataset without Ground Truth" / "alll" / "1.bmp")
    return tmp_path, drawn


def test_classes_masks_and_nuclei(lisc):
    folder, drawn = lisc
    data_set = open_dataset(folder)
    samples = {sample.name: sample for sample in data_set}
    assert data_set.format == "lisc"
    assert len(samples) == 9
    for spelling, name in NAMES.items():
        sample = samples[f"lisc_{spelling.lower()}_1"]
        assert (sample.image_class, sample.classes) == (name, {1: name})
        np.testing.assert_array_equal(sample.read_labels(), drawn.cells)
        if name == "basophil":
            assert sample.nucleus is None
        else:
            np.testing.assert_array_equal(sample.read_nucleus(), drawn.nuclei)
    assert samples["lisc_neut_2"].classes == {1: "neutrophil", 2: "neutrophil"}
    assert samples["lisc_mono_7"].kinds == ("image class",)
    assert samples["lisc_alll_1"].kinds == ()
    assert [f"{p.path.name}: {p.problem}" for p in data_set.report] == [
        "7.bmp: it has no mask; the image is used without"
    ]


def test_in_mixed_fields_the_greys_name_the_cells(lisc):
    sample = {s.name: s for s in open_dataset(lisc[0])}["lisc_mixt_1"]
    labels = sample.read_labels()
    assert sample.image_class is None
    assert {sample.classes[labels[60, 50]], sample.classes[labels[60, 90]]} == {"monocyte", "neutrophil"}
    assert sample.classes[labels[60, 50]] == "monocyte"
    assert labels.shape == (120, 150)


def test_two_greys_give_no_nucleus(lisc, save, draw):
    folder, drawn = lisc
    truth = folder / "LISC Database" / "Ground Truth Segmentation" / "neut" / "areaforexpert1"
    save(drawn.cells.astype(np.uint8) * 255, truth / "1_expert.bmp")
    sample = {s.name: s for s in open_dataset(folder)}["lisc_neut_1"]
    np.testing.assert_array_equal(sample.read_labels(), drawn.cells)
    assert sample.nucleus is None


def test_masks_that_do_not_fit_are_named(lisc, save, draw):
    folder, _ = lisc
    truth = folder / "LISC Database" / "Ground Truth Segmentation"
    save(draw(60, 60, (30, 30, 9)).mask(175, 200), truth / "mono" / "areaforexpert1" / "1_expert.bmp")
    save(draw(112, 142).mask(75, 100), truth / "eosi" / "areaforexpert1" / "1_expert.bmp")
    (truth / "lymp" / "areaforexpert1" / "1_expert.bmp").write_bytes(b"")
    (truth / "neut" / "areaforexpert1" / "1_expert_old.bmp").write_bytes(b"")
    data_set = open_dataset(folder)
    samples = {sample.name: sample for sample in data_set}
    assert all(samples[f"lisc_{name}_1"].kinds == ("image class",) for name in ("mono", "eosi", "lymp"))
    told = [p.problem for p in data_set.report.unusable]
    assert told[:2] == ["it marks no leukocyte", "the file is empty"]
    assert told[2].startswith("it has the shape (60, 60), its image ")
    assert told[2].endswith(" has (120, 150)")
    assert "1_expert.bmp is used instead" in [p.problem for p in data_set.report.notes]


def test_the_cropped_release(tmp_path, draw, save):
    for split, numbers in (("Train", (1, 5)), ("Test", (2, 7))):
        for n, _ in enumerate(numbers):
            save(draw(30, 30, (15, 15, 9)).rgb, tmp_path / split / f"{n}.bmp")
        (tmp_path / f"{split}.json").write_text(json.dumps({f"{n}.bmp": number for n, number in enumerate(numbers)}))
    data_set = open_dataset(tmp_path)
    assert [(s.name, s.split, s.image_class) for s in data_set] == [
        ("lisc_crops_train_0", "train", "neutrophil"),
        ("lisc_crops_train_1", "train", "basophil"),
        ("lisc_crops_test_0", "test", "lymphocyte"),
        ("lisc_crops_test_1", "test", None),
    ]
    assert [p.problem for p in data_set.report] == ["its table gives it the class 7, known are 1 to 5; it has none"]


def test_a_broken_table_is_named(tmp_path, draw, save):
    save(draw(30, 30, (15, 15, 9)).rgb, tmp_path / "Test" / "1.bmp")
    (tmp_path / "Test.json").write_text("[1, 2")
    data_set = open_dataset(tmp_path)
    assert [sample.image_class for sample in data_set] == [None]
    assert "it is no table of file names and numbers" in data_set.report.unusable[0].problem
