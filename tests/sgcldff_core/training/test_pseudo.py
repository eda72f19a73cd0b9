"""Pseudo-labels: outlines where the teacher is sure, and nothing learned where it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sgcldff_core.errors import ConfigError, DataError
from sgcldff_core.model import Model, load_model
from sgcldff_core.sample import Box, Point, Raster, Sample
from sgcldff_core.smear import SmearSettings, make_smear
from sgcldff_core.training import prepare, typical_diameters
from sgcldff_core.training.prepared import MARGIN, UNSURE
from sgcldff_core.training.pseudo import PseudoSettings, label_weak_samples
from sgcldff_core.training.targets import make_targets
from sgcldff_core.training.views import Placement, render_view

DIAMETER = 60.0


@pytest.fixture(scope="module")
def teacher() -> Model:
    return load_model("leukocytes")


@pytest.fixture(scope="module")
def field() -> Sample:
    """Two cells, both far from the border."""
    settings = SmearSettings(
        height=200, width=260, diameter=DIAMETER, leukocytes=2, touching=0, cut=0, stain="wright", platelets=0
    )
    return make_smear(3, settings).to_sample("field")


def _bare(sample: Sample, **known) -> Sample:
    nothing = dict.fromkeys(("labels", "nucleus", "classes", "boxes", "points", "image_class"))
    return replace(sample, **(nothing | known))


def _labelled(sample: Sample, teacher: Model, **settings) -> Sample:
    (labelled,), failures = label_weak_samples([sample], teacher, PseudoSettings(**settings), diameter=DIAMETER)
    assert not failures
    return labelled


def _box(mask: np.ndarray, kind: str = "leukocyte") -> Box:
    rows, columns = np.nonzero(mask)
    return Box(rows.min(), columns.min(), rows.max() + 1, columns.max() + 1, kind)


def test_sure_pixels_are_right_and_the_rim_is_left_open(field: Sample, teacher: Model) -> None:
    labelled = _labelled(_bare(field), teacher)
    truth, labels = field.read_labels() > 0, labelled.read_labels()
    sure = labels != UNSURE
    assert ((labels > 0) == truth)[sure].mean() > 0.99
    assert 0 < (~sure).mean() < 0.1
    assert len(np.unique(labels[labels > 0])) == len(field.classes)
    assert not labelled.read_nucleus()[labels <= 0].any()
    cells = labels > 0
    assert (field.read_nucleus() == labelled.read_nucleus())[cells].mean() > 0.85


def test_a_box_names_its_cell_and_a_cell_without_a_box_is_background(field: Sample, teacher: Model) -> None:
    truth = field.read_labels()
    labelled = _labelled(_bare(field, boxes=(_box(truth == 1, "basophil"),)), teacher)
    labels = labelled.read_labels()
    (cell,) = np.unique(labels[labels > 0])
    assert (labels == cell)[truth == 1].mean() > 0.7
    assert labelled.classes == {cell: "basophil"}
    assert (labels[truth == 2] == 0).all()


def test_a_box_in_which_nothing_was_found_stays_open(field: Sample, teacher: Model) -> None:
    truth = field.read_labels()
    empty = np.argwhere(truth == 0)[0]
    box = Box(float(empty[0]), float(empty[1]), float(empty[0] + 20), float(empty[1] + 20))
    labelled = _labelled(_bare(field, boxes=(box, _box(truth == 1))), teacher)
    labels = labelled.read_labels()
    where = labels[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)]
    assert (where[truth[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] == 0] == UNSURE).all()
    assert labelled.boxes == (box, _box(truth == 1))
    (ready,), _ = prepare([labelled], teacher.config.classes, 48.0, typical_diameters([labelled]), "fused")
    assert len(ready.boxes) == 1, "the box with an outline is done with, the other still teaches as a box"


def test_where_somebody_looked_and_drew_no_box_all_is_background(field: Sample, teacher: Model) -> None:
    assert not _labelled(_bare(field, boxes=()), teacher).read_labels().any()


def test_points_choose_cells_and_those_that_led_to_an_outline_are_used_up(field: Sample, teacher: Model) -> None:
    truth = field.read_labels()
    (y, x), stray = np.argwhere(truth == 1).mean(0), Point(1.0, 1.0)
    labelled = _labelled(_bare(field, points=(Point(y, x, "monocyte"), stray)), teacher)
    labels = labelled.read_labels()
    assert list(labelled.classes.values()) == ["monocyte"]
    assert labelled.points == (stray,)
    assert (labels[truth == 2] <= 0).all()
    assert (labels[truth == 2] == UNSURE).mean() > 0.9


def test_two_points_in_one_cell_say_that_it_is_not_one(field: Sample, teacher: Model) -> None:
    y, x = np.argwhere(field.read_labels() == 1).mean(0)
    points = (Point(y, x), Point(y + 3, x))
    labelled = _labelled(_bare(field, points=points), teacher)
    assert labelled.points == points
    assert not (labelled.read_labels() > 0).any()


def test_an_image_in_which_nothing_sure_was_found_stays_unlabelled(field: Sample, teacher: Model) -> None:
    bare = _bare(field)
    assert _labelled(bare, teacher, firm=1.0) is bare
    blank = _bare(field, image=Raster.of(np.full((120, 120, 3), 230, np.uint8)))
    assert _labelled(blank, teacher) is blank


def test_a_class_is_believed_only_with_confidence_but_an_image_class_is(field: Sample, teacher: Model) -> None:
    assert _labelled(_bare(field), teacher, named=1.0).classes is None
    crop = make_smear(5, SmearSettings(height=130, width=130, diameter=DIAMETER, leukocytes=1, centred=True, cut=0))
    crop = _bare(crop.to_sample("crop"), image_class="basophil")
    assert set(_labelled(crop, teacher, named=1.0).classes.values()) == {"basophil"}


def test_masks_are_kept_and_unreadable_images_named(field: Sample, teacher: Model) -> None:
    def broken(path: object) -> np.ndarray:
        raise DataError("gone.png", "cannot be read")

    seen = []
    labelled, failures = label_weak_samples(
        [field, _bare(field, image=Raster(broken))], teacher, report=lambda done, of: seen.append((done, of))
    )
    assert labelled == [field]
    assert "gone.png" in str(failures[0])
    assert seen == [(1, 2), (2, 2)]


def test_nothing_is_learned_from_unsure_pixels() -> None:
    """They weigh nothing, count as no cell, and do not disturb the size of cells."""
    image = np.full((96, 96, 3), 200, np.uint8)
    labels = np.zeros((96, 96), np.int32)
    labels[20:70, 20:70] = UNSURE
    labels[28:62, 28:62] = 1
    sample = Sample(name="s", image=Raster.of(image), source="s", group="s", labels=Raster.of(labels))
    assert typical_diameters([sample])["s"] == pytest.approx(34 * 2 / np.sqrt(np.pi), rel=0.01)
    (ready,), _ = prepare([sample], ["neutrophil"], 48.0, {"s": 48.0 * MARGIN}, "fused")
    view = render_view(ready, Placement((48, 48), 1.0, 0.0, False), 96)
    targets = make_targets([view], [1.0], 48.0)
    unsure = torch.from_numpy(labels == UNSURE)
    assert (targets.cell_weight[0, 0][unsure] == 0).all()
    assert (targets.cell_weight[0, 0][~unsure] > 0).all()
    assert torch.equal(targets.cell[0, 0] > 0, torch.from_numpy(labels == 1))
    assert torch.equal(targets.attention[0, 0][unsure], view.prior[0][unsure])
    assert len(targets.class_of_cell) == 1


@pytest.mark.parametrize(
    ("settings", "problem"),
    [({"low": 0.9}, "0 < low <= high < 1"), ({"firm": 0.0}, "firm must be above 0"), ({"in_box": 2.0}, "in_box")],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        PseudoSettings(**settings)
