"""Losses against values worked out by hand, and that unknown annotation teaches nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from sgcldff_core.errors import ConfigError
from sgcldff_core.losses import UNKNOWN, LossConfig, MultiTaskLoss, Targets
from sgcldff_core.losses.classification import CentreLoss, ClassLoss, effective_number_weights
from sgcldff_core.losses.multitask import PARTS
from sgcldff_core.losses.saliency import alignment_loss, background_suppression, cam_alignment
from sgcldff_core.losses.segmentation import box_supervision, distance_loss, mask_loss
from sgcldff_core.model import ModelConfig, build_network


def test_mask_loss_by_hand() -> None:
    """Four pixels at probability 1/2, one of them cell: BCE is ln 2, Dice is 1 - 2 * 0.5 / (2 + 1)."""
    logits, target = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, 0], [0, 0]]]])
    loss = mask_loss(logits, target, torch.ones_like(target))
    assert loss.item() == pytest.approx(math.log(2) + 1 - 1 / 3, abs=1e-6)


def test_mask_loss_without_foreground_is_cross_entropy_alone() -> None:
    zeros = torch.zeros(1, 1, 2, 2)
    assert mask_loss(zeros, zeros, torch.ones_like(zeros)).item() == pytest.approx(math.log(2))


def test_unknown_pixels_teach_nothing() -> None:
    logits = torch.randn(2, 1, 4, 4, requires_grad=True)
    weight = torch.ones(2, 1, 4, 4)
    weight[:, :, :2] = 0
    mask_loss(logits, torch.ones(2, 1, 4, 4), weight).backward()
    assert (logits.grad[:, :, :2] == 0).all()
    assert (logits.grad[:, :, 2:] != 0).all()


def test_an_image_that_knows_nothing_adds_zero_and_still_counts() -> None:
    """Otherwise the mean over processes would differ from the mean over one batch."""
    logits, target, weight = torch.randn(1, 1, 4, 4), torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4)
    alone = mask_loss(logits, target, weight)
    beside = mask_loss(logits.repeat(2, 1, 1, 1), target.repeat(2, 1, 1, 1), torch.cat([weight, 0 * weight]))
    assert beside.item() == pytest.approx(alone.item() / 2)


def test_distance_loss_gives_cells_and_background_an_equal_say() -> None:
    """One wrong pixel of one cell pixel costs as much as all of 99 background pixels being as wrong."""
    target = torch.zeros(1, 1, 10, 10)
    target[..., 0, 0] = 1
    right_cell, wrong_cell = torch.full_like(target, 20.0), torch.full_like(target, -20.0)
    ones = torch.ones_like(target)
    assert distance_loss(wrong_cell, target, ones).item() == pytest.approx(
        distance_loss(right_cell, target, ones).item()
    )


def test_box_supervision_wants_the_box_filled_side_to_side() -> None:
    prior = torch.full((1, 1, 16, 16), 0.4)
    box, image = torch.tensor([[4.0, 4, 12, 12]]), torch.tensor([0])
    cross = torch.full((1, 1, 16, 16), -6.0)
    cross[..., 8, 4:12] = cross[..., 4:12, 8] = 6.0
    empty, dot = torch.full_like(cross, -6.0), torch.full_like(cross, -6.0)
    dot[..., 8, 8] = 6.0
    filled, missed, small = (box_supervision(x, prior, box, image).item() for x in (cross, empty, dot))
    assert filled < small < missed


def test_box_supervision_outside_the_box_is_silent() -> None:
    logits = torch.zeros(1, 1, 16, 16, requires_grad=True)
    box_supervision(logits, torch.rand(1, 1, 16, 16), torch.tensor([[4.0, 4, 12, 12]]), torch.tensor([0])).backward()
    outside = torch.ones(16, 16, dtype=torch.bool)
    outside[4:12, 4:12] = False
    assert (logits.grad[0, 0][outside] == 0).all()


def test_effective_number_by_hand() -> None:
    """(1 - b) / (1 - b^n) for n = 1 and 2 at b = 0.5 is 1 and 2/3; the mean is brought to one."""
    weights = effective_number_weights([1, 2, 0], beta=0.5)
    assert weights.tolist() == pytest.approx([1.2, 0.8, 0.0])


def test_effective_number_refuses_beta_of_one() -> None:
    with pytest.raises(ConfigError, match=r"beta of the effective number must be in \[0, 1\)"):
        effective_number_weights([1, 2], beta=1.0)


def test_class_loss_is_a_mean_over_images_of_means_over_cells() -> None:
    logits, zero = torch.tensor([[2.0, 0], [0, 0], [0, 3]]), torch.tensor
    loss = ClassLoss([1, 1], "none", 0.99, 0.0)(logits, zero([0, 1, 0]), zero([0, 0, 1]), images=2)
    each = F.cross_entropy(logits, zero([0, 1, 0]), reduction="none")
    assert loss.item() == pytest.approx(((each[0] + each[1]) / 2 + each[2]).item() / 2)


def test_a_cell_of_unknown_class_is_left_out() -> None:
    loss = ClassLoss([1, 1], "effective", 0.99, 0.1)
    logits = torch.randn(2, 2)
    known, image = torch.tensor([1, UNKNOWN]), torch.tensor([0, 0])
    assert loss(logits, known, image, 1).item() == pytest.approx(loss(logits[:1], known[:1], image[:1], 1).item())


def test_logit_adjustment_favours_the_rare_class() -> None:
    """With equal logits the rare class must end up with the larger pull."""
    loss = ClassLoss([90, 10], "logit_adjustment", 0.99, 0.0)
    even, image = torch.zeros(1, 2), torch.tensor([0])
    common, rare = (loss(even, torch.tensor([c]), image, 1).item() for c in (0, 1))
    assert common == pytest.approx(-math.log(0.9), abs=1e-5)
    assert rare == pytest.approx(-math.log(0.1), abs=1e-5)


def test_an_unknown_balance_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown class balance 'inverse'"):
        ClassLoss([1, 1], "inverse", 0.99, 0.0)


def test_centre_loss_by_hand() -> None:
    loss = CentreLoss(2, 2)
    with torch.no_grad():
        loss.centres[:] = torch.tensor([[0.0, 0], [1, 1]])
    value = loss(torch.tensor([[2.0, 0], [1, 1]]), torch.tensor([0, 1]), torch.tensor([0, 1]), 2)
    assert value.item() == pytest.approx((4 / 2 / 2 + 0) / 2)


def _fused_at(where: torch.Tensor) -> torch.Tensor:
    return where[None, None].repeat(1, 4, 1, 1)


def test_alignment_is_zero_on_the_mask_and_one_beside_it() -> None:
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., :8, :8] = 1
    on, off = torch.zeros(4, 4), torch.zeros(4, 4)
    on[:2, :2], off[2:, 2:] = 3.0, 3.0
    assert alignment_loss(_fused_at(on), mask).item() == pytest.approx(0, abs=1e-5)
    assert alignment_loss(_fused_at(off), mask).item() == pytest.approx(1, abs=1e-5)
    assert alignment_loss(_fused_at(on), 0 * mask).item() == 0


def test_background_suppression_is_the_share_outside() -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., :8, :8] = 1
    seen = torch.zeros(8, 8)
    seen[0, 0], seen[7, 7] = 3.0, 1.0
    assert background_suppression(_fused_at(seen), mask, torch.tensor([True])).item() == pytest.approx(0.25)
    assert background_suppression(_fused_at(seen), mask, torch.tensor([False])).item() == 0


def test_cam_alignment_pulls_evidence_into_the_cell() -> None:
    """Following its gradient raises the share of Grad-CAM's energy that lies in the cell."""
    torch.manual_seed(0)
    fused = torch.rand(1, 8, 8, 8, requires_grad=True)
    head = torch.nn.Linear(8, 2)
    cell = torch.zeros(1, 8, 8)
    cell[:, 2:5, 2:5] = 1

    def outside() -> torch.Tensor:
        logits = head((fused[0] * cell).sum((1, 2))[None] / cell.sum())
        return cam_alignment(logits, torch.tensor([0]), fused, cell, torch.tensor([0]), 1)

    before = outside()
    optimizer = torch.optim.Adam([fused], lr=0.05)
    for _ in range(40):
        optimizer.zero_grad()
        outside().backward()
        optimizer.step()
    assert outside().item() < 0.7 * before.item()


