"""Grad-CAM against hand-computed values, and on the real head."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sgcldff_core.explain import class_activation, class_evidence
from sgcldff_core.model import ModelConfig, build_network


class LinearHead(nn.Module):
    """Logits are linear in the mean of the map inside the cell: gradients are known by hand."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def classify(self, fused: Tensor, cells: Tensor, nuclei: Tensor, image_of_cell: Tensor) -> tuple[Tensor, Tensor]:
        pooled = (fused[image_of_cell] * cells[:, None]).sum((2, 3)) / cells.sum((1, 2))[:, None]
        return pooled @ self.weight.T, pooled


def test_weights_are_the_mean_gradient_of_the_class() -> None:
    head = LinearHead(torch.tensor([[1.0, -2.0], [0.5, 3.0]]))
    cells = torch.zeros(2, 4, 4)
    cells[0, 1:3, 1:3] = 1
    cells[1, 0, 0] = 0.5
    fused = torch.rand(2, 2, 4, 4)
    # d y_c / d A_k(x) is w_ck m(x) / sum(m); its mean over 16 pixels is w_ck / 16, whatever the mask.
    logits, weights = class_evidence(head, fused, cells, cells, torch.tensor([0, 1]))  # type: ignore[arg-type]
    torch.testing.assert_close(weights, torch.tensor([[1.0, -2.0], [0.5, 3.0]]) / 16)
    torch.testing.assert_close(logits[1], fused[1, :, 0, 0] @ head.weight.detach().T)
    assert not logits.requires_grad
    assert head.weight.grad is None


def test_the_most_probable_class_is_explained_unless_another_is_named() -> None:
    head = LinearHead(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
    fused = torch.ones(1, 2, 2, 2)
    _, best = class_evidence(head, fused, torch.ones(1, 2, 2), torch.ones(1, 2, 2))  # type: ignore[arg-type]
    _, other = class_evidence(head, fused, torch.ones(1, 2, 2), torch.ones(1, 2, 2), torch.tensor([0]))  # type: ignore[arg-type]
    torch.testing.assert_close(best, torch.tensor([[0.0, 0.5]]))
    torch.testing.assert_close(other, torch.tensor([[0.25, 0.0]]))


def test_maps_are_positive_evidence_scaled_to_one() -> None:
    fused = torch.zeros(2, 2, 2, 2)
    fused[:, 0] = torch.tensor([[1.0, 2.0], [0.0, 4.0]])
    fused[:, 1] = torch.tensor([[3.0, 0.0], [0.0, 0.0]])
    maps = class_activation(fused, torch.tensor([[1.0, -1.0], [-1.0, 0.0]]))
    torch.testing.assert_close(maps[0], torch.tensor([[0.0, 0.5], [0.0, 1.0]]))
    assert not maps[1].any()  # nothing speaks for it: zero, not NaN


def test_cells_do_not_influence_each_other() -> None:
    torch.manual_seed(0)
    network = build_network(ModelConfig()).eval()
    fused, cells, nuclei = torch.rand(3, 64, 12, 12), torch.rand(3, 12, 12), torch.rand(3, 12, 12)
    with torch.inference_mode():
        fused = fused + 0  # as it comes from a forward pass
    together = class_evidence(network, fused, cells, nuclei)
    for i in range(3):
        alone = class_evidence(network, fused[i : i + 1], cells[i : i + 1], nuclei[i : i + 1])
        torch.testing.assert_close(together[0][i], alone[0][0])
        torch.testing.assert_close(together[1][i], alone[1][0])
    assert all(p.grad is None for p in network.parameters())


def test_room_around_a_cell_changes_its_weights_by_a_factor_only() -> None:
    torch.manual_seed(0)
    network = build_network(ModelConfig()).eval()
    fused, cells = torch.rand(1, 64, 20, 20), torch.zeros(1, 20, 20)
    cells[:, 6:14, 6:14] = torch.rand(8, 8)
    _, wide = class_evidence(network, fused, cells, cells)
    _, tight = class_evidence(network, fused[..., 6:14, 6:14], cells[..., 6:14, 6:14], cells[..., 6:14, 6:14])
    torch.testing.assert_close(wide * (20 / 8) ** 2, tight, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("grad", [True, False])
def test_it_works_with_gradients_on_or_off(grad: bool) -> None:
    head = LinearHead(torch.eye(2))
    with torch.set_grad_enabled(grad):
        logits, weights = class_evidence(head, torch.ones(1, 2, 2, 2), torch.ones(1, 2, 2), torch.ones(1, 2, 2))  # type: ignore[arg-type]
    assert not weights.requires_grad
    assert not logits.requires_grad
