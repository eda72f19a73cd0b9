"""Data sets as layers: chosen by content, read when shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from npe2 import PluginManager, PluginManifest
from PIL import Image

from napari_sgcldff.layers import KEY, classes_of
from napari_sgcldff.readers import MOST_SEPARATE, napari_get_reader, read_data_set
from napari_sgcldff.sample_data import synthetic_field
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
