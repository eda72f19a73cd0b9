"""Every method on networks so small that its map can be written down by hand."""

from __future__ import annotations

import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sgcldff_core.errors import ConfigError
from sgcldff_core.explain import METHODS, Subject, class_activation, class_evidence, explain_subject, find_method

# Two channels on 2 x 2 pixels. The score is 2 a - b at the top left pixel and 3 b at the bottom right one.
A = torch.tensor([[[1.0, 2.0], [0.0, 4.0]], [[3.0, 0.0], [1.0, 2.0]]])
WEIGHT = torch.tensor([[[2.0, 0.0], [0.0, 0.0]], [[-1.0, 0.0], [0.0, 3.0]]])


def linear(maps: Tensor, rows: Tensor) -> Tensor:
    return (maps * WEIGHT).sum((1, 2, 3))


def subject(activation: Tensor = A[None], patch: int = 1) -> Subject:
    return Subject(activation, linear, torch.zeros(activation.shape[1]), patch)


def test_grad_cam_by_hand() -> None:
    # Mean gradients 2/4 and (-1 + 3)/4.
    torch.testing.assert_close(find_method("gradcam").compute(subject())[0], 0.5 * A[0] + 0.5 * A[1])


def test_the_gradient_of_each_cell_is_its_own() -> None:
    """However many are followed back together: cell i is scored by i + 1 times its squares."""
    maps = torch.arange(5 * 2 * 2 * 3, dtype=torch.float32).view(5, 2, 2, 3)
    squares = Subject(maps, lambda some, rows: (rows + 1) * (some**2).sum((1, 2, 3)), torch.zeros(2))
    times = torch.arange(1, 6)[:, None, None, None]
    torch.testing.assert_close(squares.gradient(), 2 * times * maps)


def test_grad_cam_plus_plus_by_hand() -> None:
    # S = 7 and 6. Channel a: g = 2: 4 / (8 + 7 * 8) * 2 = 1/8.
    # Channel b: g = -1: no positive gradient; g = 3: 9 / (18 + 6 * 27) * 3 = 0.15.
    torch.testing.assert_close(find_method("gradcam++").compute(subject())[0], 0.125 * A[0] + 0.15 * A[1])


def test_hires_cam_by_hand() -> None:
    # Place by place: 2 * 1 - 1 * 3 = -1 at the top left, 3 * 2 = 6 at the bottom right, nothing elsewhere.
    torch.testing.assert_close(find_method("hirescam").compute(subject())[0], torch.tensor([[0.0, 0.0], [0.0, 6.0]]))


def test_eigen_cam_by_hand() -> None:
    # Both channels are multiples of one pattern, 3 : 4: the first singular vector is (0.6, 0.8).
    pattern = torch.tensor([[1.0, 0.0], [2.0, 5.0]])
    both = torch.stack([3 * pattern, 4 * pattern])[None]
    torch.testing.assert_close(find_method("eigencam").compute(subject(both))[0], 5 * pattern)
    torch.testing.assert_close(find_method("eigencam").compute(subject(-both))[0], 5 * pattern)


def test_eigen_cam_is_the_first_singular_vector() -> None:
    maps = torch.rand(3, 5, 4, 6, generator=torch.Generator().manual_seed(0))
    for one, found in zip(maps, find_method("eigencam").compute(subject(maps)), strict=True):
        left, size, _ = torch.linalg.svd(one.flatten(1).T, full_matrices=False)
        torch.testing.assert_close(found.flatten(), (left[:, 0] * size[0]).abs())


def test_score_cam_by_hand() -> None:
    # Channel a runs from 0 to 4: kept to 1/4, 1/2, 0, 1. y = 2 * 1/4 * 1 - 1/4 * 3 + 3 * 1 * 2 = 5.75.
    # Channel b runs from 0 to 3: kept to 1, 0, 1/3, 2/3. y = 2 * 1 - 3 + 3 * 2/3 * 2 = 3. The baseline scores 0.
    share = math.exp(5.75) / (math.exp(5.75) + math.exp(3))
    expected = share * A[0] + (1 - share) * A[1]
    torch.testing.assert_close(find_method("scorecam").compute(subject())[0], expected)


def test_score_cam_leaves_out_a_channel_that_is_the_same_everywhere() -> None:
    flat = torch.stack([A[0], torch.full((2, 2), 9.0)])[None]
    torch.testing.assert_close(find_method("scorecam").compute(subject(flat))[0], A[0])
    nothing = torch.ones(1, 2, 2, 2)
    assert not find_method("scorecam").compute(subject(nothing)).any()


def test_score_cam_fades_to_what_is_neutral() -> None:
    given = Subject(A[None], lambda maps, _: maps[:, 0, 1, 1] - maps[:, 1, 0, 1], torch.tensor([0.0, 1.0]))
    # Kept by a (1/4, 1/2, 0, 1): 4 - (1/2 * 0 + 1/2 * 1) = 3.5; by b (1, 0, 1/3, 2/3): 4 * 2/3 - 1 = 5/3; neutral: -1.
    share = math.exp(4.5) / (math.exp(4.5) + math.exp(8 / 3))
    torch.testing.assert_close(find_method("scorecam").compute(given)[0], share * A[0] + (1 - share) * A[1])


