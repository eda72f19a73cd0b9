"""One image all the way: labels, table, explanation, at the image's own size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sgcldff_core.cells import cell_columns
from sgcldff_core.errors import CancelledError, ConfigError
from sgcldff_core.inference import predict_image
from sgcldff_core.inference.forward import FieldMaps
from sgcldff_core.inference.windows import cell_windows, cut
from sgcldff_core.model import Model, NetworkOutput

Draw = Callable[..., NDArray[np.uint8]]

SHAPE = (150, 210)
CELLS = ((50.0, 60.0, 25.0), (110.0, 150.0, 25.0))


def disc(disc: tuple[float, float, float], shape: tuple[int, int] = SHAPE) -> NDArray[np.bool_]:
    yy, xx = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(yy - disc[0], xx - disc[1]) < disc[2]


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("diameter", [None, 50.0, 70.0])
def test_cells_are_outlined_at_the_images_own_size(stain_reader: Model, draw: Draw, diameter: float | None) -> None:
    found = predict_image(draw(SHAPE, *CELLS), stain_reader, name="field", diameter=diameter)
    assert found.labels.shape == found.saliency.shape == found.nucleus.shape == SHAPE
    assert (found.labels.dtype, found.saliency.dtype, found.nucleus.dtype) == (np.int32, np.float32, np.bool_)
    assert found.labels.max() == 2
    for label, cell in enumerate(CELLS, start=1):
        assert iou(found.labels == label, disc(cell)) > 0.93
        assert iou(found.nucleus & (found.labels == label), disc((*cell[:2], 0.6 * cell[2]))) > 0.88
    assert found.saliency.min() >= 0
    assert found.saliency.max() <= 1
    assert found.model == "stain-reader"
    assert found.gradcam is None
    if diameter is not None:
        assert found.diameter == diameter


def test_the_table_has_the_contracts_columns_and_one_row_a_label(stain_reader: Model, draw: Draw) -> None:
    found = predict_image(draw(SHAPE, *CELLS), stain_reader, name="field", diameter=50)
    cells = found.cells
    assert list(cells.columns) == cell_columns(stain_reader.config.classes)
    assert cells["label"].tolist() == [1, 2]
    assert (cells["image"] == "field").all()
    assert cells["area_px"].tolist() == np.bincount(found.labels.ravel())[1:].tolist()
    probabilities = cells[[c for c in cells.columns if c.startswith("prob_")]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(cells["confidence"], probabilities.max(1))
    assert cells["saliency_consistency"].between(0, 1).all()
    assert (cells["needs_review"] == (cells["review_reason"] != "")).all()


def test_each_cell_is_named_for_itself(stain_reader: Model, draw: Draw) -> None:
    """Large nucleus: class 0; small nucleus: class 1. Neither its neighbour nor the order matters."""
    image = draw(SHAPE, CELLS[0], nucleus=0.9)
    other = draw(SHAPE, CELLS[1], nucleus=0.5)
    image[disc(CELLS[1])] = other[disc(CELLS[1])]
    found = predict_image(image, stain_reader, diameter=50)
    assert found.cells["class"].tolist() == list(stain_reader.config.classes[:2])
    alone = predict_image(other, stain_reader, diameter=50)
    columns = [c for c in found.cells.columns if c.startswith("prob_")]
    np.testing.assert_allclose(found.cells[columns].iloc[1], alone.cells[columns].iloc[0], atol=1e-5)


def test_the_temperature_softens_probabilities_and_changes_no_name(stain_reader: Model, draw: Draw) -> None:
    image = draw(SHAPE, *CELLS)
    warm = Model("warm", stain_reader.config, stain_reader.network, calibration={"temperature": 8.0})
    found, softer = predict_image(image, stain_reader, diameter=50), predict_image(image, warm, diameter=50)
    assert found.cells["class"].tolist() == softer.cells["class"].tolist()
    assert (softer.cells["confidence"] < found.cells["confidence"]).all()


def test_grad_cam_lies_on_the_cells(stain_reader: Model, draw: Draw) -> None:
    image = draw(SHAPE, *CELLS)
    found = predict_image(image, stain_reader, diameter=50, explain=True)
    assert found.gradcam is not None
    assert found.gradcam.shape == SHAPE
    assert found.gradcam.dtype == np.float32
    assert 0 <= found.gradcam.min() <= found.gradcam.max() <= 1
    assert found.gradcam[found.labels > 0].mean() > 5 * found.gradcam[found.labels == 0].mean()
    without = predict_image(image, stain_reader, diameter=50)
    assert without.cells.equals(found.cells)  # the columns are there either way


def test_an_unclear_cell_says_so(stain_reader: Model, draw: Draw) -> None:
    found = predict_image(draw(SHAPE, (2.0, 60.0, 25.0), CELLS[1]), stain_reader, diameter=50)
    assert "touches the border" in found.cells["review_reason"][0]
    assert "touches the border" not in found.cells["review_reason"][1]


def test_stability_tells_which_cell_the_mirror_does_not_confirm(stain_reader: Model, draw: Draw) -> None:
    """The one-eyed network sees both cells directly, but only half of the first one in the mirror."""
    image = draw(SHAPE, *CELLS)
    found = predict_image(image, stain_reader, diameter=50)
    assert found.stability.dtype == np.float32
    assert (found.stability > 0.97).all()  # this network knows no direction
    one_eyed = Model("one-eyed", stain_reader.config, _OneEyed(stain_reader.network))  # type: ignore[arg-type]
    found = predict_image(image, one_eyed, diameter=50)
    assert found.stability.tolist() == pytest.approx([0.5, 1.0], abs=0.05)
    assert found.cells["review_reason"].str.contains("mask unstable").tolist() == [True, False]
    assert predict_image(draw(SHAPE), stain_reader).stability.shape == (0,)


class _OneEyed(torch.nn.Module):
    """Takes for background what is far to the right: where the mirror shows the middle of the first cell."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.inner, self.mean = network, network.mean

    def forward(self, image: torch.Tensor, prior: torch.Tensor) -> NetworkOutput:
        seen = self.inner(image, prior)
        seen.cell[..., 144:] = -3
        return seen

    def classify(self, *given: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.inner.classify(*given)


def test_touching_cells_stay_parted_at_the_images_own_size(stain_reader: Model, draw: Draw) -> None:
    pair = ((75.0, 60.0, 24.0), (75.0, 107.0, 24.0))
    image = draw(SHAPE, *pair)
    for factor in (1, 3):  # at and below the canonical scale
        large = np.kron(image, np.ones((factor, factor, 1), np.uint8))
        found = predict_image(large, stain_reader, diameter=48 * factor)
        assert found.labels.max() == 2
        for label, cell in enumerate(pair, start=1):
            y, x, radius = (factor * v for v in cell)
            assert iou(found.labels == label, disc((y, x, radius), found.labels.shape)) > 0.93


def test_an_empty_field_gives_empty_results(stain_reader: Model, draw: Draw) -> None:
    found = predict_image(draw(SHAPE), stain_reader, explain=True)
    assert not found.labels.any()
    assert not found.nucleus.any()
    assert len(found.cells) == 0
    assert list(found.cells.columns) == cell_columns(stain_reader.config.classes)
    assert found.gradcam is not None
    assert not found.gradcam.any()


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (7, 5), (33, 64)])
def test_images_of_odd_sizes(stain_reader: Model, draw: Draw, shape: tuple[int, int]) -> None:
    found = predict_image(draw(shape), stain_reader, diameter=40, explain=True)
    assert found.labels.shape == found.saliency.shape == shape
    assert found.gradcam is not None
    assert found.gradcam.shape == shape


