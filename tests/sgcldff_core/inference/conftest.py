"""A stand-in for the trained network that reads the truth from flat colours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F

from sgcldff_core.model import Model, ModelConfig, NetworkOutput

BACKGROUND, CYTOPLASM, NUCLEUS = (228, 222, 226), (172, 165, 205), (88, 60, 142)

Disc = tuple[float, float, float]
Draw = Callable[..., NDArray[np.uint8]]


class StainReader(nn.Module):
    """Cells are darker than the background, nuclei darker still; depth is the distance transform.

    The fused map holds the colours, so a cell's class depends on how much of it is nucleus.
    """

    mean: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1))
        self.dropout = nn.Dropout(0.9)  # a pass in training mode would be seen at once
        self.linear = nn.Linear(2, classes)
        with torch.no_grad():
            self.linear.weight.zero_()
            self.linear.weight[0, 1], self.linear.weight[1, 0] = 20.0, 20.0
            self.linear.bias.fill_(-9.0)
            self.linear.bias[0], self.linear.bias[1] = 0.0, 2.0

    def forward(self, image: Tensor, prior: Tensor) -> NetworkOutput:
        beyond = ((image - self.mean).abs().amax(1, keepdim=True) < 1e-6).float()
        red = image[:, :1] + beyond
        cell, nucleus = 60 * (0.78 - red), 60 * (0.5 - red)
        depth = torch.zeros_like(cell)
        for index, mask in enumerate((cell > 0)[:, 0].cpu().numpy()):
            pieces, count = ndimage.label(mask)
            inside = ndimage.distance_transform_edt(mask)
            deepest = ndimage.maximum(inside, pieces, np.arange(count + 1))
            depth[index, 0] = torch.as_tensor(inside / np.maximum(deepest, 1)[pieces])
        fused = F.avg_pool2d(torch.cat([(cell > 0).float() - (nucleus > 0).float(), (nucleus > 0).float()], 1), 4)
        fused = self.dropout(fused)
        return NetworkOutput(cell, nucleus, depth.clamp(1e-4, 1 - 1e-4).logit(), fused, (fused,))

    def classify(self, fused: Tensor, cells: Tensor, nuclei: Tensor, image_of_cell: Tensor) -> tuple[Tensor, Tensor]:
        pooled = (fused[image_of_cell] * cells[:, None]).sum((2, 3)) / cells.sum((1, 2))[:, None].clamp_min(1e-4)
        return self.linear(pooled), pooled


def read_stains() -> Model:
    """Make a model whose network reads flat colours: mostly nucleus is class 0, mostly cytoplasm class 1."""
    config = ModelConfig(canonical_diameter=40.0)
    network = StainReader(len(config.classes)).eval()
    return Model("stain-reader", config, network, calibration={"temperature": 2.0})  # type: ignore[arg-type]


@pytest.fixture
def stain_reader() -> Model:
    """A model whose network reads flat colours."""
    return read_stains()


@pytest.fixture
def draw() -> Draw:
    """Draw discs (y, x, radius) of cytoplasm, each with a nucleus of a share of its radius."""

    def _draw(shape: tuple[int, int], *discs: Disc, nucleus: float = 0.6) -> NDArray[np.uint8]:
        image = np.empty((*shape, 3), np.uint8)
        image[:] = BACKGROUND
        for share, colour in ((1.0, CYTOPLASM), (nucleus, NUCLEUS)):
            for y, x, radius in discs:
                image[disc_mask(shape, (y, x, share * radius))] = colour
        return image

    return _draw


def disc_mask(shape: tuple[int, int], disc: Disc) -> NDArray[np.bool_]:
    """Return the pixels whose centre is within a disc."""
    yy, xx = np.ogrid[: shape[0], : shape[1]]
    return np.hypot(yy - disc[0], xx - disc[1]) < disc[2]
