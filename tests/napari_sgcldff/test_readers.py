"""Data sets as layers: chosen by content, read when shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from npe2 import PluginManager, PluginManifest
from PIL import Image

from napari_sgcldff.layers import KEY, classes_of
from napari_sgcldff.readers import MOST_SEPARATE, napari_get_reader, read_data_set
from napari_sgcldff.sample_data import synthetic_field
from sgcldff_core.datasets.curated_writer import write_curated
from sgcldff_core.datasets.history import Provenance
from sgcldff_core.errors import FormatError
from sgcldff_core.sample import Sample
from sgcldff_core.smear import SmearSettings, make_smear

CODES = {"neutrophil": 1, "lymphocyte": 2, "monocyte": 3, "eosinophil": 4, "basophil": 5}


def _lay_out(folder: Path, sizes: Sequence[tuple[int, int]]) -> list[Sample]:
    """Write a tree as Zheng's, one centred cell an image."""
    images = folder / "Dataset 1"
    images.mkdir(parents=True)
    rows = ["image ID,class label"]
    written = []
    for i, (height, width) in enumerate(sizes, 1):
        smear = make_smear(i, SmearSettings(height=height, width=width, diameter=40, leukocytes=1, centred=True, cut=0))
        Image.fromarray(smear.image).save(images / f"{i:03}.bmp")
        mask = np.where(smear.nucleus, 255, np.where(smear.labels > 0, 128, 0)).astype(np.uint8)
        Image.fromarray(mask).save(images / f"{i:03}.png")
        rows.append(f"{i},{CODES[smear.classes[1]]}")
        written.append(smear.to_sample(f"{i:03}"))
    (folder / "Class Labels of Dataset 1.csv").write_text("\n".join(rows), encoding="utf-8")
    return written


def _open(path: Path) -> ViewerModel:
    viewer = ViewerModel()
    for data, attributes, kind in read_data_set(str(path)):
        getattr(viewer, f"add_{kind}")(data, **attributes)
    return viewer


def test_images_of_one_size_become_a_stack_that_is_read_when_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = _lay_out(tmp_path, [(72, 80)] * 3)
    decoded: list[str] = []
    read = Sample.read_image

    def counting(sample: Sample) -> Any:
        decoded.append(sample.name)
        return read(sample)

    monkeypatch.setattr(Sample, "read_image", counting)
    viewer = _open(tmp_path)

    image, labels = viewer.layers
    assert (image.data.shape, labels.data.shape) == ((3, 72, 80, 3), (3, 72, 80))
    assert len(set(decoded)) < 3
    for i, sample in enumerate(truth):
        np.testing.assert_array_equal(image.data[i], sample.image.read())
        np.testing.assert_array_equal(np.asarray(labels.data[i]) > 0, sample.read_labels() > 0)
    offsets = labels.metadata[KEY]["offsets"]
    assert classes_of(labels) == {offset + 1: sample.classes[1] for offset, sample in zip(offsets, truth, strict=True)}
    assert np.unique(np.asarray(labels.data)).tolist() == [0, *classes_of(labels)]


def test_few_images_of_different_sizes_get_layers_of_their_own(tmp_path: Path) -> None:
    truth = _lay_out(tmp_path, [(72, 80), (90, 64)])
    viewer = _open(tmp_path)
    assert [layer.visible for layer in viewer.layers] == [True, True, False, False]
    for i, sample in enumerate(truth):
        image, labels = viewer.layers[2 * i], viewer.layers[2 * i + 1]
        assert labels.name == f"{image.name} labels"
        np.testing.assert_array_equal(image.data, sample.read_image())
        assert classes_of(labels) == sample.classes


def test_many_images_of_different_sizes_are_padded_into_a_stack(tmp_path: Path) -> None:
    sizes = [(64 + i, 90 - i) for i in range(MOST_SEPARATE + 1)]
    truth = _lay_out(tmp_path, sizes)
    image, labels = _open(tmp_path).layers
    assert image.data.shape == (len(sizes), 64 + MOST_SEPARATE, 90, 3)
    assert image.metadata[KEY]["sizes"] == sizes
    np.testing.assert_array_equal(np.asarray(image.data[3])[:67, :87], truth[3].read_image())
    assert not np.asarray(labels.data[3])[67:].any()


def test_a_single_image_is_no_stack(tmp_path: Path) -> None:
    _lay_out(tmp_path, [(72, 80)])
    assert [layer.data.shape for layer in _open(tmp_path).layers] == [(72, 80, 3), (72, 80)]


def test_what_is_no_data_set_is_left_to_other_readers(tmp_path: Path) -> None:
    _lay_out(tmp_path / "set", [(72, 80)])
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.json").write_text("{}", encoding="utf-8")
    assert napari_get_reader(str(tmp_path / "set")) is read_data_set
    assert napari_get_reader(str(tmp_path / "empty")) is None
    assert napari_get_reader(str(tmp_path / "notes.json")) is None
    assert napari_get_reader(str(tmp_path / "missing")) is None
    assert napari_get_reader([str(tmp_path / "set"), str(tmp_path / "set")]) is None


