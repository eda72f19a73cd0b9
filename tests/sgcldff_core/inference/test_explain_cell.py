"""Explaining given cells: like the prediction where it made them, and only around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from sgcldff_core.errors import CancelledError, ConfigError
from sgcldff_core.inference import explain_cell, predict_image
from sgcldff_core.inference.explain_cell import explain_labels, joined_activation
from sgcldff_core.inference.neighbourhood import LabelledField, look_closely
from sgcldff_core.model import Model, ModelConfig, build_network, load_model
from sgcldff_core.smear import Smear, SmearSettings, make_smear

Draw = Callable[..., NDArray[np.uint8]]

SHAPE = (150, 210)
CELLS = ((50.0, 60.0, 25.0), (110.0, 150.0, 25.0))


@pytest.fixture(scope="module")
def shipped() -> Model:
    return load_model(None)


@pytest.fixture(scope="module")
def smear() -> Smear:
    return make_smear(3, SmearSettings(height=300, width=380, diameter=90, leukocytes=4, cut=0.0, stain="wright"))


def _agreed(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_it_repeats_what_the_prediction_said(shipped: Model, smear: Smear) -> None:
    found = predict_image(smear.image, shipped, diameter=90, explain=True)
    cells = explain_labels(smear.image, found.labels, shipped, diameter=90)
    assert [cell.label for cell in cells] == found.cells["label"].tolist()
    assert len(cells) >= 3
    joined = joined_activation(cells, smear.labels.shape)
    for cell, (_, row) in zip(cells, found.cells.iterrows(), strict=True):
        assert cell.named == row["class"]
        for name, value in cell.probabilities.items():
            assert value == pytest.approx(row[f"prob_{name}"], abs=0.02)
        assert cell.consistency == pytest.approx(row["saliency_consistency"], abs=0.03)
        if abs(row["confidence"] - 0.7) > 0.02:  # where a class begins to be uncertain, a hair decides
            assert cell.reason == row["review_reason"]
        assert list(cell.probabilities.values()) == sorted(cell.probabilities.values(), reverse=True)
        assert list(cell.activation) == [cell.named, cell.runner_up]
        # The prediction has the mean of two looks, one in a mirror.
        assert _agreed(joined[cell.window], found.gradcam[cell.window]) > 0.9  # type: ignore[index]


def test_one_cell_is_explained_as_among_all(shipped: Model, smear: Smear) -> None:
    together = explain_labels(smear.image, smear.labels, shipped, diameter=90)
    alone = [explain_labels(smear.image, smear.labels, shipped, diameter=90, chosen=[c.label])[0] for c in together]
    for one, other in zip(alone, together, strict=True):
        assert one.named == other.named
        assert one.window == other.window
        # What is around the neighbourhood reaches in through the channel attention, and only so far.
        assert _agreed(one.activation[one.named], other.activation[one.named]) > 0.9
        np.testing.assert_array_equal(one.inside, smear.labels[one.window] == one.label)


@pytest.mark.parametrize("level", [4, 8, 16, 32])
def test_each_level_has_a_map_of_each_class_asked_for(shipped: Model, smear: Smear, level: int) -> None:
    label = min(smear.classes)
    (cell,) = explain_labels(
        smear.image, smear.labels, shipped, diameter=90, chosen=[label], classes=["basophil"], level=level
    )
    assert {cell.named, cell.runner_up, "basophil"} == set(cell.activation)
    for shown in cell.activation.values():
        assert shown.dtype == np.float32
        assert shown.shape == cell.inside.shape
        assert shown.min() >= 0
        assert shown.max() in (0, pytest.approx(1))
    fused = explain_labels(smear.image, smear.labels, shipped, diameter=90, chosen=[label])[0]
    assert np.abs(cell.activation[cell.named] - fused.activation[cell.named]).max() > 0.1
    assert cell.consistency == fused.consistency  # the figures are of the fused map


def test_what_is_far_from_the_cell_is_not_looked_at(stain_reader: Model, draw: Draw) -> None:
    """In a field of 60 cells' width, the network sees a part of five."""
    seen = []
    forward = stain_reader.network.forward

    def watched(image: torch.Tensor, prior: torch.Tensor) -> Any:
        seen.append(tuple(image.shape[-2:]))
        return forward(image, prior)

    stain_reader.network.forward = watched  # type: ignore[method-assign]
    image = draw((1200, 2400), (600.0, 1200.0, 20.0), (100.0, 100.0, 20.0))
    labels = np.zeros(image.shape[:2], np.int32)
    labels[580:620, 1180:1220], labels[80:120, 80:120] = 70_000, 12
    (cell,) = explain_labels(image, labels, stain_reader, diameter=40, chosen=[70_000])
    assert seen == [(384, 384)] * 2
    assert cell.label == 70_000
    assert cell.window == (slice(560, 640), slice(1160, 1240))
    assert [c.label for c in explain_labels(image, labels, stain_reader, diameter=40)] == [12, 70_000]


