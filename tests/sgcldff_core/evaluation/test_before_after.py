"""Before and after: the same cells count for both models, and unreadable images are named."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sgcldff_core.errors import CancelledError, UnreadableImageError
from sgcldff_core.evaluation import before_after
from sgcldff_core.evaluation.before_after import compare_before_after
from sgcldff_core.inference import Prediction
from sgcldff_core.sample import Raster, Sample

CELLS = np.zeros((40, 60), np.int32)
CELLS[5:15, 5:15] = 1
CELLS[20:30, 30:40] = 2


def _predict(image: np.ndarray, model: Any, *, progress: Any) -> Prediction:
    """Say what a made-up model holds: instance labels, their classes, and the classes that it has."""
    progress("finding cells", 0, 1)
    rows = []
    for i, name in enumerate(model.names, start=1):
        y, x = np.nonzero(model.labels == i)
        rows.append((i, name, 0.9, y.min(), x.min(), y.max() + 1, x.max() + 1))
    columns = ["label", "class", "confidence", "bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"]
    cells = pd.DataFrame(rows, columns=columns).assign(**{f"prob_{c}": 0.5 for c in model.classes})
    blank = np.zeros(model.labels.shape, np.float32)
    return Prediction(model.labels, blank, model.labels > 0, None, cells, 10.0, "made", np.ones(len(cells), np.float32))


@pytest.fixture(autouse=True)
def made_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before_after, "predict_image", _predict)


def _sample(name: str, classes: dict[int, str]) -> Sample:
    image = Raster.of(np.zeros((40, 60, 3), np.uint8))
    return Sample(name=name, image=image, source="made", group=name, labels=Raster.of(CELLS), classes=classes)


OLD = SimpleNamespace(labels=np.where(CELLS == 1, 1, 0), names=("monocyte",), classes=("monocyte", "basophil"))
NEW = SimpleNamespace(labels=CELLS, names=("monocyte", "blast"), classes=("monocyte", "basophil", "blast"))


def test_a_class_that_the_old_model_has_not_counts_as_wrong_for_it() -> None:
    result = compare_before_after([_sample("a", {1: "monocyte", 2: "blast"})], OLD, NEW)
    assert (result.images, result.cells) == (1, 2)
    assert result.before == {"cells": 1.0, "iou": 0.5, "count_error": 1.0, "accuracy": 0.5}
    assert result.after == {"cells": 2.0, "iou": 1.0, "count_error": 0.0, "accuracy": 1.0}
    (change,) = result.changes
    assert (change.iou, change.right, change.named) == ((0.5, 1.0), (1, 2), 2)


def test_those_that_changed_most_come_first_and_figures_are_of_all() -> None:
    samples = [_sample("right before", {1: "monocyte"}), _sample("right now", {1: "monocyte", 2: "blast"})]
    result = compare_before_after(samples, OLD, NEW, pictures=1)
    assert [c.name for c in result.changes] == ["right now"]
    assert result.images == 2
    assert result.after["cells"] == 4


def test_an_image_that_cannot_be_read_is_named() -> None:
    def broken(path: Path) -> np.ndarray:
        raise UnreadableImageError(path, "it is empty")

    bad = Sample(name="b", image=Raster(broken, Path("b.png")), source="made", group="b")
    result = compare_before_after([bad, _sample("a", {})], OLD, NEW)
    assert [str(f) for f in result.failures] == ["b.png: it is empty"]
    assert result.images == 1
    assert "accuracy" not in result.after


def test_it_stops_within_an_image() -> None:
    calls: list[tuple[str, int, int]] = []

    def progress(*at: Any) -> None:
        calls.append(at)
        if len(calls) == 2:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError, match="stopped"):
        compare_before_after([_sample("a", {})], OLD, NEW, progress)
    assert calls == [("comparing", 0, 1)] * 2
