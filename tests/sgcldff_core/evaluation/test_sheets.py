"""Picture sheets: the crop holds what is meant, and both outlines can be seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sgcldff_core.evaluation import sheets
from sgcldff_core.evaluation.assessment import ImageAssessment, JudgedCell
from sgcldff_core.evaluation.sheets import Tile, draw_sheet
from sgcldff_core.evaluation.worst import Case


@given(st.data(), st.integers(3, 40), st.integers(3, 40))
@settings(deadline=None, max_examples=50)
def test_the_window_is_a_square_that_holds_everything_meant(data: st.DataObject, height: int, width: int) -> None:
    meant = np.zeros((height, width), bool)
    for _ in range(data.draw(st.integers(0, 3))):
        meant[data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))] = True
    window = sheets._window(meant)
    cut = sheets._cut(meant, window, 0)
    assert cut.shape == (window[2], window[2])
    assert cut.sum() == meant.sum()


def _case() -> Case:
    cells = (JudgedCell("monocyte", "lymphocyte", 0.93, {"lymphocyte": 0.93}),)
    return Case(0, 2, ImageAssessment("field_7", "made", 0.4, 0.4, None, 0.4, 1, 2, None, cells, 40.0))


def test_the_caption_says_what_a_reader_asks() -> None:
    assert sheets._caption(_case()).splitlines() == [
        "field_7",
        "IoU 0.400",
        "cells: 1 annotated, 2 found",
        "monocyte → lymphocyte (0.93)",
    ]


@pytest.mark.parametrize("count", [1, 7])
def test_every_case_gets_a_tile_with_both_outlines(count: int, tmp_path: Path) -> None:
    annotated, found = np.zeros((2, 30, 30), np.int32)
    annotated[5:20, 5:20] = 1
    found[8:25, 8:25] = 1
    tile = Tile(np.full((30, 30, 3), (180, 120, 190), np.uint8), annotated, found, "field_7")
    target = tmp_path / "sheet.png"
    asked: list[Case] = []

    def tile_of(case: Case) -> Tile:
        asked.append(case)
        return tile

    draw_sheet({"made: lowest IoU": [_case()] * count}, tile_of, target)
    assert len(asked) == count
    pixels = np.asarray(Image.open(target).convert("RGB"))
    assert (pixels == (0xFF, 0xD4, 0x00)).all(-1).sum() > 100 * count
    assert pixels.shape[0] > pixels.shape[1] / 6 * (1 + (count > 6))