def test_an_image_that_may_not_be_written_to(stain_reader: Model, draw: Draw) -> None:
    image = draw(SHAPE, *CELLS)
    before = image.copy()
    image.setflags(write=False)
    assert predict_image(image, stain_reader, diameter=40).labels.max() == 2
    assert (image == before).all()


def test_the_network_keeps_its_mode_and_gathers_no_gradient(stain_reader: Model, draw: Draw) -> None:
    network = stain_reader.network.train()
    first = predict_image(draw(SHAPE, *CELLS), stain_reader, diameter=50)
    assert network.training
    assert first.cells.equals(predict_image(draw(SHAPE, *CELLS), stain_reader, diameter=50).cells)
    assert all(p.grad is None for p in network.parameters())
    assert torch.is_grad_enabled()


def test_flips_agree_with_a_network_that_knows_no_direction(stain_reader: Model, draw: Draw) -> None:
    image = draw((160, 224), *CELLS)
    plain = predict_image(image, stain_reader, diameter=40)
    flipped = predict_image(image, stain_reader, diameter=40, flips=True)
    assert (plain.labels == flipped.labels).all()


def test_one_look_is_as_good_where_the_mirror_shows_the_same_and_tells_nothing_of_firmness(
    stain_reader: Model, draw: Draw
) -> None:
    image = draw(SHAPE, *CELLS)
    one, two = (predict_image(image, stain_reader, diameter=50, mirror=mirror) for mirror in (False, True))
    assert iou(one.labels > 0, two.labels > 0) > 0.99
    assert one.cells["class"].tolist() == two.cells["class"].tolist()
    assert np.isnan(one.stability).all()
    assert np.isfinite(two.stability).all()
    assert one.evidence is not None
    assert one.evidence["stability"].isna().all(axis=None)
    assert one.evidence.drop(columns=["stability", "stain"]).notna().all(axis=None)
    assert one.cells["saliency_consistency"].between(0, 1).all()
    assert not one.cells["review_reason"].str.contains("unstable").any()