def test_a_data_set_without_a_usable_image_says_why(tmp_path: Path) -> None:
    _lay_out(tmp_path, [(72, 80)] * 2)
    for image in (tmp_path / "Dataset 1").glob("*.bmp"):
        image.write_bytes(b"")
    with pytest.raises(FormatError, match=r"no image in it could be used.*001\.bmp: the file is empty"):
        read_data_set(str(tmp_path))


def test_napari_finds_the_reader_for_a_folder(tmp_path: Path) -> None:
    _lay_out(tmp_path, [(72, 80)])
    manager = PluginManager()
    manager.register(PluginManifest.from_distribution("napari-sgcldff"))
    readers = list(manager.iter_compatible_readers([str(tmp_path)]))
    assert [reader.command for reader in readers] == ["napari-sgcldff.read_data_set"]


def test_the_synthetic_field_has_every_class_and_its_truth() -> None:
    viewer = ViewerModel()
    for data, attributes, kind in synthetic_field():
        getattr(viewer, f"add_{kind}")(data, **attributes)
    image, labels = viewer.layers
    assert image.data.shape[:2] == labels.data.shape
    assert set(np.unique(labels.data)) - {0} == set(classes_of(labels))
    assert set(classes_of(labels).values()) == set(CODES)


def test_real_images_open_as_stacks(real_data: Path) -> None:
    image, labels = _open(real_data / "zheng" / "Dataset 2").layers
    assert image.data.shape[1:] == (300, 300, 3)
    assert len(classes_of(labels)) == len(image.data)
    assert np.asarray(labels.data[5]).any()


VOC = """<annotation><filename>Im001.jpg</filename><object><name>WBC</name>
<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>50</xmax><ymax>60</ymax></bndbox></object><object><name>RBC</name>
<bndbox><xmin>30</xmin><ymin>30</ymin><xmax>30</xmax><ymax>44</ymax></bndbox></object></annotation>"""


def _opened(path: Path) -> ViewerModel:
    """Open a path as napari would, through the reader that is offered for it."""
    reader = napari_get_reader(str(path))
    assert reader is not None
    viewer = ViewerModel()
    for data, attributes, kind in reader(str(path)):
        getattr(viewer, f"add_{kind}")(data, **attributes)
    return viewer


def _lay_beside(folder: Path, images: str, annotations: str, name: str, text: str) -> tuple[Path, Any]:
    smear = make_smear(1, SmearSettings(height=72, width=80, diameter=40, leukocytes=1, centred=True, cut=0))
    for each in (images, annotations):
        (folder / each).mkdir(parents=True)
    Image.fromarray(smear.image).save(folder / images / f"{Path(name).stem}.png")
    file = folder / annotations / name
    file.write_text(text, encoding="utf-8")
    return file, smear


def test_boxes_of_an_xml_file_lie_on_the_image_of_its_name(tmp_path: Path, notifications: list[Any]) -> None:
    file, smear = _lay_beside(tmp_path, "JPEGImages", "Annotations", "Im001.xml", VOC)
    image, boxes = _opened(file).layers
    np.testing.assert_array_equal(image.data, smear.image)
    assert boxes.features["class"].tolist() == ["leukocyte"]
    # VOC counts from 1 with both corners inside; napari's pixels have their middles at whole numbers.
    np.testing.assert_allclose(boxes.data[0], [[19.5, 9.5], [19.5, 49.5], [59.5, 49.5], [59.5, 9.5]])
    assert "Im001.xml: 0 files left out, 1 mended" in notifications[0].message
    assert "has no area; it was dropped" in notifications[0].message


def test_boxes_without_an_image_are_shown_by_themselves(tmp_path: Path) -> None:
    file, _ = _lay_beside(tmp_path, "elsewhere", "Annotations", "Im001.xml", VOC.replace("30</xmax>", "40</xmax>"))
    (boxes,) = _opened(file).layers
    assert boxes.features["class"].tolist() == ["leukocyte", "erythrocyte"]


@pytest.mark.parametrize(("text", "centres"), [("40\t30\n12 50\n", [[30, 40], [50, 12]]), ("\n", [])])
def test_centres_of_an_xyc_file_are_points(tmp_path: Path, text: str, centres: list[list[int]]) -> None:
    file, smear = _lay_beside(tmp_path, "im", "xyc", "Im001_1.xyc", text)
    image, points = _opened(file).layers
    np.testing.assert_array_equal(image.data, smear.image)
    np.testing.assert_array_equal(points.data, np.array(centres, float).reshape(-1, 2))
    assert points.features["class"].tolist() == ["blast"] * len(centres)


