"""The robust class loss: values by hand, its two limits, and what it is for."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sgcldff_core.losses.classification import ClassLoss, generalised_cross_entropy

QUARTER = torch.tensor([[0.0, math.log(3)]])  # probabilities 1/4 and 3/4


@pytest.mark.parametrize(("q", "value"), [(0.0, math.log(4)), (0.5, 1.0), (1.0, 0.75)])
def test_by_hand(q: float, value: float) -> None:
    """(1 - p^q) / q at p = 1/4: -ln p, (1 - 1/2) / 0.5 and 1 - p."""
    assert generalised_cross_entropy(QUARTER, torch.tensor([0]), q).item() == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_towards_zero_it_is_cross_entropy_value_and_gradient(smoothing: float) -> None:
    torch.manual_seed(0)
    logits, classes = 8 * torch.randn(50, 5), torch.arange(50) % 5
    one, other = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    near = generalised_cross_entropy(one, classes, 1e-5, smoothing)
    plain = F.cross_entropy(other, classes, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(near, plain, rtol=1e-3, atol=1e-4)
    near.sum().backward()
    plain.sum().backward()
    torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4)


def test_the_pull_of_a_cell_is_weighed_by_the_probability_of_its_label() -> None:
    plain, robust = QUARTER.clone().requires_grad_(), QUARTER.clone().requires_grad_()
    generalised_cross_entropy(plain, torch.tensor([0]), 0.0).sum().backward()
    generalised_cross_entropy(robust, torch.tensor([0]), 0.5).sum().backward()
    torch.testing.assert_close(robust.grad, plain.grad * 0.25**0.5)


def test_absurd_logits_stay_finite() -> None:
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    loss = generalised_cross_entropy(logits, torch.tensor([1, 1]), 0.7)
    assert loss.tolist() == pytest.approx([1 / 0.7, 0.0])
    loss.sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_weights_by_class_hold_for_it_too() -> None:
    loss = ClassLoss([1, 2, 0], "effective", 0.5, 0.0, robust_q=1.0)
    value = loss(torch.zeros(1, 3), torch.tensor([1]), torch.tensor([0]), 1)
    assert value.item() == pytest.approx(0.8 * (1 - 1 / 3), rel=1e-5)


def _blobs(cells: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw cells of four classes, normally distributed each around a corner of a simplex, in 20 dimensions."""
    classes = torch.randint(4, (cells,), generator=generator)
    centres = F.one_hot(classes, 4).float() * 3
    return torch.cat([centres, torch.zeros(cells, 16)], 1) + torch.randn(cells, 20, generator=generator), classes


def _accuracy(robust_q: float, seed: int) -> float:
    """Train on cells of which one in five has a wrong label, and judge on cells with right ones."""
    generator = torch.Generator().manual_seed(seed)
    features, classes = _blobs(300, generator)
    wrong = torch.rand(300, generator=generator) < 0.2
    labels = torch.where(wrong, (classes + torch.randint(1, 4, (300,), generator=generator)) % 4, classes)
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 4))
    loss = ClassLoss([75] * 4, "none", 0.99, 0.0, robust_q)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(150):
        optimizer.zero_grad()
        loss(network(features), labels, torch.arange(300), 300).backward()
        optimizer.step()
    unseen, true = _blobs(2000, generator)
    with torch.no_grad():
        return (network(unseen).argmax(1) == true).float().mean().item()


def test_one_wrong_label_in_five_hurts_less_with_it() -> None:
    plain, robust = ([_accuracy(q, seed) for seed in range(3)] for q in (0.0, 0.7))
    assert sum(robust) / 3 > sum(plain) / 3 + 0.05


def test_rare_classes_are_pulled_for_while_it_is_not_in_force() -> None:
    """From the first step on it lets go of all that look like the commonest class, and never learns another."""
    logits = torch.tensor([[6.0, 0.0], [6.0, 0.0]], requires_grad=True)
    loss = ClassLoss([90, 10], "none", 0.99, 0.0, robust_q=0.7)
    pulls = []
    for robust in (0.0, 1.0):
        (pull,) = torch.autograd.grad(loss(logits, torch.tensor([0, 1]), torch.arange(2), 2, robust), logits)
        pulls.append(float(pull[1, 1].abs()))
    assert pulls[0] == pytest.approx(0.5 * torch.tensor(6.0).sigmoid().item(), rel=1e-4)
    assert pulls[1] < 0.02 * pulls[0]
