"""The table of cells as a person reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from napari.layers import Labels

from napari_sgcldff.cell_rows import (
    COLUMNS,
    UNNAMED,
    CellFilter,
    cells_of,
    count_classes,
    place_of,
    rows_to_show,
    write_cells,
)
from napari_sgcldff.metadata import KEY
from sgcldff_core.cells import UNLIKE_A_SMEAR, cell_columns


@pytest.fixture
def features() -> pd.DataFrame:
    """Return what a layer knows: napari's row of the background, three cells of a model, one drawn by hand."""
    return pd.DataFrame(
        {
            "index": [0, 4, 2, 9, 7],
            "image": [None, "a", "a", "b", np.nan],
            "class": [None, "monocyte", "Neutrophil", "basophil", None],
            "confidence": [np.nan, 0.9, 0.4, 0.7, np.nan],
            "needs_review": [None, False, True, True, None],
            "review_reason": [None, "", "class uncertain", "mask unstable", None],
            "centroid_y": [np.nan, 10.0, 20.0, 5.0, np.nan],
            "centroid_x": [np.nan, 11.0, 21.0, 6.0, np.nan],
            "bbox_y0": [np.nan, 5, 15, 0, np.nan],
        }
    )


def _labels(features: pd.DataFrame, chosen: CellFilter, *sort: Any) -> list[int]:
    cells = cells_of(features)
    return cells["label"].iloc[rows_to_show(cells, chosen, *sort)].tolist()


def test_the_background_is_no_cell_and_a_cell_may_have_no_class(features: pd.DataFrame) -> None:
    cells = cells_of(features)
    assert cells["label"].tolist() == [4, 2, 9, 7]
    assert cells["class"].tolist() == ["monocyte", "Neutrophil", "basophil", UNNAMED]
    assert len(cells_of(pd.DataFrame({"x": [1]}))) == 0


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (CellFilter(), [2, 4, 7, 9]),
        (CellFilter(kind="monocyte"), [4]),
        (CellFilter(kind=UNNAMED), [7]),
        (CellFilter(most_confidence=0.7), [2, 7, 9]),
        (CellFilter(review=True), [2, 9]),
        (CellFilter(kind="basophil", most_confidence=0.5), []),
    ],
)
def test_only_what_is_asked_for_is_shown(features: pd.DataFrame, chosen: CellFilter, expected: list[int]) -> None:
    assert _labels(features, chosen) == expected


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (("confidence",), [2, 9, 4, 7]),
        (("confidence", True), [4, 9, 2, 7]),
        (("class",), [7, 9, 4, 2]),
        (("review_reason", True), [9, 2, 4, 7]),
        (("label", True), [9, 7, 4, 2]),
    ],
)
def test_what_is_missing_comes_last_whichever_way_it_is_sorted(
    features: pd.DataFrame, sort: tuple[Any, ...], expected: list[int]
) -> None:
    assert _labels(features, CellFilter(), *sort) == expected


def test_classes_are_counted_in_the_order_of_the_model(features: pd.DataFrame) -> None:
    counts = count_classes(cells_of(features), ["monocyte", "lymphocyte"])
    assert list(counts.items()) == [
        ("monocyte", 1),
        ("lymphocyte", 0),
        ("Neutrophil", 1),
        ("basophil", 1),
        (UNNAMED, 1),
    ]


def test_cells_of_what_is_no_smear_are_not_counted_until_a_person_has_seen_them(features: pd.DataFrame) -> None:
    unlike = features.assign(review_reason=UNLIKE_A_SMEAR)
    assert set(count_classes(cells_of(unlike), ["monocyte"]).values()) == {0}
    seen = unlike.assign(review_reason="")
    assert sum(count_classes(cells_of(seen), ["monocyte"]).values()) == len(cells_of(seen))


def test_a_missing_value_is_written_as_nothing() -> None:
    assert [column.written(np.nan) for column in COLUMNS.values()] == [""] * len(COLUMNS)
    assert COLUMNS["confidence"].written(0.875) == "88 %"
    assert COLUMNS["area_px"].written(12.4) == "12"


def test_a_cell_is_found_by_its_row_its_image_or_its_pixels(features: pd.DataFrame) -> None:
    data = np.zeros((2, 30, 30), np.int32)
    data[1, 4:7, 8:11] = 7
    layer = Labels(data, features=features, metadata={KEY: {"planes": {"a": [0], "b": [1]}}})
    assert place_of(layer, 4) == (0.0, 10.0, 11.0)
    assert place_of(layer, 9) == (1.0, 5.0, 6.0)
    assert place_of(layer, 7) == (1.0, 5.0, 9.0)
    assert place_of(layer, 55) is None
    flat = Labels(data[1], features=features.drop(columns="centroid_y"))
    assert place_of(flat, 7) == (5.0, 9.0)


def test_the_file_has_the_columns_of_the_command_line_and_places_in_the_picture(
    features: pd.DataFrame, tmp_path: Path
) -> None:
    about = {"classes": ["monocyte", "basophil"], "origin": [100, 200]}
    write_cells(cells_of(features), about, tmp_path / "cells.csv")
    table = pd.read_csv(tmp_path / "cells.csv")
    assert list(table.columns) == cell_columns(["monocyte", "basophil"])
    assert table["label"].tolist() == [4, 2, 9, 7]
    assert table["centroid_y"].tolist()[:3] == [110, 120, 105]
    assert table["centroid_x"].tolist()[:3] == [211, 221, 206]
    assert table["bbox_y0"].tolist()[:3] == [105, 115, 100]
    assert table["class"].tolist()[:3] == ["monocyte", "Neutrophil", "basophil"]
    assert pd.isna(table["class"].iloc[3])
    assert [path.name for path in tmp_path.iterdir()] == ["cells.csv"]
