"""Any array as OME-Zarr, part by part, with its coarser levels."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from sgcldff_core.datasets.ome_zarr import create_levels, level_shapes, load_zarr, multiscales
from sgcldff_core.datasets.pyramids import Level, Pyramid

__all__ = ["write_ome_zarr"]

_PART = 1024  # px: an even multiple of the side of a chunk


def write_ome_zarr(image: Any, path: Path | str) -> None:
    """Write an image as OME-Zarr 0.5; no more than a part of it is held in memory.

    Parameters
    ----------
    image : array
        (H, W), (H, W, 3) or (3, H, W), of numpy, dask or zarr; read part by part.
    path : Path or str
        A folder, by custom ``*.ome.zarr``; it appears whole or not at all, in place of an older one.

    Raises
    ------
    FormatError
        If it is no such array.
    ConfigError
        If zarr is not installed.
    """
    path = Path(path)
    (source,) = Pyramid.of_arrays(image).levels
    draft = path.with_name(f".{path.name}-draft")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        group = load_zarr().open_group(str(draft), mode="w", zarr_format=3)
        levels = create_levels(group, source.shape, np.uint8, channels=3)
        _fill(levels[0], source, shrink=1)
        for fine, coarse in pairwise(levels):
            _fill(coarse, Level(fine, "cyx"), shrink=2)
        group.attrs.update(multiscales(path.name.split(".")[0], level_shapes(source.shape), channels=True))
        shutil.rmtree(path, ignore_errors=True)
        draft.replace(path)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _fill(target: Any, source: Level, shrink: int) -> None:
    height, width = target.shape[1:]
    for y in range(0, height, _PART):
        for x in range(0, width, _PART):
            y1, x1 = min(y + _PART, height), min(x + _PART, width)
            box = (shrink * y, shrink * x, min(shrink * y1, source.shape[0]), min(shrink * x1, source.shape[1]))
            part = source.read(box)
            if shrink > 1:
                # An odd last row or column stands for itself.
                odd = [(0, shrink * (b - a) - n) for a, b, n in zip((y, x), (y1, x1), part.shape, strict=False)]
                blocks = np.pad(part, [*odd, (0, 0)], mode="edge")
                blocks = blocks.reshape(y1 - y, shrink, x1 - x, shrink, 3)
                part = np.rint(blocks.mean((1, 3), dtype=np.float32)).astype(np.uint8)
            target[:, y:y1, x:x1] = np.moveaxis(part, -1, 0)
