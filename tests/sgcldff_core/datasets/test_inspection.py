"""The figures that are shown of a data set are those that it has."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sgcldff_core.datasets import ReadReport
from sgcldff_core.datasets.inspection import inspect_dataset, summarise
from sgcldff_core.datasets.summary import UNKNOWN, ClassSummary, DatasetSummary
from sgcldff_core.errors import UnreadableImageError
from sgcldff_core.sample import Box, Point, Raster, Sample


def image(seed: int, shape: tuple[int, int] = (40, 50)) -> Raster:
    return Raster.of(np.random.default_rng(seed).integers(0, 256, (*shape, 3)).astype(np.uint8))


def squares(*sides: int) -> Raster:
    """Return labels 1, 2, ... as squares side by side."""
    labels = np.zeros((40, 50), np.int32)
    for n, side in enumerate(sides, start=1):
        labels[:side, 16 * (n - 1) : 16 * (n - 1) + side] = n
    return Raster.of(labels)


def sample(name: str, seed: int, **known: Any) -> Sample:
    return Sample(**({"name": name, "image": image(seed), "source": "drawn", "group": name} | known))


def count(*samples: Sample) -> DatasetSummary:
    return summarise(samples, Path("folder"), "drawn", ReadReport())


def by_class(summary: DatasetSummary) -> dict[str, ClassSummary]:
    return {c.name: c for c in summary.sources[0].classes}


def test_counts_cells_boxes_points_and_images_by_class() -> None:
    summary = count(
        sample(
            "a",
            1,
            labels=squares(10, 12, 4),
            classes={1: "monocyte", 2: "monocyte"},
            boxes=(Box(0, 0, 9, 9, "erythrocyte"), Box(0, 0, 9, 9), Box(0, 0, 9, 9, "monocyte")),
            split="train",
        ),
        sample("b", 2, labels=squares(8), classes={1: "basophil"}, split="val"),
        sample("c", 3, points=(Point(1, 1, "blast"), Point(2, 2)), image_class="basophil"),
    )
    cells = by_class(summary)
    assert list(cells) == ["monocyte", "basophil", "blast", "erythrocyte", UNKNOWN]
    assert (cells["monocyte"].outlined, cells["monocyte"].boxed, cells["monocyte"].splits) == (2, 1, {"train": 2})
    assert (cells["basophil"].outlined, cells["basophil"].images) == (1, 1)
    assert (cells[UNKNOWN].outlined, cells[UNKNOWN].boxed, cells[UNKNOWN].pointed) == (1, 1, 1)
    assert cells["blast"].pointed == cells["erythrocyte"].boxed == 1
    assert (summary.images, summary.groups, summary.cells) == (3, 3, 4)
    source = summary.sources[0]
    assert source.sizes == {(40, 50): 3}
    assert source.splits == {"train": 1, "val": 1}
    assert source.kinds == {"masks": 2, "classes": 2, "boxes": 1, "points": 1, "image class": 1}


def test_measures_cells_as_discs_of_their_area_and_nuclei_as_their_share() -> None:
    nucleus = np.zeros((40, 50), bool)
    nucleus[:10, :5] = True
    nucleus[20:, :] = True  # in no cell
    cells = by_class(count(sample("a", 1, labels=squares(10), nucleus=Raster.of(nucleus), classes={1: "blast"})))
    assert cells["blast"].diameters_px == (pytest.approx(np.sqrt(400 / np.pi), abs=0.05),) * 3
    assert cells["blast"].nucleus_share == 0.5


def test_counts_splits_by_image_where_nothing_is_outlined() -> None:
    cells = by_class(count(sample("a", 1, image_class="blast", split="test"), sample("b", 2, image_class="blast")))
    assert cells["blast"].splits == {"test": 1}


def test_keeps_sources_apart() -> None:
    summary = count(sample("a", 1, image_class="blast"), sample("b", 2, source="other", image_class="healthy"))
    assert [(s.source, [c.name for c in s.classes]) for s in summary.sources] == [
        ("drawn", ["blast"]),
        ("other", ["healthy"]),
    ]


@pytest.mark.parametrize(
    ("samples", "finding"),
    [
        ([sample("a", 1, image_class="blast")], "few cells in drawn: blast 1; too few to train on"),
        ([sample("a", 1, labels=squares(5, 5))], "outlined cells without a class in drawn: 2"),
        ([sample("a", 1)], "images without any annotation in drawn: 1"),
        ([sample("a", 1), sample("b", 1)], "a and b have the same pixels but are not of one group"),
        (
            [sample("a", 1, group="g", split="train"), sample("b", 2, group="g", split="val")],
            "groups on both sides of the published split: 1, the first is g",
        ),
        ([sample("a", 1, group="g"), sample("b", 2, group="g")], "2 images show 1 scenes: split by group"),
    ],
)
def test_says_what_to_think_of(samples: list[Sample], finding: str) -> None:
    assert any(found.startswith(finding) for found in count(*samples).findings)


def test_has_nothing_to_say_of_a_sound_set() -> None:
    samples = [sample(str(n), n, image_class="blast", split="train") for n in range(10)]
    assert count(*samples).findings == ()


def test_copies_within_a_group_are_no_surprise() -> None:
    assert count(sample("a", 1, group="g"), sample("b", 1, group="g")).duplicates == ()


def test_images_of_the_same_bytes_but_another_shape_differ() -> None:
    grey = np.full((20, 30, 3), 7, np.uint8)
    one, other = Raster.of(grey), Raster.of(grey.reshape(30, 20, 3))
    assert count(sample("a", 1, image=one), sample("b", 1, image=other)).duplicates == ()


def test_an_image_that_cannot_be_decoded_is_named_and_not_counted() -> None:
    def broken(path: Path) -> NDArray[np.uint8]:
        raise UnreadableImageError(path, "the file is truncated")

    bad = replace(sample("a", 1), image=Raster(broken, Path("folder/a.jpg")))
    summary = count(bad, sample("b", 2))
    assert summary.images == 1
    assert [(str(p.path), p.problem) for p in summary.unusable] == [("folder/a.jpg", "the file is truncated")]


def test_json_holds_everything() -> None:
    summary = count(sample("a", 1, labels=squares(5), classes={1: "blast"}, split="train"))
    told = json.loads(json.dumps(summary.as_json()))
    assert told["sources"][0]["sizes"] == {"40x50": 1}
    assert told["sources"][0]["classes"][0]["outlined"] == 1
    assert told["findings"] == list(summary.findings)


@pytest.mark.parametrize(
    ("folder", "images", "groups", "cells", "unusable"),
    [("zheng", 310, 309, 310, 0), ("all_idb2", 200, 200, 217, 0)],
)
def test_counts_real_sets(real_data: Path, folder: str, images: int, groups: int, cells: int, unusable: int) -> None:
    summary = inspect_dataset(real_data / folder)
    assert (summary.images, summary.groups, summary.cells) == (images, groups, cells)
    assert len(summary.unusable) == unusable
