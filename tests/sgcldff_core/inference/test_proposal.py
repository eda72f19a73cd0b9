"""The cell at a point: found where a person says it is, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from sgcldff_core.cells import cell_columns
from sgcldff_core.errors import CancelledError, ConfigError
from sgcldff_core.inference import predict_image, propose_cell
from sgcldff_core.model import Model

Draw = Callable[..., NDArray[np.uint8]]

SHAPE = (300, 400)
CELLS = ((60.0, 60.0, 25.0), (60.0, 105.0, 25.0), (230.0, 330.0, 25.0))


def _disc(cell: tuple[float, float, float]) -> NDArray[np.bool_]:
    yy, xx = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return np.asarray(np.hypot(yy - cell[0], xx - cell[1]) < cell[2])


@pytest.mark.parametrize("cell", CELLS)
def test_only_the_cell_under_the_point_is_outlined_and_named(
    stain_reader: Model, draw: Draw, cell: tuple[float, float, float]
) -> None:
    found = propose_cell(draw(SHAPE, *CELLS), stain_reader, cell[:2], 50)
    assert found is not None
    labels = np.zeros(SHAPE, np.int32)
    (y, x), (h, w) = found.corner, found.prediction.labels.shape
    assert max(h, w) <= 201
    labels[y : y + h, x : x + w] = found.prediction.labels
    assert np.unique(labels).tolist() == [0, 1]
    assert (labels & _disc(cell)).sum() / (labels | _disc(cell)).sum() > 0.88
    assert list(found.prediction.cells.columns) == cell_columns(stain_reader.config.classes)
    assert found.prediction.cells["area_px"].tolist() == [labels.sum()]


def test_a_cell_that_a_search_leaves_out_is_found_when_somebody_points_at_it(stain_reader: Model, draw: Draw) -> None:
    image = draw(SHAPE, (150.0, 200.0, 9.0))  # far smaller than a cell is taken to be
    assert len(predict_image(image, stain_reader, diameter=50).cells) == 0
    found = propose_cell(image, stain_reader, (150, 200), 50)
    assert found is not None
    assert len(found.prediction.cells) == 1


def test_nothing_is_proposed_where_nothing_is(stain_reader: Model, draw: Draw) -> None:
    assert propose_cell(draw(SHAPE, *CELLS), stain_reader, (200, 100), 50) is None


def test_pixels_of_other_cells_are_left_to_them(stain_reader: Model, draw: Draw) -> None:
    taken = _disc(CELLS[0])
    found = propose_cell(draw(SHAPE, *CELLS), stain_reader, CELLS[1][:2], 50, taken=taken)
    assert found is not None
    (y, x), (h, w) = found.corner, found.prediction.labels.shape
    overlap = (found.prediction.labels > 0) & taken[y : y + h, x : x + w]
    assert overlap.sum() < 0.03 * found.prediction.labels.sum()


@pytest.mark.parametrize(
    ("point", "diameter", "problem"),
    [((300, 10), 50, "outside the image of 300x400 px"), ((10, 10), 0.5, "at least 1 px")],
)
def test_a_point_outside_and_no_diameter_are_refused(
    stain_reader: Model, draw: Draw, point: tuple[float, float], diameter: float, problem: str
) -> None:
    with pytest.raises(ConfigError, match=problem):
        propose_cell(draw(SHAPE), stain_reader, point, diameter)


def test_it_can_be_stopped(stain_reader: Model, draw: Draw) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        raise CancelledError(stage)

    with pytest.raises(CancelledError, match="looking"):
        propose_cell(draw(SHAPE, *CELLS), stain_reader, (60, 60), 50, progress=stop)
