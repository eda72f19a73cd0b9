"""Slides as pyramids: the same plane at several sizes, of which boxes are read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.datasets.depth import full_scale
from sgcldff_core.errors import FormatError

if TYPE_CHECKING:
    import dask.array as da

__all__ = ["Level", "Pyramid", "checked_level"]

_CHANNELS = "cs"
_MOST_OF_A_CHUNK = 100_000_000  # px: a chunk is held whole while a part of it is read
_SAMPLE = 2048  # px, side of the part of the coarsest level by which the depth of the camera is told
_AGREE = 0.02  # relative: sizes of levels are rounded


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """One size of a slide.

    Attributes
    ----------
    array : Any
        With ``shape``, ``dtype`` and slicing, such as a zarr or dask array; read where it is sliced.
    axes : str
        A letter for each of its axes: ``y``, ``x``, and ``c`` or ``s`` for channels; others are
        taken at their first place.
    brightest : float
        Value of full brightness.
    """

    array: Any
    axes: str
    brightest: float = 255.0

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in px of this level."""
        height, width = (int(self.array.shape[self.axes.index(axis)]) for axis in "yx")
        return height, width

    def read(self, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Read a part.

        Parameters
        ----------
        box : tuple of int
            First row, first column, last row + 1, last column + 1, within the level.

        Returns
        -------
        ndarray
            (h, w, 3) uint8 RGB.
        """
        cut = {"y": slice(box[0], box[2]), "x": slice(box[1], box[3])}
        # A threaded scheduler, or that of a cluster, would wait for the very thread that asks.
        part = self.array[tuple(cut.get(a, slice(None) if a in _CHANNELS else 0) for a in self.axes)]
        values = np.asarray(part.compute(scheduler="synchronous") if hasattr(part, "compute") else part)
        left = [axis for axis in self.axes if axis in "yx" or axis in _CHANNELS]
        channel = next((axis for axis in left if axis in _CHANNELS), None)
        values = values[..., None] if channel is None else np.moveaxis(values, left.index(channel), -1)
        if left.index("x") < left.index("y"):
            values = values.swapaxes(0, 1)
        values = values[..., :3] if values.shape[-1] >= 3 else values[..., [0, 0, 0]]
        if values.dtype == np.uint8:
            return np.ascontiguousarray(values)
        scaled = np.clip(values * np.float32(255 / self.brightest), 0, 255)
        return np.ascontiguousarray(np.rint(scaled).astype(np.uint8))

    def __getitem__(self, key: tuple[slice, ...]) -> NDArray[np.uint8]:
        """Return a part as dask asks for it."""
        (y0, y1, _), (x0, x1, _) = (k.indices(n) for k, n in zip(key[:2], self.shape, strict=True))
        return self.read((y0, x0, y1, x1))

    def as_dask(self, chunk: int = 1024) -> da.Array:
        """Return the level as a dask array (H, W, 3) uint8 that reads a chunk when it is asked for.

        Parameters
        ----------
        chunk : int
            Longest side of a chunk in px.
        """
        import dask.array as da
        from dask.delayed import delayed

        height, width = self.shape
        parts = [
            [
                da.from_delayed(
                    delayed(self.read)((y, x, min(y + chunk, height), min(x + chunk, width))),
                    (min(chunk, height - y), min(chunk, width - x), 3),
                    np.uint8,
                )
                for x in range(0, width, chunk)
            ]
            for y in range(0, height, chunk)
        ]
        whole: da.Array = da.concatenate([da.concatenate(row, axis=1) for row in parts], axis=0)
        return whole


def checked_level(source: Path, array: Any, axes: str) -> Level:
    """Return a level of a file, or say why it cannot be one.

    Parameters
    ----------
    source : Path
        For the message.
    array, axes
        As for `Level`.

    Raises
    ------
    FormatError
        If it is no plane of numbers with one, three or four channels, or its chunks are too large
        to be read one by one.
    """
    if len(axes) != array.ndim or len(set(axes)) != len(axes) or not {"y", "x"} <= set(axes):
        raise FormatError(source, f"its axes are {axes!r}, of {array.ndim} dimensions", "a slide has the axes y and x")
    if np.dtype(array.dtype).kind not in "uif" or 0 in array.shape:
        raise FormatError(source, f"it holds {array.dtype} of shape {array.shape}", "save it anew as 8-bit RGB")
    channels = [array.shape[axes.index(axis)] for axis in axes if axis in _CHANNELS] or [1]
    if len(channels) > 1 or channels[0] not in (1, 3, 4):
        raise FormatError(source, f"it has {channels} channels, a stained smear has 3 (RGB) or 1", "save it as RGB")
    chunks = getattr(array, "chunksize", None) or getattr(array, "chunks", None) or array.shape
    if np.prod([chunks[axes.index(axis)] for axis in "yx"], dtype=float) > _MOST_OF_A_CHUNK:
        raise FormatError(source, f"it is stored in pieces of {tuple(chunks)} px", "save it in tiles of some 512 px")
    return Level(array, axes)


@dataclass(frozen=True, slots=True, eq=False)
class Pyramid:
    """A slide: levels from the finest to the coarsest.

    Attributes
    ----------
    levels : tuple of Level
        At least one.
    path : Path or None
        Where it lies, if it is a file.
    close : callable
        Closes what is open.
    """

    levels: tuple[Level, ...]
    path: Path | None = None
    close: Callable[[], object] = field(default=lambda: None)

    @classmethod
    def of_levels(
        cls, levels: Sequence[Level], path: Path | None = None, close: Callable[[], object] = lambda: None
    ) -> Pyramid:
        """Put levels together, and tell by the coarsest how bright its brightest pixel can be.

        Parameters
        ----------
        levels : sequence of Level
            At least one, in any order. Unless they are uint8, all get the `brightest` that is found.
        path : Path, optional
            Of the file, also for messages.
        close : callable
            Takes nothing; closes what the levels are read from.

        Raises
        ------
        FormatError
            If they are not the same plane at several sizes.
        """
        named = path or Path("array")
        ordered = sorted(levels, key=lambda level: level.shape, reverse=True)
        for level in ordered:
            fine = ordered[0].shape
            factors = [a / b for a, b in zip(fine, level.shape, strict=True)]
            slack = _AGREE + 1.5 / min(level.shape)
            if abs(factors[0] / factors[1] - 1) > slack:
                raise FormatError(named, f"a level of {level.shape} px is no smaller {fine}", "export it again")
        coarsest = ordered[-1]
        if coarsest.array.dtype != np.uint8:
            ordered = [Level(one.array, one.axes, _brightest(named, coarsest)) for one in ordered]
        return cls(tuple(ordered), path, close)

    @classmethod
    def of_arrays(cls, *arrays: Any) -> Pyramid:
        """Take arrays, such as those of dask, (H, W), (H, W, 3) or (3, H, W), of one plane at one or more sizes.

        Parameters
        ----------
        *arrays : Any
            With ``shape``, ``dtype`` and slicing, in any order; 1, 3 or 4 channels.
        """
        levels = []
        for array in arrays:
            last = array.ndim == 3 and array.shape[-1] in (1, 3, 4)
            axes = "yx" if array.ndim == 2 else "yxc" if last else "cyx"
            levels.append(checked_level(Path("array"), array, axes))
        return cls.of_levels(levels)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the finest level in px."""
        return self.levels[0].shape

    def factor(self, level: int) -> float:
        """Return how many px of the finest level one px of another stands for, along a side.

        Parameters
        ----------
        level : int
            Index into the levels, 0 for the finest.
        """
        return float(np.sqrt(np.prod(self.shape, dtype=float) / np.prod(self.levels[level].shape, dtype=float)))

    def level_for(self, most: float) -> int:
        """Return the coarsest level whose `factor` is not above `most`; the finest if there is none.

        Parameters
        ----------
        most : float
            Px of the finest level for one px of the one to be read, along a side.
        """
        fitting = [index for index in range(len(self.levels)) if self.factor(index) <= most]
        return fitting[-1] if fitting else 0


def _brightest(path: Path, level: Level) -> float:
    height, width = level.shape
    y, x = max(0, (height - _SAMPLE) // 2), max(0, (width - _SAMPLE) // 2)
    cut = {"y": slice(y, y + _SAMPLE), "x": slice(x, x + _SAMPLE)}
    part = level.array[tuple(cut.get(a, slice(None) if a in _CHANNELS else 0) for a in level.axes)]
    try:
        return full_scale(np.asarray(part))
    except ValueError as error:
        raise FormatError(path, str(error), "save it anew as 8-bit RGB") from error
