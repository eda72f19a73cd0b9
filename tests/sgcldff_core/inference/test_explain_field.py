"""Every cell of a field by any method: placement, windows, targets, levels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sgcldff_core.errors import ConfigError
from sgcldff_core.explain import METHODS, explain_subject
from sgcldff_core.inference.cell_subjects import cell_subjects
from sgcldff_core.inference.encoded_part import EncodedPart, parts_with_cells
from sgcldff_core.inference.explain_cell import explain_labels
from sgcldff_core.inference.explain_field import explain_field, joined_maps
from sgcldff_core.inference.neighbourhood import LabelledField
from sgcldff_core.model import Model, ModelConfig, build_network, load_model
from sgcldff_core.smear import Smear, SmearSettings, make_smear

SETTINGS = SmearSettings(height=200, width=240, diameter=70, leukocytes=3, touching=0, cut=0, stain="wright")


@pytest.fixture(scope="module")
def shipped() -> Model:
    return load_model()


@pytest.fixture(scope="module")
def smear() -> Smear:
    return make_smear(1, SETTINGS)


@pytest.fixture(scope="module")
def field(shipped: Model, smear: Smear) -> LabelledField:
    return LabelledField.of(np.asarray(smear.image), smear.labels, shipped, 70)


def test_maps_lie_on_their_cells(shipped: Model, smear: Smear) -> None:
    """Labels with gaps, maps of the right cells, none of which reaches into another."""
    labels = np.where(smear.labels > 0, 10 * smear.labels, 0)
    cells = explain_field(np.asarray(smear.image), labels, shipped, diameter=70)
    assert [c.label for c in cells] == [int(n) for n in np.unique(labels)[1:]]
    for cell in cells:
        part = labels[cell.window]
        assert cell.activation.shape == part.shape
        assert cell.activation.max() == 1
        assert not cell.activation[(part > 0) & (part != cell.label)].any()
        own = part == cell.label
        assert own[np.unravel_index(cell.activation.argmax(), own.shape)]
        assert cell.activation[own].mean() > 3 * cell.activation[~own].mean()
    whole = joined_maps(cells, labels.shape)
    assert whole.shape == labels.shape
    assert whole.max() == 1


def test_it_is_the_grad_cam_that_the_viewer_shows(shipped: Model, smear: Smear) -> None:
    """`explain_labels` sees the cell in a mirror too, so that the maps are alike, not equal."""
    image = np.asarray(smear.image)
    viewed = explain_labels(image, smear.labels, shipped, diameter=70)
    found = explain_field(image, smear.labels, shipped, diameter=70, kinds=[cell.named for cell in viewed])
    for one, other in zip(viewed, found, strict=True):
        assert one.window == other.window
        assert np.corrcoef(one.activation[one.named].ravel(), other.activation.ravel())[0, 1] > 0.8


def test_a_window_gives_the_map_of_the_whole_part(shipped: Model, field: LabelledField) -> None:
    """On the fused map only the head follows, so that the score is the same; so is the map, cut out."""
    ((window, cells),) = parts_with_cells(field, field.numbers.tolist())
    part = EncodedPart.of(shipped.network, field, window)
    (tight,) = cell_subjects(part, cells)
    (whole,) = cell_subjects(part, cells, whole=True)
    order = [whole.cells.index(cell) for cell in tight.cells]
    scores = [some.subject.score(some.subject.activation, some.subject.rows()).detach() for some in (tight, whole)]
    torch.testing.assert_close(scores[0], scores[1][order], rtol=1e-4, atol=1e-4)
    maps = [METHODS["gradcam"].compute(some.subject) for some in (tight, whole)]
    for row, (rows, columns) in enumerate(tight.windows):
        large = maps[1][order[row], rows.start // 4 : rows.stop // 4, columns.start // 4 : columns.stop // 4]
        factor = maps[0][row].max() / large.max()
        torch.testing.assert_close(maps[0][row], factor * large, rtol=1e-3, atol=1e-3 * float(maps[0][row].max()))


@pytest.mark.parametrize("level", [4, 8, 16, 32])
def test_levels_lead_to_the_same_score(shipped: Model, field: LabelledField, level: int) -> None:
    """Whole parts hold all that the fusion sees: scores are those of the fused map. Windows come close."""
    ((window, cells),) = parts_with_cells(field, field.numbers.tolist())
    part = EncodedPart.of(shipped.network, field, window)
    for target in ("class", "mask"):
        scores = []
        for given in ({}, {"level": level, "whole": True}, {"level": level}):
            kinds = dict.fromkeys(cells, 0)
            (some,) = cell_subjects(part, cells, target=target, classes=kinds, **given)  # type: ignore[arg-type]
            found = some.subject.score(some.subject.activation, some.subject.rows()).detach()
            scores.append(found[[some.cells.index(cell) for cell in cells]])
        torch.testing.assert_close(scores[0], scores[1], rtol=1e-3, atol=1e-3)
        assert (scores[0] - scores[2]).abs().max() < 1.5


@pytest.mark.parametrize("level", [None, 4, 32])
@pytest.mark.parametrize("target", ["class", "mask"])
def test_few_cells_at_a_time_have_the_gradients_of_all_at_once(
    shipped: Model, field: LabelledField, level: int | None, target: str
) -> None:
    """Nor does a cell's own class depend on the level at which it is explained."""
    ((window, cells),) = parts_with_cells(field, field.numbers.tolist())
    part = EncodedPart.of(shipped.network, field, window)
    (some,) = cell_subjects(part, cells, level=level, target=target)
    (fused,) = cell_subjects(part, cells)
    assert dict(zip(some.cells, some.classes, strict=True)) == dict(zip(fused.cells, fused.classes, strict=True))
    assert len(some.cells) == 3  # more than are followed back together
    together = some.subject.activation.clone().requires_grad_()
    (expected,) = torch.autograd.grad(some.subject.score(together, some.subject.rows()).sum(), together)
    assert expected.abs().amax((1, 2, 3)).min() > 0
    found = some.subject.gradient() / expected.abs().max()
    torch.testing.assert_close(found, expected / expected.abs().max(), rtol=0, atol=1e-5)


