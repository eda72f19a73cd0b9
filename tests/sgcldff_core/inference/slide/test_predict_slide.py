"""Slides: the same cells as in one piece, each once; what was done is never done again."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import zarr
from numpy.typing import NDArray

from sgcldff_core.cells import cell_columns
from sgcldff_core.datasets.ome_zarr import multiscales, open_ome_zarr
from sgcldff_core.datasets.pyramids import Level, Pyramid
from sgcldff_core.errors import CancelledError, ConfigError
from sgcldff_core.inference import predict_image
from sgcldff_core.inference.regions import regions_of
from sgcldff_core.inference.slide import SlideResult, predict_slide
from sgcldff_core.inference.slide.predict import ledger_folder
from sgcldff_core.inference.workforce import Threads
from sgcldff_core.model import Model

SIDE, DIAMETER = 240, 40
SHAPE = (500, 660)
Draw = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def _plain_prior(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show the network no prior, which each region would estimate from its own stain."""
    monkeypatch.setattr(
        "sgcldff_core.inference.field.compute_prior", lambda image, name: np.zeros(image.shape[:2], np.float32)
    )


def _discs() -> list[tuple[float, float, float]]:
    """Return a cell on each corner of four cores, one on each border between two, and one in each."""
    cores = [core for _, core in regions_of(SHAPE, SIDE, DIAMETER)]
    rows, columns = sorted({c[0] for c in cores} | {SHAPE[0]}), sorted({c[1] for c in cores} | {SHAPE[1]})
    between = [[(a + b) / 2 for a, b in itertools.pairwise(s)] for s in (rows, columns)]
    assert len(rows) > 3
    assert len(columns) > 4
    discs = [(float(y), float(x), 20.0) for y in rows for x in columns]
    discs += [(y, float(x), 18.0) for y in between[0] for x in columns]
    return [*discs, *((float(y), x, 19.0) for y in rows for x in between[1])]


def _labels(result: SlideResult) -> NDArray[np.uint32]:
    return np.asarray(zarr.open_array(str(result.labels / "labels" / "cells" / "0"), mode="r"))


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.usefixtures("_plain_prior")
@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.5, -0.5), (-9.0, 9.5)])
def test_cells_on_every_border_and_corner_are_those_of_one_piece(
    stain_reader: Model, draw: Draw, tmp_path: Path, shift: tuple[float, float]
) -> None:
    image = draw(SHAPE, *[(y + shift[0], x + shift[1], radius) for y, x, radius in _discs()])
    whole = predict_image(image, stain_reader, name="slide", diameter=DIAMETER)
    found = predict_slide(
        da.from_array(image, chunks=100), stain_reader, tmp_path, diameter=DIAMETER, skip=False, side=SIDE
    )
    table, labels = pd.read_parquet(found.table), _labels(found)
    assert list(table.columns) == list(whole.cells.columns)
    np.testing.assert_array_equal(table["label"], np.arange(1, len(whole.cells) + 1))
    np.testing.assert_array_equal(labels > 0, whole.labels > 0)
    pairs = np.unique(np.stack([labels.ravel(), whole.labels.ravel().astype(np.uint32)]), axis=1)
    assert pairs.shape[1] == len(whole.cells) + 1  # a label here is one label there, and the other way round
    there = dict(pairs.T.tolist())
    other = whole.cells.set_index("label").loc[[there[label] for label in table["label"]]]
    exact = [c for c in cell_columns([]) if c.startswith(("bbox", "area", "image", "class", "nucleus_area"))]
    for column in exact:
        np.testing.assert_array_equal(table[column], other[column], err_msg=column)
    np.testing.assert_allclose(table["centroid_x"], other["centroid_x"], rtol=1e-6)
    np.testing.assert_array_equal(table["area_px"], np.bincount(labels.ravel())[1:])
    assert found.cells["label"].tolist() == table["label"].tolist()


@pytest.mark.usefixtures("_plain_prior")
def test_the_level_that_fits_the_cells_is_read_and_results_are_in_px_of_the_slide(
    stain_reader: Model, draw: Draw, tmp_path: Path
) -> None:
    discs = [(120.0, 150.0, 40.0), (300.0, 330.0, 42.0), (480.0, 90.0, 38.0)]
    image = draw((600, 700), *discs)
    levels = [Level(image[:: 1 << i, :: 1 << i], "yxc") for i in range(4)]
    reads: list[tuple[int, int]] = []

    class Watched:
        def __init__(self, level: Level) -> None:
            self.shape, self.dtype, self._level = level.array.shape, level.array.dtype, level

        def __getitem__(self, key: Any) -> Any:
            part = self._level.array[key]
            reads.append(part.shape[:2])
            return part

    fine = Level(Watched(levels[0]), "yxc")
    found = predict_slide(
        Pyramid((fine, *levels[1:])), stain_reader, tmp_path, diameter=2 * DIAMETER, side=SIDE, skip=False
    )
    assert found.plan.level == 1
    assert reads == [(32, 700)] * 18 + [(24, 700)]  # the overview of a small slide, and nothing else
    table = pd.read_parquet(found.table).sort_values("centroid_y")
    np.testing.assert_allclose(table["centroid_y"], [y for y, _, _ in discs], atol=2)
    np.testing.assert_allclose(table["area_px"], [np.pi * r**2 for _, _, r in discs], rtol=0.04)
    assert _labels(found).shape == (600, 700)


def _make(path: Path, image: NDArray[np.uint8]) -> Path:
    group = zarr.open_group(str(path), mode="w", zarr_format=3)
    group.create_array("0", data=np.moveaxis(image, -1, 0), chunks=(3, 128, 128))
    group.attrs.update(multiscales("slide", [image.shape[:2]], channels=True))
    return path