def test_progress_is_told_and_may_stop_it(stain_reader: Model, draw: Draw) -> None:
    told: list[tuple[str, int, int]] = []
    image = draw(SHAPE, *CELLS)
    predict_image(image, stain_reader, diameter=50, progress=lambda *step: told.append(step))
    assert [step for step in told if step[2]] == [("finding cells", 1, 1), ("looking in the mirror", 1, 1)]
    assert [title for title, _, total in told if not total] == [
        "naming cells",
        "explaining",
        "drawing outlines",
        "measuring cells",
    ]

    def stop(stage: str, done: int, total: int) -> None:
        raise CancelledError("the caller asked to stop")

    with pytest.raises(CancelledError, match="asked to stop"):
        predict_image(image, stain_reader, diameter=50, progress=stop)


@pytest.mark.parametrize(
    ("image", "text"),
    [
        (np.zeros((5, 5), np.uint8), r"shape \(H, W, 3\) and dtype uint8, got \(5, 5\) uint8"),
        (np.zeros((5, 5, 4), np.uint8), r"got \(5, 5, 4\) uint8"),
        (np.zeros((5, 5, 3), np.float32), r"got \(5, 5, 3\) float32"),
        (np.zeros((0, 5, 3), np.uint8), r"got \(0, 5, 3\) uint8"),
    ],
)
def test_what_is_no_rgb_image_is_refused(stain_reader: Model, image: NDArray[np.uint8], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        predict_image(image, stain_reader)


@pytest.mark.parametrize("diameter", [0, -3, float("nan"), float("inf")])
def test_an_impossible_diameter_is_refused(stain_reader: Model, draw: Draw, diameter: float) -> None:
    with pytest.raises(ConfigError, match="diameter must be at least 1 px"):
        predict_image(draw(SHAPE), stain_reader, diameter=diameter)


def test_a_window_holds_the_whole_cell_and_nothing_else() -> None:
    labels = np.zeros((40, 60), np.int32)
    labels[0:9, 0:13], labels[20:36, 30:41] = 1, 2
    maps = FieldMaps(torch.full((3, 40, 60), 20.0), torch.arange(150.0).reshape(1, 10, 15))
    (windows,) = cell_windows(maps, labels, margin=0.5)
    assert windows.labels.tolist() == [1, 2]
    areas = 16 * windows.cells.sum((1, 2))
    torch.testing.assert_close(areas, torch.tensor([9 * 13.0, 16 * 11.0]))
    for cell, corner, fused in zip(windows.cells, windows.corners, windows.fused, strict=True):
        assert cell.shape == fused.shape[1:]
        torch.testing.assert_close(fused, cut(maps.fused, corner, len(cell)))


def test_cells_come_in_chunks_small_ones_first() -> None:
    labels = np.zeros((30, 200), np.int32)
    for k in range(5):
        labels[2 : 22 - 3 * k, 40 * k : 40 * k + 10] = k + 1
    maps = FieldMaps(torch.zeros(3, 30, 200), torch.zeros(2, 8, 50))
    seen = [windows.labels.tolist() for windows in cell_windows(maps, labels, chunk=2)]
    assert sorted(label for chunk in seen for label in chunk) == [1, 2, 3, 4, 5]
    assert [len(chunk) for chunk in seen] == [2, 2, 1]
    assert seen[-1] == [1]


def test_what_is_cut_beyond_the_map_is_zero() -> None:
    x = torch.ones(1, 3, 4)
    assert cut(x, np.array([-1, -2]), 4).tolist() == [[[0, 0, 0, 0], *[[0, 0, 1, 1]] * 3]]
    assert cut(x, np.array([2, 3]), 2).tolist() == [[[1, 0], [0, 0]]]
