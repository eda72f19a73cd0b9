"""Fields of any size, in overlapping tiles whose maps are blended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError
from sgcldff_core.inference.forward import FieldMaps, run_network
from sgcldff_core.model import FUSED_STRIDE, STRIDE, Engine, SgcldffNetwork

__all__ = ["DEFAULT_TILE", "OVERLAP", "map_field", "tile_starts"]

DEFAULT_TILE = 640
"""Side of a tile in px at the canonical scale; a common field of view is one tile."""

OVERLAP = 128
"""Px that neighbouring tiles share: more than a cell, so that each cell is whole in some tile."""


def tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """Return where tiles begin along one side, evenly spread, at multiples of the network's stride.

    Parameters
    ----------
    length : int
        Of the side in px.
    tile, overlap : int
        In px, multiples of 32; neighbours share at least `overlap` less 32.

    Returns
    -------
    list of int
        Ascending, the first 0; the last tile reaches the end.
    """
    padded = -(-length // STRIDE) * STRIDE
    if padded <= tile:
        return [0]
    count = -(-(padded - overlap) // (tile - overlap))
    return [int(start) * STRIDE for start in np.rint(np.linspace(0, (padded - tile) // STRIDE, count))]


def map_field(
    network: SgcldffNetwork,
    image: NDArray[np.uint8],
    prior: NDArray[np.float32],
    *,
    tile: int = DEFAULT_TILE,
    mirror: tuple[bool, bool] = (False, False),
    engine: Engine | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FieldMaps:
    """Run the network over a field, tile by tile where it is larger than one tile.

    The network's own memory is bounded by the tile; the maps take 32 bytes a pixel.

    Parameters
    ----------
    network : SgcldffNetwork
        On any device.
    image : ndarray
        (H, W, 3) uint8 RGB at the canonical scale.
    prior : ndarray
        (H, W) float32 in [0, 1].
    tile : int
        Side of a tile in px, a multiple of 32 above twice `OVERLAP`.
    mirror : tuple of bool
        As for `run_network`; tiles stay where they are.
    engine : Engine, optional
        As for `run_network`.
    progress : callable, optional
        Called with tiles done and tiles in all.

    Returns
    -------
    FieldMaps
        Of the whole field, weighted means where tiles overlap.

    Raises
    ------
    ConfigError
        If `tile` is too small or no multiple of 32.
    """
    if tile % STRIDE or tile < 2 * OVERLAP + STRIDE:
        raise ConfigError(f"tile must be a multiple of {STRIDE} of at least {2 * OVERLAP + STRIDE} px, got {tile}")
    height, width = prior.shape
    corners = [(y, x) for y in tile_starts(height, tile, OVERLAP) for x in tile_starts(width, tile, OVERLAP)]
    if len(corners) == 1:
        maps = run_network(network, image, prior, mirror, engine=engine)
        if progress is not None:
            progress(1, 1)
        return maps
    sums: list[torch.Tensor] = []
    weights: list[torch.Tensor] = []
    for done, (y, x) in enumerate(corners, start=1):
        window = (slice(y, y + tile), slice(x, x + tile))
        part = run_network(network, image[window], prior[window], mirror, engine=engine)
        for index, (map_, stride) in enumerate(((part.logits, 1), (part.fused, FUSED_STRIDE))):
            if len(sums) <= index:
                size = (-(-height // stride), -(-width // stride))
                sums.append(map_.new_zeros(len(map_), *size))
                weights.append(map_.new_zeros(*size))
            weight = _ramp(map_.shape[-2], tile // stride, OVERLAP // stride, map_.device)[:, None]
            weight = weight * _ramp(map_.shape[-1], tile // stride, OVERLAP // stride, map_.device)
            window = (
                slice(y // stride, y // stride + map_.shape[-2]),
                slice(x // stride, x // stride + map_.shape[-1]),
            )
            sums[index][:, *window] += map_ * weight
            weights[index][window] += weight
        if progress is not None:
            progress(done, len(corners))
    return FieldMaps(*(total.div_(weight) for total, weight in zip(sums, weights, strict=True)))


def _ramp(length: int, tile: int, overlap: int, device: torch.device) -> torch.Tensor:
    # Rises from the rim, where the tile knows least of what is around, to 1 where it stands alone.
    position = torch.arange(length, device=device, dtype=torch.float32) + 0.5
    return torch.minimum(position, tile - position).clamp_max(overlap) / overlap