def _predicted(folder: Path, stems: Sequence[str]) -> dict[str, Any]:
    """Write what predict writes of some images, without predicting."""
    smears = {}
    rows = ["image,label,class,confidence,needs_review,review_reason"]
    entries = []
    (folder / "out").mkdir(parents=True)
    for seed, stem in enumerate(stems, 1):
        smear = make_smear(seed, SmearSettings(height=72, width=80, diameter=40, leukocytes=1, centred=True, cut=0))
        Image.fromarray(smear.image).save(folder / f"{stem}.png")
        tifffile.imwrite(folder / "out" / f"{stem}_labels.tif", smear.labels.astype(np.uint16))
        tifffile.imwrite(folder / "out" / f"{stem}_saliency.tif", smear.nucleus.astype(np.float32))
        rows.append(f"{stem},1,{smear.classes[1]},0.9,False,")
        entries.append({"image": stem, "file": str(folder / f"{stem}.png"), "diameter_px": 41.5})
        smears[stem] = smear
    (folder / "out" / "cells.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    report = {"model": {"name": "leukocytes"}, "parameters": {"diameter": None}, "images": entries}
    (folder / "out" / "run.json").write_text(json.dumps(report), encoding="utf-8")
    return smears


def test_a_label_image_of_predict_comes_with_its_table_maps_and_image(tmp_path: Path) -> None:
    smears = _predicted(tmp_path, ["007", "8"])
    image, saliency, cells = _opened(tmp_path / "out" / "007_labels.tif").layers
    np.testing.assert_array_equal(image.data, smears["007"].image)
    np.testing.assert_array_equal(saliency.data, smears["007"].nucleus)
    np.testing.assert_array_equal(cells.data, smears["007"].labels)
    assert classes_of(cells) == {1: smears["007"].classes[1]}
    assert list(cells.features.columns)[:3] == ["index", "image", "label"]
    assert cells.features["review_reason"].tolist() == [""]
    about = cells.metadata[KEY]
    assert (about["model"], about["diameter"], about["diameter_given"]) == ("leukocytes", 41.5, False)
    (tmp_path / "007.png").unlink()
    (tmp_path / "out" / "run.json").unlink()
    assert [layer.name for layer in _opened(tmp_path / "out" / "007_labels.tif").layers] == ["007 saliency", "007 WBC"]


def test_a_table_of_cells_opens_all_its_images(tmp_path: Path) -> None:
    smears = _predicted(tmp_path / "few", ["a", "b"])
    viewer = _opened(tmp_path / "few" / "out" / "cells.csv")
    assert [layer.name for layer in viewer.layers if layer.visible] == ["a", "a WBC"]
    np.testing.assert_array_equal(viewer.layers["b WBC"].data, smears["b"].labels)
    many = [f"s{i}" for i in range(MOST_SEPARATE + 1)]
    smears = _predicted(tmp_path / "many", many)
    (tmp_path / "many" / "s3.png").unlink()
    image, labels = _opened(tmp_path / "many" / "out" / "cells.csv").layers
    assert image.data.shape == (len(many), 72, 80, 3)
    assert image.metadata[KEY]["names"] == many  # s2 before s10
    assert (np.asarray(image.data[3]) == 255).all()
    np.testing.assert_array_equal(np.asarray(labels.data[4]) > 0, smears["s4"].labels > 0)
    assert len(classes_of(labels)) == len(many)


def test_the_table_of_a_curated_folder_opens_the_folder(tmp_path: Path) -> None:
    sample = make_smear(5, SmearSettings(height=72, width=80, diameter=40, leukocytes=1)).to_sample("one")
    write_curated([sample], tmp_path / "set", provenance=Provenance("t", "o"))
    image, labels, *_ = _opened(tmp_path / "set" / "cells.csv").layers
    np.testing.assert_array_equal(image.data, sample.read_image())
    assert classes_of(labels) == sample.classes


def test_boxes_and_points_of_a_data_set_lie_in_the_planes_of_its_stack(tmp_path: Path) -> None:
    for each in ("im", "xyc"):
        (tmp_path / each).mkdir()
    for i, text in enumerate(["40\t30\n", "\n", "10\t20\n5\t6\n"], 1):
        Image.fromarray(np.full((72, 80, 3), 60 * i, np.uint8)).save(tmp_path / "im" / f"Im00{i}_1.png")
        (tmp_path / "xyc" / f"Im00{i}_1.xyc").write_text(text, encoding="utf-8")
    stack, points = _opened(tmp_path).layers
    assert stack.data.shape == (3, 72, 80, 3)
    np.testing.assert_array_equal(points.data, [[0, 30, 40], [2, 20, 10], [2, 6, 5]])


@pytest.mark.parametrize("name", ["page.xml", "other_labels.tif", "cells.csv", "x.xyc/", "gone.xml", "bad.json"])
def test_what_is_not_ours_is_left_alone_without_an_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("/"):
        path.mkdir()
    elif name != "gone.xml":
        path.write_text("<html></html>", encoding="utf-8")
    assert napari_get_reader(str(path)) is None


def test_a_whole_disk_is_not_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _lay_out(tmp_path / "deep" / "set", [(72, 80)])
    assert napari_get_reader(str(tmp_path)) is read_data_set
    monkeypatch.setattr("napari_sgcldff.readers._MOST_FOLDERS", 3)
    assert napari_get_reader(str(tmp_path)) is None
    assert napari_get_reader(str(tmp_path / "deep" / "set")) is read_data_set