_RUN = """
import importlib.util, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("conftest", sys.argv[1])
conftest = importlib.util.module_from_spec(spec)
sys.modules["conftest"] = conftest
spec.loader.exec_module(conftest)
from sgcldff_core.inference.slide import predict_slide
predict_slide(sys.argv[2], conftest.read_stains(), sys.argv[3], diameter=40, side=240, skip=False,
              progress=lambda *at: time.sleep(0.05))
"""


def test_a_killed_run_is_gone_on_with_and_ends_as_an_unbroken_one(
    stain_reader: Model, draw: Draw, tmp_path: Path
) -> None:
    slide = _make(tmp_path / "slide.zarr", draw(SHAPE, *_discs()))
    whole = predict_slide(slide, stain_reader, tmp_path / "whole", diameter=DIAMETER, side=SIDE, skip=False)
    out, ledger = tmp_path / "broken", ledger_folder(tmp_path / "broken", "slide")
    conftest = Path(__file__).parents[1] / "conftest.py"
    process = subprocess.Popen([sys.executable, "-W", "ignore", "-c", _RUN, conftest, slide, out])
    try:
        limit = time.monotonic() + 120
        while len(list(ledger.glob("[0-9]*.cells"))) < 3:
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL) if hasattr(signal, "SIGKILL") else process.kill()
        process.wait()
    before = {p: p.stat().st_mtime_ns for p in ledger.glob("[0-9]*.cells")}
    assert 3 <= len(before) < sum(whole.regions.values())
    assert not list(out.glob("slide*"))  # nothing half-written under its final name
    at_the_end: dict[Path, int] = {}

    def watch(stage: str, done: int, total: int) -> None:
        if stage == "joining regions" and not at_the_end:
            at_the_end.update({p: p.stat().st_mtime_ns for p in ledger.glob("[0-9]*.cells")})

    resumed = predict_slide(slide, stain_reader, out, diameter=DIAMETER, side=SIDE, skip=False, progress=watch)
    assert resumed.resumed == len(before)
    assert before.items() <= at_the_end.items()
    assert _bytes(out) == _bytes(tmp_path / "whole")
    assert not ledger.exists()


def test_a_run_that_was_stopped_keeps_its_diameter_and_refuses_other_settings(
    stain_reader: Model, draw: Draw, tmp_path: Path
) -> None:
    image = da.from_array(draw(SHAPE, *_discs()), chunks=100)

    def stop(stage: str, done: int, total: int) -> None:
        if stage == "finding cells" and done == 2:
            raise CancelledError("enough")

    with pytest.raises(CancelledError, match="enough"):
        predict_slide(image, stain_reader, tmp_path, side=SIDE, progress=stop)
    told = json.loads((ledger_folder(tmp_path, "slide") / "plan.json").read_text())
    with pytest.raises(ConfigError, match="begun with another diameter, margin; use the same settings"):
        predict_slide(image, stain_reader, tmp_path, side=SIDE, diameter=told["diameter"] + 3)
    found = predict_slide(image, stain_reader, tmp_path, side=SIDE)
    assert found.resumed >= 2
    assert found.plan.diameter == told["diameter"] == pytest.approx(DIAMETER, rel=0.25)


def test_results_do_not_depend_on_threads(stain_reader: Model, draw: Draw, tmp_path: Path) -> None:
    image = da.from_array(draw(SHAPE, *_discs()), chunks=100)
    for count in (1, 3):
        predict_slide(
            image, stain_reader, tmp_path / str(count), diameter=DIAMETER, workforce=Threads(stain_reader, count)
        )
    assert _bytes(tmp_path / "1") == _bytes(tmp_path / "3")


def test_glass_has_an_empty_table_of_the_right_types(stain_reader: Model, draw: Draw, tmp_path: Path) -> None:
    image = draw(SHAPE)
    found = predict_slide(da.from_array(image, chunks=100), stain_reader, tmp_path, diameter=DIAMETER, side=SIDE)
    table = pd.read_parquet(found.table)
    assert list(table.columns) == cell_columns(stain_reader.config.classes)
    assert table.dtypes["label"] == np.int64
    assert table.dtypes["needs_review"] == np.bool_
    assert found.regions == {"cells": 0, "empty": 20, "thick": 0}
    assert not _labels(found).any()


def test_labels_are_a_pyramid_that_ome_zarr_readers_open(stain_reader: Model, draw: Draw, tmp_path: Path) -> None:
    image = draw((300, 2100), (150, 60, 20), (150, 1030, 20), (100, 2050, 20))
    found = predict_slide(da.from_array(image, chunks=300), stain_reader, tmp_path, diameter=DIAMETER, stem="one")
    assert found.labels.name == "one_labels.ome.zarr"
    listed = json.loads((found.labels / "labels" / "zarr.json").read_text())["attributes"]["ome"]
    assert listed == {"version": "0.5", "labels": ["cells"]}
    group = zarr.open_group(str(found.labels / "labels" / "cells"), mode="r")
    assert group.attrs["ome"]["image-label"] == {"version": "0.5"}
    slide = open_ome_zarr(found.labels / "labels" / "cells")
    assert [level.shape for level in slide.levels] == [(300, 2100), (150, 1050), (75, 525)]
    fine = np.asarray(group["0"])
    assert group["0"].dtype == np.uint32
    assert set(np.unique(fine)) == {0, 1, 2, 3}
    for index in (1, 2):
        np.testing.assert_array_equal(np.asarray(group[str(index)]), fine[:: 1 << index, :: 1 << index])
    assert pd.read_parquet(found.table)["image"].tolist() == ["one"] * 3