def test_the_mask_score_is_the_mean_logit_of_the_cell(shipped: Model, field: LabelledField) -> None:
    ((window, cells),) = parts_with_cells(field, field.numbers.tolist())
    part = EncodedPart.of(shipped.network, field, window)
    (some,) = cell_subjects(part, cells, target="mask", whole=True)
    scores = some.subject.score(some.subject.activation, some.subject.rows())
    for score, cell in zip(scores, some.cells, strict=True):
        torch.testing.assert_close(score.detach(), part.logits[0, 0][part.labels == cell].mean())


def test_the_class_changes_the_map_and_the_mask_has_another(shipped: Model, smear: Smear) -> None:
    image, count = np.asarray(smear.image), len(np.unique(smear.labels)) - 1
    maps = [
        explain_field(image, smear.labels, shipped, diameter=70, kinds=[kind] * count, target=target)[0].activation
        for kind, target in (("neutrophil", "class"), ("lymphocyte", "class"), ("neutrophil", "mask"))
    ]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not np.allclose(maps[a], maps[b], atol=0.05)


def test_the_image_itself_is_a_level_for_references(shipped: Model, smear: Smear) -> None:
    pytest.importorskip("captum")
    image = np.asarray(smear.image)[:100, :120]
    labels = smear.labels[:100, :120]
    if not labels.any():
        labels = smear.labels[-100:, -120:]
        image = np.asarray(smear.image)[-100:, -120:]
    cells = explain_field(image, labels, shipped, diameter=70, method="integrated-gradients", level=1)
    assert all(cell.activation.max() == 1 for cell in cells)
    with pytest.raises(ConfigError, match="gradcam looks at features, not at the image itself"):
        explain_field(image, labels, shipped, diameter=70, level=1)


@pytest.mark.parametrize("name", ["swin-tiny", "deeplabv3plus-mobilenetv2", "unet-efficientnet-lite0"])
def test_baselines_are_explained_like_ours(name: str, smear: Smear) -> None:
    """Their stems and deepest levels have other strides than ours."""
    pytest.importorskip("segmentation_models_pytorch")
    torch.manual_seed(0)
    config = ModelConfig(architecture=name)
    model = Model("random", config, build_network(config).eval())
    for level, target in ((None, "class"), (None, "mask"), (32, "class")):
        cells = explain_field(
            np.asarray(smear.image), smear.labels, model, diameter=110, level=level, target=target, method="gradcam++"
        )
        assert len(cells) == len(np.unique(smear.labels)) - 1
        assert all(np.isfinite(cell.activation).all() for cell in cells)
        # On a level with negative features, all that drawn weights say may speak against a class.
        assert level is not None or any(cell.activation.any() for cell in cells)


def test_parts_hold_their_cells_whole() -> None:
    """Every cell is in exactly one part, and as far from its cut sides as the tiling allows."""
    labels = np.zeros((600, 900), np.int32)
    for number, (y, x) in enumerate([(20, 30), (250, 300), (310, 310), (580, 880), (150, 600)], start=1):
        labels[max(y - 20, 0) : y + 20, max(x - 20, 0) : x + 20] = number
    nothing = np.zeros((600, 900, 3), np.uint8)
    field = LabelledField(nothing, np.zeros((600, 900), np.float32), labels, np.arange(1, 6), (1.0, 1.0))
    seen = []
    for (rows, columns), cells in parts_with_cells(field, [1, 2, 3, 4, 5], side=320):
        inside = labels[rows, columns]
        for cell in cells:
            assert (inside == cell).sum() == (labels == cell).sum()
        seen += cells
    assert sorted(seen) == [1, 2, 3, 4, 5]


def test_a_network_keeps_its_mode_and_gathers_no_gradient(smear: Smear) -> None:
    torch.manual_seed(0)
    config = ModelConfig(swin=False, width=32, cardinality=8, embedding=32)
    model = Model("random", config, build_network(config).train())
    explain_field(np.asarray(smear.image), smear.labels, model, diameter=70)
    assert model.network.training
    assert all(p.grad is None for p in model.network.parameters())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "smoothgrad"}, "unknown method"),
        ({"level": 5}, "level must be one of 4, 8, 16, 32 in this model, got 5"),
        ({"target": "nucleus"}, "target must be one of class, mask, got 'nucleus'"),
        ({"kinds": ["mast cell"]}, "expected a class of neutrophil"),
    ],
)
def test_what_does_not_exist_is_refused(shipped: Model, smear: Smear, given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        explain_field(np.asarray(smear.image), smear.labels, shipped, diameter=70, **given)  # type: ignore[arg-type]


def test_an_empty_field_has_no_cells(shipped: Model) -> None:
    nothing = np.full((64, 64, 3), 220, np.uint8)
    assert explain_field(nothing, np.zeros((64, 64), np.int32), shipped, diameter=40) == []


def test_maps_are_scaled(shipped: Model, field: LabelledField) -> None:
    ((window, cells),) = parts_with_cells(field, field.numbers.tolist())
    (some,) = cell_subjects(EncodedPart.of(shipped.network, field, window), cells, level=16)
    assert explain_subject(some.subject, "gradcam").amax((1, 2)).tolist() == [1.0] * len(cells)
