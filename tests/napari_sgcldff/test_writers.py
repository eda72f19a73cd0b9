"""Layers saved as data sets, and read back as what they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel
from npe2 import PluginManager, PluginManifest

from napari_sgcldff.layers import KEY, Source, annotation_layer, prediction_layers, show_layers
from napari_sgcldff.readers import read_data_set
from napari_sgcldff.writers import write_coco_layers, write_curated_labels, write_curated_layers
from sgcldff_core.datasets import open_dataset
from sgcldff_core.datasets.class_tables import read_table
from sgcldff_core.datasets.history import history_of
from sgcldff_core.errors import ConfigError, DataError
from sgcldff_core.smear import Smear


def _viewer(smear: Smear) -> ViewerModel:
    viewer = ViewerModel()
    viewer.add_image(smear.image, name="field")
    data, attributes, _ = annotation_layer(smear.labels, smear.classes, "field truth")
    viewer.add_labels(data, **attributes)
    return viewer


def _tuples(viewer: ViewerModel) -> list[Any]:
    return [layer.as_layer_data_tuple() for layer in viewer.layers]


def _check(sample: Any, smear: Smear, name: str = "field") -> None:
    assert sample.name == name
    np.testing.assert_array_equal(sample.read_image(), smear.image)
    np.testing.assert_array_equal(sample.read_labels(), smear.labels)
    assert sample.classes == smear.classes


@pytest.mark.parametrize(
    ("write", "name", "written"),
    [(write_curated_layers, "mine.curated", "mine.curated"), (write_coco_layers, "mine.json", "mine/annotations.json")],
)
def test_an_image_with_its_cells_is_read_back(
    tmp_path: Path, smear: Smear, write: Callable[..., list[str]], name: str, written: str
) -> None:
    assert write(str(tmp_path / name), _tuples(_viewer(smear))) == [str(tmp_path / written)]
    (sample,) = open_dataset(tmp_path / written)
    _check(sample, smear)
    assert history_of(tmp_path / written)[-1].what in ("field: saved from napari", "saved from napari")


def test_another_image_is_added_to_a_curated_folder_and_coco_is_not_overwritten(tmp_path: Path, smear: Smear) -> None:
    viewer = _viewer(smear)
    write_curated_layers(str(tmp_path / "a"), _tuples(viewer))
    viewer.layers["field"].data = smear.image[::-1].copy()
    write_curated_layers(str(tmp_path / "a"), _tuples(viewer))
    assert sorted(sample.name for sample in open_dataset(tmp_path / "a")) == ["field", "field 2"]
    write_coco_layers(str(tmp_path / "b.json"), _tuples(viewer))
    with pytest.raises(DataError, match="exists already"):
        write_coco_layers(str(tmp_path / "b.json"), _tuples(viewer))


def test_of_a_models_cells_only_curated_ones_have_a_class_in_a_curated_folder(
    tmp_path: Path, smear: Smear, predict: Callable[..., Any]
) -> None:
    viewer = ViewerModel()
    image = viewer.add_image(smear.image, name="field")
    show_layers(viewer, prediction_layers(predict(), Source.of(image), {"model": "leukocytes"}))
    cells = viewer.layers["field WBC"]
    cells.features = cells.features.assign(curated=cells.features["index"] == 2)
    write_curated_layers(str(tmp_path / "a"), _tuples(viewer))
    (sample,) = open_dataset(tmp_path / "a")
    assert sample.classes == {2: smear.classes[2]}
    assert {row[3] for row in read_table(tmp_path / "a" / "cells.csv")[1:]} <= {*smear.classes.values(), ""}
    write_coco_layers(str(tmp_path / "b"), _tuples(viewer))
    (sample,) = open_dataset(tmp_path / "b" / "annotations.json")
    assert sample.classes == smear.classes


def test_a_stack_is_saved_image_by_image(tmp_path: Path, smear: Smear) -> None:
    write_curated_layers(str(tmp_path / "a"), _tuples(_viewer(smear)))
    viewer = _viewer(smear)
    viewer.layers["field"].data = smear.image[::-1].copy()
    viewer.layers["field"].name = "other"
    write_curated_layers(str(tmp_path / "a"), _tuples(viewer))
    write_curated_layers(str(tmp_path / "b"), read_data_set(str(tmp_path / "a")))
    first, second = open_dataset(tmp_path / "b")
    assert (first.name, second.name) == ("field", "other")
    assert list(first.classes.values()) == list(smear.classes.values())
    np.testing.assert_array_equal(first.read_labels(), smear.labels)
    np.testing.assert_array_equal(second.read_labels() > 0, smear.labels > 0)


def test_one_plane_of_a_stack_has_its_own_image(tmp_path: Path, smear: Smear, predict: Callable[..., Any]) -> None:
    viewer = ViewerModel()
    stack = viewer.add_image(np.stack([smear.image[::-1], smear.image]), name="stack", rgb=True)
    viewer.dims.set_current_step(0, 1)
    show_layers(viewer, prediction_layers(predict(), Source.of(stack, viewer.dims.current_step), {}))
    write_coco_layers(str(tmp_path / "a"), _tuples(viewer))
    (sample,) = open_dataset(tmp_path / "a" / "annotations.json")
    _check(sample, smear, "stack 1")


def test_what_cannot_be_saved_is_explained(tmp_path: Path, smear: Smear) -> None:
    viewer = ViewerModel()
    viewer.add_image(smear.image, name="field")
    with pytest.raises(ConfigError, match="there are no cells in these layers"):
        write_curated_layers(str(tmp_path / "a"), _tuples(viewer))
    viewer.add_labels(np.ones((8, 9), np.int32), name="other")
    with pytest.raises(ConfigError, match="no colour image of 8x9 px, as 'other' has"):
        write_coco_layers(str(tmp_path / "a"), _tuples(viewer))
    with pytest.raises(ConfigError, match="select the image and the labels together"):
        write_curated_labels(str(tmp_path / "a"), np.ones((8, 9), np.int32), {"name": "other"})
    assert list(tmp_path.iterdir()) == []


def test_napari_offers_the_writers_for_their_suffixes_only() -> None:
    manager = PluginManager()
    manager.register(PluginManifest.from_distribution("napari-sgcldff"))

    def chosen(path: str, *kinds: str) -> str:
        writer, _ = manager.get_writer(path, kinds)
        return "" if writer is None else writer.command.partition(".")[2]

    assert chosen("a.curated", "labels") == "write_curated_labels"
    assert chosen("a.curated", "image", "labels") == "write_curated"
    assert chosen("a.curated", "image", "image", "labels") == "write_curated"
    assert chosen("a.json", "image", "labels") == "write_coco"
    assert chosen("a.tif", "labels") == ""
    assert chosen("a", "image", "labels") == ""


def test_a_labels_layer_alone_takes_its_image_from_the_viewer(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, smear: Smear
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(smear.image, name="field")
    features = pd.DataFrame({"index": list(smear.classes), "class": list(smear.classes.values())})
    cells = viewer.add_labels(smear.labels, name="field cells", features=features, metadata={KEY: {}})
    assert cells.save(str(tmp_path / "mine.curated"), plugin="napari-sgcldff") == [str(tmp_path / "mine.curated")]
    (sample,) = open_dataset(tmp_path / "mine.curated")
    _check(sample, smear)
