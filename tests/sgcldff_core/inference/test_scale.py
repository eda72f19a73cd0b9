"""The diameter is found from half to twice the size, in crops, in crowded fields and where nothing is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sgcldff_core.datasets import open_dataset
from sgcldff_core.inference import scale
from sgcldff_core.inference.field import look_at
from sgcldff_core.inference.resampling import resize_image
from sgcldff_core.inference.scale import diameter_of_cells, find_scale
from sgcldff_core.model import Model, load_model
from sgcldff_core.smear import SmearSettings, make_smear

Draw = Callable[..., NDArray[np.uint8]]


def in_step(assumed: float, true: float) -> bool:
    """A field is seen at the scale of its own cells or somewhat coarser: they may be the small ones of their kind."""
    return 0.85 < assumed / true < 1.6


@pytest.mark.parametrize("radius", [15, 24, 40, 75])
def test_cells_of_any_size_in_a_field(stain_reader: Model, draw: Draw, radius: int) -> None:
    image = draw((480, 640), (110, 120, radius), (330, 160, radius), (200, 420, radius))
    view = find_scale(image, stain_reader, tile=640)
    assert view.labels.max() == 3
    found = view.diameter * diameter_of_cells(view.labels) / 40
    assert found == pytest.approx(2 * radius, rel=0.1)
    assert in_step(view.diameter, 2 * radius)


def test_a_cell_that_fills_the_image(stain_reader: Model, draw: Draw) -> None:
    view = find_scale(draw((100, 100), (50, 50, 49)), stain_reader, tile=640)
    assert view.labels.max() == 1
    assert in_step(view.diameter, 98)


def test_small_cells_in_a_large_field(stain_reader: Model, draw: Draw) -> None:
    cells = [(40.0 + 90 * row, 50.0 + 100 * column, 10.0) for row in range(10) for column in range(11)]
    view = find_scale(draw((900, 1150), *cells), stain_reader, tile=640)
    assert view.labels.max() == 110
    assert in_step(view.diameter, 20)


def test_an_empty_field_is_not_searched_forever(
    stain_reader: Model, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    assumed: list[float] = []

    def counted(image: NDArray[np.uint8], model: Model, diameter: float, **options: object) -> object:
        assumed.append(diameter)
        return look_at(image, model, diameter, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(scale, "look_at", counted)
    view = find_scale(draw((480, 640)), stain_reader, tile=640)
    assert not view.labels.any()
    assert len(assumed) <= 4
    assert assumed == sorted(assumed, reverse=True)


def test_fragments_beside_a_cell_do_not_change_its_size() -> None:
    labels = np.zeros((100, 100), np.int32)
    labels[20:60, 20:60] = 1
    alone = diameter_of_cells(labels)
    assert alone == pytest.approx(np.sqrt(4 / np.pi) * 40)
    for k in range(4):
        labels[80:84, 10 + 20 * k : 14 + 20 * k] = 2 + k
    assert diameter_of_cells(labels) == pytest.approx(alone, rel=0.05)
    assert diameter_of_cells(np.zeros((5, 5), np.int32)) is None


def test_a_cell_cut_by_the_border_is_as_wide_as_it_shows() -> None:
    yy, xx = np.ogrid[:60, :120]
    half = (np.hypot(yy, xx - 60) < 40).astype(np.int32)
    assert diameter_of_cells(half) == pytest.approx(79, rel=0.05)


@pytest.mark.parametrize(("seed", "stain"), [(102, "rapid"), (104, "crowded")])
def test_a_cluster_is_not_taken_for_one_cell(seed: int, stain: str) -> None:
    """Cells that touch: from far away the shipped model sees one, and has to look closer."""
    settings = SmearSettings(height=600, width=800, diameter=110, leukocytes=8, touching=0.7, stain=stain)
    smear = make_smear(seed, settings)
    view = find_scale(smear.image, load_model(), tile=640)
    assert view.labels.max() == len(smear.classes) == 8
    assert in_step(view.diameter, 110)


def test_an_image_that_cannot_be_enlarged_so_far_says_what_it_was_looked_at_for() -> None:
    model = load_model()
    view = look_at(np.full((30, 40, 3), 230, np.uint8), model, 5.0, tile=640)
    assert view.image.shape[:2] == (120, 160)
    assert view.diameter == model.config.canonical_diameter / 4


@pytest.mark.parametrize("source", ["zheng", "bccd"])
def test_real_images_from_half_to_twice_the_size(real_data: Path, source: str) -> None:
    """The shipped model on images enlarged and shrunk: the diameter found keeps in step."""
    model = load_model()
    samples = [s for s in open_dataset(real_data / source) if s.labels is not None][::60][:3]
    assert samples
    for sample in samples:
        image = sample.read_image()
        area = np.bincount(sample.read_labels().ravel())[1:].astype(float)
        true = np.sqrt(4 / np.pi * (area**2).sum() / area.sum())
        for factor in (0.5, 1.0, 2.0):
            size = (round(image.shape[0] * factor), round(image.shape[1] * factor))
            view = find_scale(resize_image(image, size), model, tile=640)
            assert in_step(view.diameter, true * factor), (sample.name, factor)
