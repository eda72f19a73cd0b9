"""What of an image layer is worked on: which planes, which part of them; read later, in a worker's thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sgcldff.metadata import KEY
from napari_sgcldff.placement import finest, placing, shown_index
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from napari.layers import Image

__all__ = ["Extent", "is_smear", "plane_count", "require_smear"]

Box = tuple[int, int, int, int]
Plane = tuple[int, ...]

_SAMPLED = 512  # px: side of the places at which the depth of a camera is read off


def is_smear(layer: Any) -> bool:
    """Tell whether a layer is an RGB image, and so may be a stained smear.

    Parameters
    ----------
    layer : Layer
        Of any kind.
    """
    return bool(getattr(layer, "rgb", False))


def require_smear(layer: Any) -> None:
    """Refuse a layer that cannot be a stained smear.

    Parameters
    ----------
    layer : Layer
        Of any kind.

    Raises
    ------
    ConfigError
        If it is no RGB image.
    """
    if not is_smear(layer):
        raise ConfigError(f"the layer {layer.name!r} is no RGB image; choose a colour image of a stained smear")


def plane_count(layer: Image) -> int:
    """Return how many planes a stack has; 1 for a single image.

    Parameters
    ----------
    layer : Image
        RGB; of a pyramid the finest level counts.
    """
    return int(np.prod(finest(layer).shape[: layer.ndim - 2], dtype=int))


@dataclass(frozen=True, slots=True, eq=False)
class Extent:
    """Planes of an image layer, or a part of each, that need not be in memory yet.

    Made in the main thread; reading is for any.

    Attributes
    ----------
    pixels : array-like
        (..., H, W, C), the layer's own at the finest scale, perhaps lazy.
    name, uid : str
        Of the layer; `uid` stays when it is renamed.
    planes : tuple of tuple of int
        Index of each plane among the axes before rows and columns.
    names : tuple of str
        What each plane is called in tables.
    sizes : tuple of (int, int)
        Height and width of the picture in each plane, which in a stack may be padded.
    box : tuple of int
        First row, first column, last row + 1, last column + 1 of what is worked on.
    whole_stack : bool
        Whether results are to have a plane for each one of the layer, or only the single one.
    placement : dict
        What a layer with the results needs to lie on the picture: scale, translate and so on.
    """

    pixels: Any
    name: str
    uid: str
    planes: tuple[Plane, ...]
    names: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    box: Box
    whole_stack: bool
    placement: dict[str, Any]
    _scale: list[float] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, layer: Image, step: Sequence[int] = (), *, box: Box | None = None, whole_stack: bool = False) -> Extent:
        """Choose what to work on.

        Parameters
        ----------
        layer : napari.layers.Image
            RGB; a stack or a multi-scale image will do.
        step : sequence of int, optional
            ``viewer.dims.current_step``; the plane of a stack is chosen by it.
        box : tuple of int, optional
            The part to work on, see `napari_sgcldff.view.visible_box`; all by default.
        whole_stack : bool
            Work on every plane of a stack.

        Raises
        ------
        ConfigError
            If the layer is not RGB, or nothing of it lies in `box`.
        """
        require_smear(layer)
        pixels = finest(layer)
        leading = layer.ndim - 2
        stack = tuple(int(n) for n in pixels.shape[:leading])
        planes = tuple(product(*(range(n) for n in stack))) if whole_stack and leading else (shown_index(layer, step),)
        about = layer.metadata.get(KEY, {})
        height, width = (int(n) for n in pixels.shape[leading : leading + 2])
        sizes = tuple(tuple(about["sizes"][p[0]]) if about.get("sizes") else (height, width) for p in planes)
        single = not leading or stack == (1,) * leading
        names = tuple(
            about["names"][p[0]] if about.get("names") else layer.name if single else _numbered(layer.name, p)
            for p in planes
        )
        whole = (0, 0, height, width) if whole_stack and leading else (0, 0, *sizes[0])
        y0, x0, y1, x1 = whole if box is None else _common(box, whole)
        if y0 >= y1 or x0 >= x1:
            raise ConfigError(f"nothing of {layer.name!r} is visible; move the view to it, or take the whole image")
        first = [0] * leading if whole_stack else planes[0]
        placement = placing(layer, first, (y0, x0))((0, 0))
        return cls(
            pixels, layer.name, str(layer.unique_id), planes, names, sizes, (y0, x0, y1, x1),
            whole_stack and leading > 0, placement,
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the results in px."""
        return self.box[2] - self.box[0], self.box[3] - self.box[1]

    @property
    def stack(self) -> tuple[int, ...]:
        """The lengths of the results' axes before rows and columns."""
        leading = len(self.planes[0])
        return tuple(int(n) for n in self.pixels.shape[:leading]) if self.whole_stack else (1,) * leading

    def part(self, index: int) -> Box:
        """Return what is worked on in a plane, in px of the plane; without area where it is all padding.

        Parameters
        ----------
        index : int
            Which of `planes`.
        """
        return _common(self.box, (0, 0, *self.sizes[index]))

    def place(self, index: int) -> Plane:
        """Return where the result of a plane belongs among the results' leading axes.

        Parameters
        ----------
        index : int
            Which of `planes`.
        """
        return self.planes[index] if self.whole_stack else (0,) * len(self.planes[index])

    def only(self, index: int) -> Extent:
        """Return the extent of one of the planes, read alike.

        Parameters
        ----------
        index : int
            Which of `planes`.
        """
        return replace(self, planes=(self.planes[index],), names=(self.names[index],), sizes=(self.sizes[index],))

    def read(self, index: int, box: Box) -> NDArray[np.uint8]:
        """Read a part of a plane.

        Parameters
        ----------
        index : int
            Of the plane among `planes`.
        box : tuple of int
            In px of the plane.

        Returns
        -------
        ndarray
            (h, w, 3) uint8 RGB.

        Raises
        ------
        ConfigError
            If the values are on no known scale.
        """
        if np.dtype(self.pixels.dtype) == np.uint8:
            return self._raw(index, box)  # type: ignore[return-value]
        # One scale for all that is read, however dark a part of it may be.
        try:
            if not self._scale:
                self._scale.append(self._full_scale())
        except ValueError as problem:
            raise ConfigError(f"the layer {self.name!r} cannot be used: {problem}") from problem
        values = self._raw(index, box) * np.float32(255 / self._scale[0])
        return np.rint(np.clip(values, 0, 255)).astype(np.uint8)

    def _full_scale(self) -> float:
        # Imported when it is needed: it brings half of SciPy, and a widget is to open at once.
        from sgcldff_core.datasets.depth import full_scale

        most = 0.0
        for index in {0, len(self.planes) // 2, len(self.planes) - 1}:
            y0, x0, y1, x1 = self.part(index)
            for y, x in {(y0, x0), ((y0 + y1 - _SAMPLED) // 2, (x0 + x1 - _SAMPLED) // 2)}:
                top, left = max(y, y0), max(x, x0)
                pixels = self._raw(index, (top, left, min(top + _SAMPLED, y1), min(left + _SAMPLED, x1)))
                if pixels.size:
                    most = max(most, full_scale(pixels))
        return most or 255.0

    def _raw(self, index: int, box: Box) -> NDArray[Any]:
        y0, x0, y1, x1 = box
        part = self.pixels[(*self.planes[index], slice(y0, y1), slice(x0, x1), slice(0, 3))]
        return np.ascontiguousarray(part)


def _common(one: Box, other: Box) -> Box:
    y0, x0 = max(one[0], other[0]), max(one[1], other[1])
    return y0, x0, max(min(one[2], other[2]), y0), max(min(one[3], other[3]), x0)


def _numbered(name: str, plane: Plane) -> str:
    return f"{name} [{', '.join(map(str, plane))}]"
