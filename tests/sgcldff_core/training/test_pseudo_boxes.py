"""Outlines from boxes: by colour, open where colours do not tell, and never beyond what boxes say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sgcldff_core.errors import DataError
from sgcldff_core.losses import UNKNOWN
from sgcldff_core.sample import Box, Raster, Sample
from sgcldff_core.smear import SmearSettings, make_smear
from sgcldff_core.training import PreparedSample, TrainingConfig, prepare_split
from sgcldff_core.training.prepared import UNSURE
from sgcldff_core.training.pseudo_boxes import outline_boxes
from sgcldff_core.training.stream import ViewStream


def _boxed(seed: int, stain: str) -> tuple[Sample, np.ndarray]:
    settings = SmearSettings(height=200, width=260, diameter=60, leukocytes=2, touching=0, cut=0, stain=stain)
    full = make_smear(seed, settings).to_sample("field")
    truth = full.read_labels()
    boxes = tuple(_around(truth == label, kind) for label, kind in sorted(full.classes.items()))
    return replace(full, labels=None, nucleus=None, classes=None, boxes=boxes), truth


@pytest.fixture(scope="module")
def boxed() -> tuple[Sample, np.ndarray]:
    """Two cells of which the boxes are known, and their true labels."""
    return _boxed(0, "crowded")


def _around(mask: np.ndarray, kind: str) -> Box:
    rows, columns = np.nonzero(mask)
    return Box(float(rows.min()), float(columns.min()), float(rows.max() + 1), float(columns.max() + 1), kind)


def _outlined(sample: Sample) -> Sample:
    (outlined,), failures = outline_boxes([sample])
    assert not failures
    return outlined


@pytest.mark.parametrize("stain", ["crowded", "rapid", "wright"])
def test_sure_pixels_are_right_and_little_is_left_open(stain: str) -> None:
    agreement, still_open = [], []
    for seed in range(3):
        sample, truth = _boxed(seed, stain)
        labels = _outlined(sample).read_labels()
        sure = labels != UNSURE
        agreement.append((((labels > 0) & (truth > 0)).sum()) / ((labels > 0) | ((truth > 0) & sure)).sum())
        still_open.append((~sure & (truth > 0)).sum() / (truth > 0).sum())
    assert np.mean(agreement) > 0.92
    assert np.mean(still_open) < 0.3


def test_cells_keep_the_classes_of_their_boxes(boxed: tuple[Sample, np.ndarray]) -> None:
    sample, truth = boxed
    outlined = _outlined(sample)
    assert outlined.classes == {i + 1: box.kind for i, box in enumerate(sample.boxes)}
    assert outlined.nucleus is None
    labels = outlined.read_labels()
    assert all((labels[truth == label] == label).mean() > 0.8 for label in (1, 2))


def test_beside_boxes_all_is_background_and_an_empty_box_stays_open(boxed: tuple[Sample, np.ndarray]) -> None:
    sample, truth = boxed
    bare = np.full((*truth.shape, 3), 220, np.uint8)
    labels = _outlined(replace(sample, image=Raster.of(bare))).read_labels()
    inside = np.zeros(truth.shape, bool)
    for box in sample.boxes:
        inside[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = True
    assert (labels[inside] == UNSURE).all()
    assert (labels[~inside] == 0).all()


def test_what_two_boxes_claim_is_left_open(boxed: tuple[Sample, np.ndarray]) -> None:
    sample, _ = boxed
    first = sample.boxes[0]
    twice = replace(sample, boxes=(first, replace(first, kind="leukocyte")))
    labels = _outlined(twice).read_labels()
    assert not (labels > 0).any()


def test_boxes_beyond_the_image_and_tiny_ones_do_no_harm(boxed: tuple[Sample, np.ndarray]) -> None:
    sample, truth = boxed
    boxes = (Box(-40, -40, -10, -10), Box(190, 250, 400, 500), Box(5, 5, 8, 8))
    labels = _outlined(replace(sample, boxes=boxes)).read_labels()
    assert labels.shape == truth.shape
    assert not (labels > 0).any()


def test_samples_with_masks_or_without_leukocytes_come_back_and_unreadable_ones_are_named(
    boxed: tuple[Sample, np.ndarray],
) -> None:
    sample, truth = boxed

    def broken(path: object) -> np.ndarray:
        raise DataError("gone.png", "cannot be read")

    masked = replace(sample, labels=Raster.of(truth))
    red = replace(sample, boxes=(Box(0, 0, 30, 30, "erythrocyte"),))
    unboxed = replace(sample, boxes=None)
    outlined, failures = outline_boxes([masked, red, unboxed, replace(sample, image=Raster(broken))])
    assert outlined == [masked, red, unboxed]
    assert "gone.png" in str(failures[0])


def test_training_learns_from_outlines_instead_of_boxes_where_asked(
    boxed: tuple[Sample, np.ndarray], small_config: TrainingConfig
) -> None:
    sample, _ = boxed
    (plain,) = prepare_split([sample], [], small_config).training
    (outlined,) = prepare_split([sample], [], replace(small_config, outline_boxes=True)).training
    assert plain.labels is None
    assert len(plain.boxes) == 2
    assert outlined.labels.max() == 2
    assert len(outlined.boxes) == 0


def test_masks_that_a_person_drew_keep_their_share_among_boxes_and_pseudo_labels(
    prepared: list[PreparedSample], small_config: TrainingConfig
) -> None:
    drawn, *others = (replace(s, source="real") for s in prepared)
    weak = [replace(s, labels=None, nucleus=None, class_of_label={}, image_class=UNKNOWN) for s in others[:6]]
    guessed = [replace(s, labels=np.where(s.labels == 0, UNSURE, s.labels)) for s in others[6:]]
    few = ViewStream([drawn, *weak, *guessed], replace(small_config, masked_share=0.5)).chances
    assert few[0] == pytest.approx(0.5)
    assert few.sum() == pytest.approx(1)
    as_they_come = ViewStream([drawn, *weak, *guessed], small_config).chances
    assert as_they_come[0] < 0.3
    enough = ViewStream([drawn, *weak, *guessed], replace(small_config, masked_share=1e-3)).chances
    assert enough == pytest.approx(as_they_come)
