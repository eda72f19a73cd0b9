"""Slides and what was found on them become layers that read what is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from napari.components import ViewerModel

from napari_sgcldff.layers import classes_of
from napari_sgcldff.readers import napari_get_reader
from napari_sgcldff.slide_layers import read_slide, read_slide_labels
from sgcldff_core.datasets.ome_zarr import multiscales
from sgcldff_core.datasets.slides import open_slide
from sgcldff_core.errors import FormatError
from sgcldff_core.inference.slide.labels import LabelWriter
from sgcldff_core.inference.stitching import Outline


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (200, 1300, 3), dtype=np.uint8)


def _zarr(path: Path, pixels: np.ndarray) -> Path:
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    for index in range(2):
        group.create_array(str(index), data=np.moveaxis(pixels[:: 1 << index, :: 1 << index], -1, 0))
    group.attrs.update(multiscales("slide", [(200, 1300), (100, 650)], channels=True))
    return path


def _tiff(path: Path, pixels: np.ndarray) -> Path:
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for index in range(2):
            options = {"subfiletype": 1} if index else {"subifds": 1, "metadata": {"axes": "YXS"}}
            tiff.write(pixels[:: 1 << index, :: 1 << index], photometric="rgb", tile=(64, 64), **options)
    return path


@pytest.fixture
def _closed_at_the_end(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A slide stays open as long as its layer lives."""
    slides = []
    monkeypatch.setattr("napari_sgcldff.slide_layers.open_slide", lambda p: slides.append(open_slide(p)) or slides[-1])
    yield
    for slide in slides:
        slide.close()


@pytest.mark.usefixtures("_closed_at_the_end")
@pytest.mark.parametrize(("name", "write"), [("one.ome.zarr", _zarr), ("one.ome.tif", _tiff)])
def test_a_slide_is_a_multi_scale_image(tmp_path: Path, pixels: np.ndarray, name: str, write: object) -> None:
    path = write(tmp_path / name, pixels)  # type: ignore[operator]
    assert napari_get_reader(str(path)) is read_slide
    ((data, attributes, kind),) = read_slide(str(path))
    layer = getattr(ViewerModel(), f"add_{kind}")(data, **attributes)
    assert (layer.name, layer.multiscale, layer.rgb) == ("one", True, True)
    np.testing.assert_array_equal(np.asarray(layer.data[0]), pixels)
    np.testing.assert_array_equal(np.asarray(layer.data[1]), pixels[::2, ::2])


@pytest.mark.parametrize("width", [1300, 300], ids=["pyramid", "small"])
def test_its_cells_are_labels_with_their_table(tmp_path: Path, width: int) -> None:
    writer = LabelWriter(tmp_path / "one_labels.ome.zarr", (200, width))
    writer.put(
        [Outline((10, 20, 18, 30), np.ones((8, 10), bool)), Outline((60, 70, 90, 95), np.ones((30, 25), bool))], 1
    )
    writer.finish()
    table = pd.DataFrame({"image": "one", "label": [1, 2], "class": ["monocyte", "basophil"], "confidence": [0.5, 0.9]})
    assert napari_get_reader(str(writer.path)) is not read_slide_labels  # without its table
    table.to_parquet(tmp_path / "one_cells.parquet")
    assert napari_get_reader(str(writer.path)) is read_slide_labels
    ((data, attributes, kind),) = read_slide_labels(str(writer.path))
    layer = getattr(ViewerModel(), f"add_{kind}")(data, **attributes)
    assert layer.multiscale == (width > 1024)
    finest = np.asarray(layer.data[0] if layer.multiscale else layer.data)
    assert (finest[10:18, 20:30] == 1).all()
    assert (finest > 0).sum() == 80 + 750
    assert classes_of(layer) == {1: "monocyte", 2: "basophil"}
    assert layer.features["confidence"].tolist() == [0.5, 0.9]


def test_a_table_that_is_none_is_named(tmp_path: Path) -> None:
    writer = LabelWriter(tmp_path / "one_labels.ome.zarr", (20, 30))
    writer.finish()
    (tmp_path / "one_cells.parquet").write_text("no table")
    with pytest.raises(FormatError, match="no table of cells"):
        read_slide_labels(str(writer.path))
