"""Open layers as annotated samples: what a person corrected in the viewer is what a model learns from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sgcldff.extent import require_smear
from napari_sgcldff.layers import KEY, classes_of
from napari_sgcldff.placement import finest
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from sgcldff_core.sample import Sample

__all__ = ["LayerPair"]

_TILE = 1024  # px; larger planes are cut, so that a slide is neither held nor validated as a whole


@dataclass(frozen=True, slots=True, eq=False)
class LayerPair:
    """An image layer and the labels on it, as they were when they were taken.

    Attributes
    ----------
    name : str
        Of the image layer, as a file stem.
    image : array-like
        (..., H, W, 3) RGB, in memory or lazy.
    labels : array-like
        (..., h, w) integer instance labels.
    corner : tuple of int
        Index in the image of the first of the labels, an entry an axis of the labels.
    classes : mapping of int to str
        Class of each label, as far as it is known.
    names : tuple of str
        Of the planes of a stack; empty where they have none.
    sizes : tuple of tuple of int
        Height and width of the planes of a stack whose images differ in size; else empty.
    """

    name: str
    image: Any
    labels: Any
    corner: tuple[int, ...]
    classes: Mapping[int, str]
    names: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, image: Image, labels: Labels) -> LayerPair:
        """Take two layers as they are now; what is painted later does not change the pair.

        Parameters
        ----------
        image : napari.layers.Image
            RGB; a stack or a multi-scale image will do.
        labels : napari.layers.Labels
            On the same pixels, on all of the image or on a part of it.

        Raises
        ------
        ConfigError
            If the image is not RGB, or the labels do not lie on its pixels.
        """
        require_smear(image)
        pixels, marks = finest(image), finest(labels)
        if marks.ndim != pixels.ndim - 1 or not np.allclose(labels.scale, image.scale, rtol=1e-3):
            raise ConfigError(
                f"the labels {labels.name!r} do not lie on the pixels of {image.name!r}; "
                "choose labels with the same axes and scale as the image"
            )
        corner = np.rint((np.array(labels.translate) - np.array(image.translate)) / np.array(image.scale)).astype(int)
        if (corner < 0).any() or (corner + marks.shape > np.array(pixels.shape[:-1])).any():
            raise ConfigError(
                f"the labels {labels.name!r} reach beyond the image {image.name!r}; choose their own image"
            )
        about = image.metadata.get(KEY, {})
        return cls(
            name=_stem(image.name),
            image=pixels,
            labels=marks.copy() if isinstance(marks, np.ndarray) else marks,
            corner=tuple(int(i) for i in corner),
            classes=classes_of(labels),
            names=tuple(_stem(str(name)) for name in about.get("names", ())),
            sizes=tuple((int(h), int(w)) for h, w in about.get("sizes", ())),
        )

    def samples(self) -> Iterator[Sample]:
        """Yield a sample for each plane, and each tile of a large plane, that has labels.

        Yields
        ------
        Sample
            Its pixels in memory, its cells numbered from 1. Planes and tiles without a label are
            taken to be not annotated yet.
        """
        for plane in np.ndindex(*self.labels.shape[:-2]):
            labels = np.asarray(self.labels[plane])
            if labels.any():
                yield from self._tiles(plane, labels)

    def _tiles(self, plane: tuple[int, ...], labels: NDArray[np.integer]) -> Iterator[Sample]:
        from skimage.measure import regionprops

        of_image = tuple(i + first for i, first in zip(plane, self.corner[:-2], strict=True))
        top, left = self.corner[-2:]
        height, width = labels.shape
        if self.sizes and len(of_image) == 1:
            height = min(height, self.sizes[of_image[0]][0] - top)
            width = min(width, self.sizes[of_image[0]][1] - left)
        labels = labels[:height, :width]
        name = self.name
        if of_image:
            known = self.names[of_image[0]] if len(of_image) == 1 and of_image[0] < len(self.names) else ""
            name = f"{self.name}_{'_'.join(f'{i:04d}' for i in of_image)}" + (f"_{known}" if known else "")
        cells = regionprops(labels)
        for rows, columns in _grid(height, width):
            # A cell belongs to the tile with its middle, which grows to hold all of it.
            own = [c for c in cells if _holds(rows, c.centroid[0]) and _holds(columns, c.centroid[1])]
            if not own:
                continue
            box = np.array([c.bbox for c in own])
            y0, x0 = min(rows[0], box[:, 0].min()), min(columns[0], box[:, 1].min())
            y1, x1 = max(rows[1], box[:, 2].max()), max(columns[1], box[:, 3].max())
            whole = (rows, columns) == ((0, height), (0, width))
            yield self._sample(
                name if whole else f"{name}_y{rows[0]}_x{columns[0]}",
                self.image[of_image][top + y0 : top + y1, left + x0 : left + x1],
                labels[y0:y1, x0:x1],
                {int(c.label): self.classes[int(c.label)] for c in own if int(c.label) in self.classes},
            )

    def _sample(self, name: str, image: Any, labels: NDArray[np.integer], classes: Mapping[int, str]) -> Sample:
        from sgcldff_core.datasets.depth import to_uint8
        from sgcldff_core.sample import Raster, Sample

        try:
            pixels = to_uint8(np.asarray(image)[..., :3])
        except ValueError as problem:
            raise ConfigError(f"the layer {self.name!r} cannot be used: {problem}") from problem
        numbers, inverse = np.unique(labels, return_inverse=True)
        numbers = numbers[numbers > 0]
        start = 1 if len(numbers) and (labels == 0).any() else 0
        renumbered = (inverse.reshape(labels.shape) + (1 - start)).astype(np.int32)
        own = {i + 1: classes[int(n)] for i, n in enumerate(numbers) if int(n) in classes}
        return Sample(
            name=name,
            image=Raster.of(np.ascontiguousarray(pixels)),
            source=self.name,
            group=f"{self.name}/{name}",
            labels=Raster.of(renumbered),
            classes=own or None,
        )


def _grid(height: int, width: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    def cuts(side: int) -> list[tuple[int, int]]:
        edges = np.linspace(0, side, max(1, round(side / _TILE)) + 1).astype(int).tolist()
        return list(pairwise(edges))

    return ((rows, columns) for rows in cuts(height) for columns in cuts(width))


def _holds(span: tuple[int, int], place: float) -> bool:
    return span[0] <= place < span[1]


def _stem(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "image"
