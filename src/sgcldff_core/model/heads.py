"""What is read from the fused map: where cells are, and what each of them is."""

from __future__ import annotations

import torch
from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from sgcldff_core.model.fusion import resize_to

__all__ = ["ClassificationHead", "SegmentationHead"]


class SegmentationHead(nn.Module):
    """Leukocyte, nucleus and centre distance at stride 2, upsampled to the input.

    Parameters
    ----------
    width : int
        Channels of the fused map.
    stem : int
        Channels of the stem's map, which sharpens outlines; 0 to go without it.
    detail : int
        Channels at stride 2.
    """

    def __init__(self, width: int, stem: int, detail: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(width, detail, 1)
        self.stem = nn.Conv2d(stem, detail, 1) if stem else None
        self.refine = nn.Sequential(
            LayerNorm2d(detail), nn.ReLU(), nn.Conv2d(detail, detail, 3, padding=1), LayerNorm2d(detail), nn.ReLU()
        )
        self.out = nn.Conv2d(detail, 3, 1)
        nn.init.constant_(self.out.get_parameter("bias"), -2.0)  # most pixels are background: start there

    def forward(self, fused: Tensor, stem: Tensor) -> Tensor:
        """Return (B, 3, H, W) logits: cell, nucleus, distance.

        Parameters
        ----------
        fused : Tensor, shape (B, C, H / 4, W / 4)
            The fused map.
        stem : Tensor, shape (B, C_stem, H / 2, W / 2)
            The stem's map, for fine outlines.
        """
        x = resize_to(self.reduce(fused), stem)
        if self.stem is not None:
            x = x + self.stem(stem)
        logits = self.out(self.refine(x))
        return F.interpolate(logits, scale_factor=2.0, mode="bilinear", align_corners=False)


class ClassificationHead(nn.Module):
    """Pools the fused map inside each cell and inside its nucleus, and names the cell.

    One head serves crops, fields and slides, because it never looks at the image as a whole.
    Texture and lobes of the nucleus and granules of the cytoplasm speak separately: a mean over the
    cell alone would drown one in the other.

    Parameters
    ----------
    width : int
        Channels of the fused map.
    embedding : int
        Channels that are pooled; a cell's feature vector has twice as many.
    classes : int
        Number of logits.
    dropout : float
        Before the last layer.
    """

    def __init__(self, width: int, embedding: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Conv2d(width, embedding, 1), nn.GELU())
        self.norm = nn.LayerNorm(2 * embedding)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(2 * embedding, classes)

    def forward(self, fused: Tensor, cells: Tensor, nuclei: Tensor, image_of_cell: Tensor) -> tuple[Tensor, Tensor]:
        """Name cells.

        Parameters
        ----------
        fused : Tensor
            (B, width, h, w).
        cells, nuclei : Tensor
            (N, h, w) soft masks in [0, 1] of each cell and of its nucleus, at the map's size.
            A cell whose nucleus mask is empty is pooled over the whole cell instead.
        image_of_cell : Tensor
            (N,) long, which of the B images each cell is in.

        Returns
        -------
        logits : Tensor
            (N, classes).
        features : Tensor
            (N, 2 * embedding), before the last layer.
        """
        embedded = self.embed(fused)
        present = nuclei.flatten(1).sum(1) > 0.5
        nuclei = torch.where(present[:, None, None], nuclei, cells)
        pooled = [_masked_means(embedded, masks, image_of_cell) for masks in (cells, nuclei)]
        features = self.norm(torch.cat(pooled, 1))
        return self.linear(self.dropout(features)), features


def _masked_means(x: Tensor, masks: Tensor, image_of_mask: Tensor) -> Tensor:
    # One product for the whole batch, each image's masks in rows of their own: to take the images
    # one by one, or the map of each cell, costs a copy of the map each, and one more on the way back.
    images, count = len(x), len(masks)
    order = image_of_mask.argsort(stable=True)
    per_image = torch.bincount(image_of_mask, minlength=images)
    first = per_image.cumsum(0) - per_image
    row = torch.empty_like(order)
    row[order] = torch.arange(count, device=order.device) - first[image_of_mask[order]]
    weights = masks.flatten(1)
    weights = weights / weights.sum(1, keepdim=True).clamp_min(1e-4)
    rows = weights.new_zeros(images, int(per_image.max()), weights.shape[1])
    rows = rows.index_put((image_of_mask, row), weights)
    # Without a cell this is a product with nothing, and the map stays in the graph: distributed
    # training waits for its gradient.
    return torch.bmm(rows, x.flatten(2).transpose(1, 2))[image_of_mask, row]
