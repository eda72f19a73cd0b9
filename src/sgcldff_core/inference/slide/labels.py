"""Instance labels of a slide as OME-Zarr, written region by region."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sgcldff_core.datasets.ome_zarr import create_levels, level_shapes, load_zarr, multiscales

if TYPE_CHECKING:
    from sgcldff_core.inference.stitching import Outline

__all__ = ["IMAGE", "LabelWriter"]

IMAGE = "labels/cells"
"""Where in the group the labels are."""

_CHUNK = 1024  # px


class LabelWriter:
    """A group with the labels image `IMAGE`, of OME-Zarr 0.5, that appears when it is finished.

    Parameters
    ----------
    path : Path
        Of the group; an older one is replaced at the end.
    shape : tuple of int
        Height and width in px.
    """

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self.path, self._draft = path, path.with_name(f".{path.name}-draft")
        shutil.rmtree(self._draft, ignore_errors=True)  # of a run that was killed while it wrote
        path.parent.mkdir(parents=True, exist_ok=True)
        root = load_zarr().open_group(str(self._draft), mode="w", zarr_format=3)
        root.attrs["ome"] = {"version": "0.5"}
        listed = root.create_group("labels")
        listed.attrs["ome"] = {"version": "0.5", "labels": ["cells"]}
        self._group = listed.create_group("cells")
        self._levels = create_levels(self._group, shape, np.uint32, chunk=_CHUNK)
        described = multiscales("cells", level_shapes(shape))
        described["ome"]["image-label"] = {"version": "0.5"}
        self._group.attrs.update(described)
        self._touched: set[tuple[int, int]] = set()

    def put(self, outlines: Sequence[Outline], first: int) -> None:
        """Write cells where no other cell is yet, numbered on from `first`.

        Parameters
        ----------
        outlines : sequence of Outline
            Wholly within the slide, in px of it.
        first : int
            Label of the first of them, at least 1; also what hides behind another cell uses one up.
        """
        if not outlines:
            return
        boxes = np.array([outline.box for outline in outlines])
        (y0, x0), (y1, x1) = boxes[:, :2].min(0).tolist(), boxes[:, 2:].max(0).tolist()
        finest = self._levels[0]
        there = np.asarray(finest[y0:y1, x0:x1])
        for number, outline in enumerate(outlines, start=first):
            top, left, bottom, right = outline.box
            part = there[top - y0 : bottom - y0, left - x0 : right - x0]
            part[outline.mask & (part == 0)] = number
            rows, columns = (range(a // _CHUNK, (b - 1) // _CHUNK + 1) for a, b in ((top, bottom), (left, right)))
            self._touched |= {(row, column) for row in rows for column in columns}
        finest[y0:y1, x0:x1] = there

    def finish(self) -> None:
        """Make the coarser levels, and let the group appear."""
        touched = self._touched
        for fine, coarse in pairwise(self._levels):
            touched = {(row // 2, column // 2) for row, column in touched}
            for row, column in sorted(touched):
                y, x = row * _CHUNK, column * _CHUNK
                part = np.asarray(fine[2 * y : 2 * (y + _CHUNK), 2 * x : 2 * (x + _CHUNK)])[::2, ::2]
                coarse[y : y + part.shape[0], x : x + part.shape[1]] = part
        shutil.rmtree(self.path, ignore_errors=True)
        self._draft.replace(self.path)