def test_occlusion_by_hand() -> None:
    pytest.importorskip("captum")
    # Covering one pixel takes away what it contributes: -1 at the top left (that helps), 6 at the bottom right.
    torch.testing.assert_close(find_method("occlusion").compute(subject())[0], torch.tensor([[0.0, 0.0], [0.0, 6.0]]))


def test_integrated_gradients_by_hand() -> None:
    pytest.importorskip("captum")
    # y = a^2 b at one pixel: along (t a, t b) the gradients give 2/3 of y to a and 1/3 to b, together y = 3.
    given = Subject(A[None], lambda maps, _: maps[:, 0, 0, 0] ** 2 * maps[:, 1, 0, 0], torch.zeros(2))
    found = find_method("integrated-gradients").compute(given)[0]
    torch.testing.assert_close(found, torch.tensor([[3.0, 0.0], [0.0, 0.0]]), rtol=1e-4, atol=1e-4)


class Plain(nn.Module):
    """A plain classifier: convolutions, global mean, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.ReLU()
        )
        self.linear = nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.features(x).mean((2, 3)))
        return logits

    def classify(self, fused: Tensor, cells: Tensor, nuclei: Tensor, image_of_cell: Tensor) -> tuple[Tensor, Tensor]:
        pooled = fused.mean((2, 3))
        return self.linear(pooled), pooled


def test_grad_cam_equals_that_of_captum() -> None:
    attr = pytest.importorskip("captum.attr")
    torch.manual_seed(0)
    model, images = Plain().eval(), torch.rand(5, 3, 16, 20)
    activation = model.features(images).detach()
    # The class that each channel speaks for most: something is left above 0.
    wanted = torch.einsum("kc,nc->nk", model.linear.weight, activation.mean((2, 3))).argmax(1)
    published = (
        attr.LayerGradCam(model, model.features).attribute(images, wanted, relu_attributions=True)[:, 0].detach()
    )

    def score(maps: Tensor, rows: Tensor) -> Tensor:
        logits: Tensor = model.classify(maps, maps, maps, rows)[0]
        return logits.gather(1, wanted[rows, None])[:, 0]

    own = find_method("gradcam").compute(Subject(activation, score, torch.zeros(12)))
    largest = published.amax((1, 2), keepdim=True)
    assert (largest > 0).all()
    torch.testing.assert_close(own / largest, published / largest, rtol=0, atol=1e-5)
    # What `predict --explain` shows is the same, scaled to a largest value of 1.
    everywhere = torch.ones(5, *activation.shape[2:])
    _, weights = class_evidence(model, activation, everywhere, everywhere, wanted)  # type: ignore[arg-type]
    torch.testing.assert_close(class_activation(activation, weights), published / largest, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), cells=st.integers(1, 3))
def test_each_cell_is_explained_as_if_it_were_alone(name: str, seed: int, cells: int) -> None:
    """Maps run from 0 to 1, are of the map's size, and do not depend on what else is in the batch."""
    pytest.importorskip("captum")
    drawn = torch.Generator().manual_seed(seed)
    maps = torch.rand(cells, 2, 4, 3, generator=drawn)
    weights = torch.randn(cells, 2, 4, 3, generator=drawn)

    def score(x: Tensor, rows: Tensor) -> Tensor:
        return (x * weights[rows]).sum((1, 2, 3)).tanh()

    together = explain_subject(Subject(maps, score, torch.zeros(2), 2), name)
    assert together.shape == (cells, 4, 3)
    assert not together.requires_grad
    assert together.min() >= 0
    assert together.max() <= 1
    for row in range(cells):
        alone = Subject(
            maps[row : row + 1], lambda x, _, row=row: score(x, torch.full((len(x),), row)), torch.zeros(2), 2
        )
        torch.testing.assert_close(explain_subject(alone, name)[0], together[row], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.confined])
def test_confined_methods_are_zero_where_the_score_does_not_look(name: str) -> None:
    pytest.importorskip("captum")
    seen = torch.zeros(4, 4, dtype=torch.bool)
    seen[1:3, 1:3] = True
    given = Subject(torch.rand(1, 3, 4, 4), lambda x, _: (x * seen).sum((1, 2, 3)), torch.zeros(3), 1)
    found = find_method(name).compute(given)[0]
    assert found[seen].all()
    assert not found[~seen].any()


def test_grad_cam_is_not_confined() -> None:
    seen = torch.zeros(4, 4)
    seen[1, 1] = 1
    given = Subject(torch.ones(1, 1, 4, 4), lambda x, _: (x * seen).sum((1, 2, 3)), torch.zeros(1))
    assert find_method("gradcam").compute(given).all()


def test_an_unknown_method_lists_the_known() -> None:
    with pytest.raises(ConfigError, match=r"unknown method of explanation 'smoothgrad'; known are gradcam, "):
        find_method("smoothgrad")


def test_references_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    for name in ("occlusion", "integrated-gradients"):
        with pytest.raises(ConfigError, match=r"need the package captum: pip install 'napari-sgcldff\[explain\]'"):
            find_method(name).compute(subject())