def _targets(images: int = 2, size: int = 64) -> Targets:
    cell = torch.zeros(images, 1, size, size)
    cell[:, :, 16:40, 16:40] = 1
    pool = F.avg_pool2d(cell, 4)[:, 0]
    ones = torch.ones_like(cell)
    return Targets(
        cell=cell,
        nucleus=cell,
        distance=cell,
        cell_weight=ones,
        nucleus_weight=ones,
        guide=torch.rand(images, 1, size, size),
        attention=cell,
        outlined=torch.ones(images, dtype=torch.bool),
        pool_cell=pool,
        pool_nucleus=pool,
        image_of_cell=torch.arange(images),
        class_of_cell=torch.arange(images) % 2,
        masked=torch.ones(images, dtype=torch.bool),
        box=torch.tensor([[40.0, 40, 60, 60]]),
        image_of_box=torch.tensor([0]),
    )


@pytest.fixture(scope="module")
def passed():
    torch.manual_seed(0)
    network = build_network(ModelConfig(dropout=0.0))
    prior = torch.rand(2, 1, 64, 64)
    output = network(torch.rand(2, 3, 64, 64), prior)
    targets = _targets()
    logits, features = network.classify(output.fused, targets.pool_cell, targets.pool_nucleus, targets.image_of_cell)
    return output, logits, features, targets


