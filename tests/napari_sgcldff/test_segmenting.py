"""Segmenting planes one after the other, with a quick model in place of the real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.layers import Image

from napari_sgcldff.extent import Extent
from napari_sgcldff.segmenting import ModelShelf, Order, estimate_diameter, segment
from sgcldff_core.errors import CancelledError
from sgcldff_core.smear import Smear


def _quiet(stage: str, done: int, total: int) -> None:
    pass


def _stack(smear: Smear) -> Image:
    return Image(np.stack([smear.image] * 3), rgb=True, name="stack")


def test_all_planes_have_labels_and_rows_of_their_own(fake_model: Any, smear: Smear) -> None:
    extent = Extent.of(_stack(smear), whole_stack=True)
    told = []
    finding = segment(extent, Order(explain=True), ModelShelf(), lambda *step: told.append(step))
    count = len(smear.classes)
    assert finding.labels.shape == (3, *smear.labels.shape)
    assert finding.gradcam is not None
    assert finding.gradcam.shape == finding.saliency.shape == finding.labels.shape
    for plane in range(3):
        np.testing.assert_array_equal(
            finding.labels[plane], np.where(smear.labels > 0, smear.labels + plane * count, 0)
        )
    assert finding.cells["label"].is_unique
    assert len(finding.cells) == 3 * count
    assert finding.run["planes"] == {"stack [0]": [0], "stack [1]": [1], "stack [2]": [2]}
    assert [stage for stage, _, _ in dict.fromkeys(told)] == [
        "loading the model",
        *[f"image {i} of 3" for i in (1, 2, 3)],
    ]


def test_a_part_of_one_plane_keeps_the_axes_of_the_stack(fake_model: Any, smear: Smear) -> None:
    extent = Extent.of(_stack(smear), (1, 0, 0), box=(30, 40, 150, 200))
    finding = segment(extent, Order(diameter=50, tile=320), ModelShelf(), _quiet)
    np.testing.assert_array_equal(finding.labels[0] > 0, smear.labels[30:150, 40:200] > 0)
    assert finding.run["origin"] == [30, 40]
    assert finding.run["planes"] == {"stack [1]": [0]}
    assert finding.run["diameter_given"] is True
    assert fake_model.calls[0]["tile"] == 320


def test_the_model_is_loaded_once_and_again_when_it_was_trained_on(
    fake_model: Any, smear: Smear, tmp_path: Path
) -> None:
    description = tmp_path / "mine" / "model.json"
    description.parent.mkdir()
    description.write_text("{}")
    shelf, mine = ModelShelf(), str(description.parent)
    extent = Extent.of(Image(smear.image, rgb=True))
    for _ in range(2):
        segment(extent, Order(model=mine), shelf, _quiet)
    assert fake_model.loads == [(mine, "cpu")]
    description.write_text('{"epochs": 3}')
    import os

    os.utime(description, ns=(1, 1))
    segment(extent, Order(model=mine), shelf, _quiet)
    segment(extent, Order(model=mine, device="mps"), shelf, _quiet)
    assert fake_model.loads == [(mine, "cpu"), (mine, "cpu"), (mine, "mps")]


def test_it_stops_between_planes(fake_model: Any, smear: Smear) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if done == 1 and total == 3:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        segment(Extent.of(_stack(smear), whole_stack=True), Order(), ModelShelf(), stop)
    assert len(fake_model.calls) == 2


def test_the_diameter_is_estimated_on_what_is_asked_for(fake_model: Any, smear: Smear) -> None:
    extent = Extent.of(_stack(smear), box=(0, 0, 100, 120), whole_stack=True)
    assert estimate_diameter(extent.only(2), Order(), ModelShelf(), _quiet) == 61.6
    assert fake_model.calls == [{"estimate": (100, 120), "model": "leukocytes", "tile": 640}]
