"""The sheet of doubts: the right cell is cut out, and every cell gets a tile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from sgcldff_core.evaluation.doubts import Doubt, SourceDoubts
from sgcldff_core.evaluation.doubts_sheet import cell_picture, doubt_pictures, draw_doubts
from sgcldff_core.evaluation.named_cells import CellKey
from sgcldff_core.sample import Raster, Sample

CLASSES = ("monocyte", "basophil")


def _sample() -> Sample:
    """Make a field of three cells, each of one grey; the first is of a class that the model has not."""
    labels = np.zeros((60, 100), np.int32)
    for label, x in ((1, 10), (2, 40), (5, 70)):
        labels[20:40, x : x + 20] = label
    image = np.repeat((40 * labels[..., None]).astype(np.uint8), 3, axis=2)
    classes = {1: "blast", 5: "basophil", 2: "monocyte"}
    return Sample(name="f", image=Raster.of(image), source="made", group="f", labels=Raster.of(labels), classes=classes)


def _doubt(name: str, position: int) -> Doubt:
    return Doubt(CellKey("made", name, position), "basophil", "monocyte", 0.1, 0.8, 1)


def test_the_cell_is_the_one_at_its_place_among_the_judged() -> None:
    """Judged cells come in the order of the sample's classes, without those that the model has not."""
    for position, grey in ((0, 200), (1, 80)):
        picture = cell_picture(_sample(), position, CLASSES)
        assert picture.max() == grey
        assert (picture == grey).all(2).sum() == 400
        assert picture.shape == (32, 32, 3)


def test_without_an_outline_the_whole_image_is_shown() -> None:
    sample = Sample(name="f", image=_sample().image, source="made", group="f", image_class="basophil")
    assert cell_picture(sample, 0, CLASSES).shape == (60, 100, 3)


def test_every_cell_whose_image_is_known_gets_a_tile(tmp_path: Path) -> None:
    doubts = (_doubt("f", 0), _doubt("f", 1), _doubt("elsewhere", 0))
    source = SourceDoubts("made", CLASSES, np.array([5, 5]), np.eye(2) / 2, doubts)
    pictures = doubt_pictures([source], [_sample()])
    assert set(pictures) == {CellKey("made", "f", 0), CellKey("made", "f", 1)}
    draw_doubts(doubts, pictures, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("L"))
    for grey in (200, 80):  # both cells are there, in their own grey
        assert (np.abs(sheet.astype(int) - grey) < 2).sum() > 500


def test_no_doubts_make_an_empty_sheet(tmp_path: Path) -> None:
    draw_doubts([], {}, tmp_path / "sheet.png")
    assert np.asarray(Image.open(tmp_path / "sheet.png").convert("L")).min() == 255