def test_every_part_is_returned_by_name_and_can_be_switched_off(passed) -> None:
    every = LossConfig(centre=0.01)
    total, parts = MultiTaskLoss(every, [5] * 5, 384)(*passed)
    assert set(parts) == set(PARTS)
    assert total.item() == pytest.approx(sum(getattr(every, p) * v.item() for p, v in parts.items()), rel=1e-5)
    for part in PARTS:
        _, left = MultiTaskLoss(replace(every, **{part: 0.0}), [5] * 5, 384)(*passed)
        assert set(left) == set(PARTS) - {part}


def test_saliency_parts_wait_for_their_warm_up(passed) -> None:
    _, parts = MultiTaskLoss(LossConfig(), [5] * 5, 384)(*passed, saliency=0.0)
    assert not {"alignment", "suppression", "cam"} & set(parts)


def test_learned_weights_cannot_silence_a_part(passed) -> None:
    """Log variances are clamped, so that even an absurd one leaves e^-3 of the loss."""
    loss = MultiTaskLoss(LossConfig(learned_weights=True), [5] * 5, 384)
    with torch.no_grad():
        loss.log_variance += 1e6
    total, parts = loss(*passed)
    config = LossConfig()
    expected = sum(math.exp(-3) * getattr(config, p) * v.item() + 1.5 for p, v in parts.items())
    assert total.item() == pytest.approx(expected, rel=1e-4)


def test_a_batch_without_cells_leaves_no_parameter_without_a_gradient() -> None:
    """Distributed training waits for every gradient, whatever one process happens to draw."""
    network = build_network(ModelConfig(dropout=0.0))
    loss = MultiTaskLoss(LossConfig(centre=0.1), [5] * 5, 384)
    output = network(torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64))
    full = _targets()
    none = torch.zeros(0, dtype=torch.long)
    targets = replace(
        full, pool_cell=full.pool_cell[:0], pool_nucleus=full.pool_nucleus[:0], image_of_cell=none, class_of_cell=none
    )
    logits, features = network.classify(output.fused, targets.pool_cell, targets.pool_nucleus, none)
    total, _ = loss(output, logits, features, targets)
    total.backward()
    without = [n for m in (network, loss) for n, p in m.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_negative_weights_and_absurd_smoothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="loss weight box must not be negative"):
        LossConfig(box=-1)
    with pytest.raises(ConfigError, match="label smoothing"):
        LossConfig(smoothing=1.0)
    with pytest.raises(ConfigError, match=r"robust_q must be between 0 \(cross-entropy\) and 1"):
        LossConfig(robust_q=1.1)