def test_all_cells_of_a_field_cost_no_more_than_looking_at_it_once(
    shipped: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neighbourhoods of many cells overlap; together they were looked at two and a half times."""
    many = make_smear(1, SmearSettings(leukocytes=8, diameter=110, stain="wright"))
    seen: list[int] = []

    def look(*given: Any) -> Any:
        rows, columns = given[2]
        seen.append((rows.stop - rows.start) * (columns.stop - columns.start))
        return look_closely(*given)

    monkeypatch.setattr(explain_cell, "look_closely", look)
    assert len(explain_labels(many.image, many.labels, shipped, diameter=110)) == many.labels.max()
    field = LabelledField.of(many.image, many.labels, shipped, 110).labels.size
    assert sum(seen) <= field
    seen.clear()
    explain_labels(many.image, many.labels, shipped, diameter=110, chosen=[1])
    assert sum(seen) < field


def test_a_crowded_field_of_many_tiles_is_looked_at_in_tiles_and_each_cell_once(stain_reader: Model) -> None:
    size = round(stain_reader.config.canonical_diameter)
    labels = np.zeros((1500, 1800), np.int32)
    discs = [(row, column) for row in range(100, 1400, 160) for column in range(100, 1700, 160)]
    rows, columns = np.ogrid[: labels.shape[0], : labels.shape[1]]
    for number, (row, column) in enumerate(discs, start=1):
        labels[(rows - row) ** 2 + (columns - column) ** 2 <= (size / 2) ** 2] = 3 * number  # with gaps
    image = np.where(labels[..., None] > 0, (90, 40, 130), (230, 230, 230)).astype(np.uint8)
    field = LabelledField.of(image, labels, stain_reader, size)
    wanted = field.numbers.tolist()
    parts = explain_cell._parts(field, wanted)
    boxes = ndimage.find_objects(field.labels)
    assert sorted(cell for _, cells in parts for cell in cells) == list(range(1, len(wanted) + 1))
    assert all(field.has_context(boxes[cell - 1], window) for window, cells in parts for cell in cells)
    looked = [sum(field.labels[window].size for window, _ in some) for some in (parts, field.neighbourhoods(wanted))]
    assert looked[0] < 0.9 * looked[1]


def test_no_cell_is_cut_where_one_is_larger_than_a_tile(stain_reader: Model) -> None:
    size = stain_reader.config.canonical_diameter
    labels = np.zeros((1100, 1100), np.int32)
    labels[100:1000, 100:1000] = 1
    image = np.full((1100, 1100, 3), 230, np.uint8)
    image[labels > 0] = (90, 40, 130)
    field = LabelledField.of(image, labels, stain_reader, size)
    (cell,) = explain_labels(image, labels, stain_reader, diameter=size)
    assert cell.inside.sum() == labels.sum()
    ((window, _),) = explain_cell._parts(field, [1])
    assert field.has_context(ndimage.find_objects(field.labels)[0], window)


def test_neighbours_are_shown_nothing_of(stain_reader: Model, draw: Draw) -> None:
    image = draw(SHAPE, (60.0, 60.0, 25.0), (60.0, 112.0, 25.0))
    labels = predict_image(image, stain_reader, diameter=50).labels
    assert labels.max() == 2
    for cell in explain_labels(image, labels, stain_reader, diameter=50):
        other = labels[cell.window] == 3 - cell.label
        assert other.any()
        assert not cell.activation[cell.named][other].any()


def test_a_cell_at_the_border_of_the_field_says_so_and_one_at_the_border_of_its_neighbourhood_not(
    stain_reader: Model, draw: Draw
) -> None:
    image = draw((600, 700), (2.0, 60.0, 25.0), (300.0, 350.0, 25.0))
    labels = predict_image(image, stain_reader, diameter=50).labels
    cells = explain_labels(image, labels, stain_reader, diameter=50)
    assert ["touches the border" in cell.reason for cell in cells] == [True, False]


def test_nothing_to_explain_is_no_error(stain_reader: Model, draw: Draw) -> None:
    assert explain_labels(draw(SHAPE), np.zeros(SHAPE, np.int32), stain_reader, diameter=50) == []
    assert not joined_activation([], SHAPE).any()


def test_it_stops_when_asked_to(stain_reader: Model, draw: Draw) -> None:
    labels = np.zeros(SHAPE, np.int32)
    labels[30:70, 40:80], labels[90:130, 130:170] = 1, 2
    seen = []

    def stop(stage: str, done: int, total: int) -> None:
        seen.append((stage, done, total))
        if done == 1:
            raise CancelledError("enough")

    with pytest.raises(CancelledError):
        explain_labels(draw(SHAPE, *CELLS), labels, stain_reader, diameter=50, progress=stop)
    assert seen[0] == ("explaining cells", 0, 2)
    assert seen[-1] == ("explaining cells", 1, 2)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"chosen": [5]}, "there is no cell 5 in these labels"),
        ({"classes": ["smudge"]}, "the model does not know smudge, only neutrophil"),
        ({"level": 3}, "level must be one of 4, 8, 16, 32, got 3"),
        ({"level": 8}, "this model has no level at stride 8; its deepest is at 4"),
        ({"diameter": 0.5}, "diameter must be at least 1 px, got 0.5"),
        (
            {"labels": np.ones((3, 4), np.int32)},
            r"labels of its height and width, got \(150, 210, 3\) uint8 and \(3, 4\)",
        ),
        ({"diameter": 4000.0}, "cell 2 is too small to be seen at this diameter; give a smaller diameter"),
    ],
)
def test_what_cannot_be_explained_is_told(stain_reader: Model, draw: Draw, changed: dict[str, Any], told: str) -> None:
    labels = np.zeros(SHAPE, np.int32)
    labels[30:70, 40:80], labels[100:102, 100:102] = 1, 2
    asked: dict[str, Any] = {"labels": labels, "diameter": 50.0, **changed}
    with pytest.raises(ConfigError, match=told):
        explain_labels(draw(SHAPE, *CELLS), model=stain_reader, **asked)


def test_a_network_in_training_stays_in_training() -> None:
    network = build_network(ModelConfig()).train()
    labels = np.zeros((64, 64), np.int32)
    labels[20:44, 20:44] = 1
    explain_labels(np.full((64, 64, 3), 200, np.uint8), labels, Model("m", ModelConfig(), network), diameter=40)
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())
