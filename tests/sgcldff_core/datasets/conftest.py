"""Cells drawn so simply that every pixel of their labels is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Disc = tuple[int, int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Pixels of a drawn field and the truth about it."""

    rgb: NDArray[np.uint8]
    cells: NDArray[np.bool_]
    nuclei: NDArray[np.bool_]

    def mask(self, cytoplasm: int, nucleus: int) -> NDArray[np.uint8]:
        return np.where(self.nuclei, nucleus, np.where(self.cells, cytoplasm, 0)).astype(np.uint8)


def _draw(height: int, width: int, *discs: Disc) -> Drawn:
    y, x = np.mgrid[:height, :width]
    cells, nuclei = np.zeros((height, width), bool), np.zeros((height, width), bool)
    for row, column, radius in discs:
        distance = np.hypot(y - row, x - column)
        cells |= distance <= radius
        nuclei |= distance <= radius / 2
    rgb = np.full((height, width, 3), (230, 220, 215), np.uint8)
    rgb[cells], rgb[nuclei] = (190, 160, 200), (90, 50, 140)
    return Drawn(rgb, cells, nuclei)


@pytest.fixture
def draw() -> Callable[..., Drawn]:
    """Return a function of height, width and discs (row, column, radius)."""
    return _draw


@pytest.fixture
def save() -> Callable[[NDArray[np.uint8], Path], Path]:
    """Return a function that saves pixels under a path, making its folder."""

    def to(pixels: NDArray[np.uint8], path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    return to
