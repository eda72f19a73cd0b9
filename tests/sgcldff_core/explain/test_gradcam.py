"""Grad-CAM against hand-computed values, and on the real head."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from sgcldff_core.explain import Look, class_activation, class_evidence, level_activation
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


class TwoLevels(nn.Module):
    """Fuses a fine and a coarse level by known factors; logits are linear in the mean inside the cell."""

    fine = torch.tensor([2.0, 0.0])
    coarse = torch.tensor([1.0, -3.0])
    weight = torch.tensor([1.0, -1.0])

    def fuse(self, levels: Sequence[Tensor], prior: Tensor) -> Tensor:
        a = (levels[0] * self.fine[:, None, None]).sum(1, keepdim=True)
        b = (levels[1] * self.coarse[:, None, None]).sum(1, keepdim=True)
        return (a + nn.functional.interpolate(b, scale_factor=2.0, mode="nearest")) * prior

    def classify(self, fused: Tensor, cells: Tensor, nuclei: Tensor, image_of_cell: Tensor) -> tuple[Tensor, Tensor]:
        pooled = (fused[:, 0] * cells).sum((1, 2)) / cells.sum((1, 2))
        return pooled[:, None] * self.weight, pooled[:, None]


def _look(fine: Tensor, coarse: Tensor, *, mirrored: bool = False) -> Look:
    turned = (-1,) if mirrored else ()
    levels = (fine.flip(turned)[None], coarse.flip(turned)[None])
    prior = torch.ones(1, 1, *fine.shape[-2:])
    return Look(levels, prior, TwoLevels().fuse(levels, prior), turned)


def test_evidence_is_followed_through_the_fusion_to_a_level() -> None:
    """By hand: d y / d A_k(x) on the coarse level is factor_k times the share of the cell under x."""
    fine, coarse = torch.rand(2, 4, 4), torch.tensor([[[1.0, 2.0], [3.0, 4.0]], [[0.5, 0.0], [0.0, 2.0]]])
    cell = torch.zeros(1, 4, 4)
    cell[0, :2, :2] = 1
    network, looks = TwoLevels(), [_look(fine, coarse)]

    def maps(level: int | None, kind: int) -> Tensor:
        (found,) = level_activation(network, looks, level, cell, cell, [[kind]])  # type: ignore[arg-type]
        return found[0]

    # The gradients of the coarse level are (1, -3) at the one pixel above the cell and 0 at three: means of 1/4, -3/4.
    torch.testing.assert_close(maps(1, 0), ((coarse[0] - 3 * coarse[1]) / 4).relu())
    torch.testing.assert_close(maps(1, 1), ((3 * coarse[1] - coarse[0]) / 4).relu())
    # The fine level: (2, 0) shared out over 4 of 16 pixels, mean 2/16.
    torch.testing.assert_close(maps(0, 0), 2 * fine[0] / 16)
    assert not maps(0, 1).any()
    # The fused map, whose weight is 1/16.
    torch.testing.assert_close(maps(None, 0), (looks[0].fused[0, 0] / 16).relu())


def test_looks_in_the_mirror_are_turned_back_and_joined() -> None:
    fine, coarse, cell = torch.rand(2, 4, 4), torch.rand(2, 2, 2), torch.rand(1, 4, 4)
    network = TwoLevels()
    for level in (None, 0, 1):
        (once,) = level_activation(network, [_look(fine, coarse)], level, cell, cell, [[0, 1]])  # type: ignore[arg-type]
        both = [_look(fine, coarse), _look(fine, coarse, mirrored=True)]
        (twice,) = level_activation(network, both, level, cell, cell, [[0, 1]])  # type: ignore[arg-type]
        torch.testing.assert_close(twice, once)


def test_on_the_fused_map_it_is_the_grad_cam_of_that_map() -> None:
    torch.manual_seed(0)
    network = build_network(ModelConfig()).eval()
    with torch.no_grad():
        out = network(torch.rand(1, 3, 64, 96), torch.rand(1, 1, 64, 96))
    cells, nuclei = torch.rand(2, 16, 24), torch.rand(2, 16, 24)
    for masks in (cells, nuclei):  # the second cell fills a corner of the map, of which no more is followed back
        masks[1, 5:] = masks[1, :, :17] = 0
    looks = [Look(out.levels, torch.rand(1, 1, 64, 96), out.fused)]
    logits, weights = class_evidence(network, out.fused.repeat(2, 1, 1, 1), cells, nuclei)
    expected = class_activation(out.fused.repeat(2, 1, 1, 1), weights)
    best = [[int(index)] for index in logits.argmax(1)]
    for found, wanted in zip(level_activation(network, looks, None, cells, nuclei, best), expected, strict=True):
        torch.testing.assert_close(found[0] / found.max(), wanted)
    assert all(p.grad is None for p in network.parameters())
    for level in range(4):
        for found in level_activation(network, looks, level, cells, nuclei, best):
            assert found.shape == (1, *out.levels[level].shape[-2:])
            assert found.max() > 0


def test_a_cell_without_a_pixel_on_the_fused_map_has_no_evidence() -> None:
    network = build_network(ModelConfig()).eval()
    with torch.no_grad():
        prior = torch.rand(1, 1, 64, 96)
        out = network(torch.rand(1, 3, 64, 96), prior)
    nothing = torch.zeros(1, 16, 24)
    (found,) = level_activation(network, [Look(out.levels, prior, out.fused)], None, nothing, nothing, [[0, 1]])
    assert found.shape == (2, 16, 24)
    assert not found.any()


def test_a_level_that_the_fusion_does_not_use_has_no_evidence() -> None:
    network = build_network(ModelConfig(fusion=False)).eval()
    with torch.no_grad():
        prior = torch.rand(1, 1, 64, 64)
        out = network(torch.rand(1, 3, 64, 64), prior)
    cell = torch.ones(1, 16, 16)
    shown = [
        next(level_activation(network, [Look(out.levels, prior, out.fused)], level, cell, cell, [[0]]))
        for level in range(4)
    ]
    assert [bool(found.any()) for found in shown[:3]] == [False] * 3
    torch.testing.assert_close(network.fuse(out.levels, prior), out.fused)
