"""The overlay: what it must show, and what it must not hide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from sgcldff_core.inference import Prediction, predict_image
from sgcldff_core.inference.overlay import draw_overlay
from sgcldff_core.model import Model
from sgcldff_core.taxonomy import colour_of

Draw = Callable[..., NDArray[np.uint8]]
CELLS = ((150.0, 160.0, 50.0), (330.0, 400.0, 50.0))


@pytest.fixture
def field(stain_reader: Model, draw: Draw) -> tuple[NDArray[np.uint8], Prediction]:
    image = draw((480, 640), *CELLS)
    found = predict_image(image, stain_reader, diameter=100)
    cells = found.cells.assign(needs_review=False, review_reason="", confidence=0.97)
    return image, replace(found, cells=cells.assign(**{"class": ["neutrophil", "eosinophil"]}))


def shares(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return (np.abs(picture.astype(int) - colour).max(-1) < 12)[:480, :640]


def test_each_cell_is_outlined_in_its_classs_colour(
    field: tuple[NDArray[np.uint8], Prediction], stain_reader: Model
) -> None:
    image, found = field
    picture = np.asarray(draw_overlay(image, found, stain_reader.config.classes))
    assert picture.shape[1] == 640
    assert picture.shape[0] > 480  # the legend is below, not on the cells
    for label, name in enumerate(("neutrophil", "eosinophil"), start=1):
        drawn = shares(picture, colour_of(name))
        mask = found.labels == label
        rim = mask ^ ndimage.binary_erosion(mask)
        near = ndimage.binary_dilation(rim, iterations=3)
        assert drawn[near].sum() > 0.9 * rim.sum()
        assert not drawn[ndimage.binary_erosion(mask, iterations=4)].any()


def test_away_from_the_cells_the_image_is_untouched(
    field: tuple[NDArray[np.uint8], Prediction], stain_reader: Model
) -> None:
    image, found = field
    picture = np.asarray(draw_overlay(image, found, stain_reader.config.classes))[:480]
    changed = (picture != image).any(-1)
    assert changed.mean() < 0.04
    for y, x, radius in CELLS:  # nucleus and cytoplasm can be judged
        for share in (0.3, 0.8):
            assert not changed[int(y), int(x - share * radius)]


def test_a_cell_to_look_at_is_dashed(field: tuple[NDArray[np.uint8], Prediction], stain_reader: Model) -> None:
    image, found = field
    doubtful = replace(found, cells=found.cells.assign(needs_review=[True, False]))
    drawn = [
        shares(np.asarray(draw_overlay(image, p, stain_reader.config.classes)), colour_of("neutrophil"))[
            100:210, 100:220
        ]
        for p in (found, doubtful)
    ]
    assert 0.3 * drawn[0].sum() < drawn[1].sum() < 0.8 * drawn[0].sum()


def test_a_small_image_is_enlarged(stain_reader: Model, draw: Draw) -> None:
    image = draw((120, 121), (60.0, 60.0, 35.0))
    picture = draw_overlay(image, predict_image(image, stain_reader, diameter=70), stain_reader.config.classes)
    assert picture.width == 4 * 121
    assert picture.height > 4 * 120


def test_no_cells_and_classes_of_ones_own(stain_reader: Model, draw: Draw) -> None:
    image = draw((300, 300))
    found = predict_image(image, stain_reader)
    picture = np.asarray(draw_overlay(image, found, ["smudge cell", "Reed-Sternberg cell"]))
    assert (picture[:600:2, ::2] == image).mean() > 0.99
    assert shares(np.flipud(picture), colour_of("smudge cell", ["smudge cell"])).any()


def test_names_of_many_cells_lie_apart(stain_reader: Model, draw: Draw) -> None:
    cells = [(40.0 + 60 * row, 45.0 + 78 * column, 18.0) for row in range(7) for column in range(8)]
    image = draw((480, 640), *cells)
    found = predict_image(image, stain_reader, diameter=36)
    assert len(found.cells) == 56
    named = found.cells.assign(**{"class": "lymphocyte", "needs_review": False})
    picture = np.asarray(draw_overlay(image, replace(found, cells=named), stain_reader.config.classes))
    tags = ndimage.binary_opening(shares(picture, colour_of("lymphocyte")), iterations=2)
    assert ndimage.label(ndimage.binary_dilation(tags, iterations=2))[1] >= 50
