"""Saliency of what is seen: which part of an image to compute, how to refine it, how good it is as a detector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sgcldff.extent import require_smear
from napari_sgcldff.layers import KEY
from napari_sgcldff.placement import offset_on, placing, plane_of
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from napari.layers import Image, Labels
    from napari.types import LayerDataTuple

    from napari_sgcldff.tasks import Report
    from sgcldff_core.evaluation.prior_figures import PriorFigures

__all__ = ["LARGEST_WHOLE", "Part", "Recipe", "Saliency", "compute", "refined", "saliency_layer"]

LARGEST_WHOLE = 2**25
"""Px: larger images are only computed where they are seen."""

_LARGEST_PREVIEW = 2**22  # px: so that a preview takes less than two seconds


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a prior is made, and what is done to it.

    Attributes
    ----------
    method : str
        Name of the prior.
    smoothing : float
        Standard deviation of a Gaussian in px of the image; 0 for none.
    gamma : float
        Exponent: below 1 lifts what is faint, above 1 keeps what is strong.
    threshold : float
        In [0, 1]; what is below is set to 0.
    """

    method: str = "fused"
    smoothing: float = 0.0
    gamma: float = 1.0
    threshold: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The part of an image that is computed; made in the main thread, read in another.

    Attributes
    ----------
    pixels : array-like
        (h, w, 3) RGB, in memory or lazy.
    stride : tuple of int
        Px of the image for one of these, down and across.
    corner : tuple of int
        Row and column of the image at which it begins.
    leading : int
        Axes of the layer before rows and columns.
    placement : callable
        As from `sgcldff_core.placement.placing`.
    source, name : str
        ``unique_id`` and name of the image layer.
    key : tuple
        The same for the same pixels.
    """

    pixels: Any
    stride: tuple[int, int]
    corner: tuple[int, int]
    leading: int
    placement: Callable[[tuple[int, int]], dict[str, Any]]
    source: str
    name: str
    key: tuple[Any, ...]

    @classmethod
    def of(cls, layer: Image, step: Sequence[int], *, whole: bool = False) -> Part:
        """Take what is seen of an image, or all of the plane where it is small or asked for.

        Parameters
        ----------
        layer : napari.layers.Image
            RGB; a stack or a multi-scale image will do.
        step : sequence of int
            ``viewer.dims.current_step``.
        whole : bool
            Whether to take all of a large plane.

        Raises
        ------
        ConfigError
            If the layer is not RGB, or nothing of it is seen.
        """
        require_smear(layer)
        pixels, plane = plane_of(layer, step)
        window, stride = (slice(0, pixels.shape[0]), slice(0, pixels.shape[1])), (1, 1)
        if not whole and pixels.shape[0] * pixels.shape[1] > _LARGEST_PREVIEW:
            window = _seen(layer, pixels.shape)
            area = (window[0].stop - window[0].start) * (window[1].stop - window[1].start)
            coarse = max(1, int(np.ceil(np.sqrt(area / _LARGEST_PREVIEW))))
            stride = (coarse, coarse)
            pixels, factor = _level(layer, plane, pixels, coarse)
            part = tuple(slice(side.start // factor, -(-side.stop // factor)) for side in window)
            pixels = pixels[part][:: max(1, coarse // factor), :: max(1, coarse // factor)]
        corner = (window[0].start, window[1].start)
        key = (str(layer.unique_id), plane, corner, pixels.shape, stride)
        place = placing(layer, plane, corner, stride)
        return cls(pixels[..., :3], stride, corner, layer.ndim - 2, place, str(layer.unique_id), layer.name, key)

    def labels_of(self, cells: Labels, image: Image, step: Sequence[int]) -> Any:
        """Return the labels on this part, not read yet, with zeros where there are none.

        Parameters
        ----------
        cells, image : napari.layers.Labels, napari.layers.Image
            Whose labels are wanted, and the image that this is a part of.
        step : sequence of int
            Where the viewer's sliders are.

        Raises
        ------
        ConfigError
            If the labels do not lie on the image pixel by pixel.
        """
        marks, _ = plane_of(cells, step)
        top, left = offset_on(cells, image, marks.shape)
        sides = zip(self.pixels.shape[:2], self.stride, self.corner, (top, left), strict=True)
        rows, columns = (np.arange(count) * stride + first - shift for count, stride, first, shift in sides)
        return _Sampled(marks, rows, columns)


@dataclass(frozen=True, slots=True, eq=False)
class _Sampled:
    data: Any
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        inside = [
            (line >= 0) & (line < length)
            for line, length in zip((self.rows, self.columns), self.data.shape, strict=True)
        ]
        out = np.zeros((len(self.rows), len(self.columns)), np.int64)
        own = [line[known] for line, known in zip((self.rows, self.columns), inside, strict=True)]
        if len(own[0]) and len(own[1]):
            block = np.asarray(self.data[own[0][0] : own[0][-1] + 1, own[1][0] : own[1][-1] + 1])
            out[np.ix_(*inside)] = block[np.ix_(own[0] - own[0][0], own[1] - own[1][0])]
        return out if dtype is None else out.astype(dtype)


@dataclass(frozen=True, slots=True, eq=False)
class Saliency:
    """A prior of a part of an image.

    Attributes
    ----------
    part : Part
        The part.
    recipe : Recipe
        How it was made.
    raw, shown : ndarray
        (h, w) float32 in [0, 1], as the prior is and refined.
    figures : PriorFigures or None
        As a detector of labelled cells; None without labels, or where they cover all or nothing.
    """

    part: Part
    recipe: Recipe
    raw: NDArray[np.float32]
    shown: NDArray[np.float32]
    figures: PriorFigures | None


def compute(part: Part, recipe: Recipe, labels: Any, known: Saliency | None, report: Report) -> Saliency:
    """Compute, refine and measure a prior; for a thread of its own.

    Parameters
    ----------
    part : Part
        Of the image.
    recipe : Recipe
        What to make.
    labels : array-like or None
        (h, w), what is to be found.
    known : Saliency or None
        The last one, whose prior is taken if it is the same.
    report : callable
        Told of the progress; raises to stop.
    """
    from sgcldff_core.datasets.depth import to_uint8
    from sgcldff_core.saliency import compute_prior

    report("reading", 0, 0)
    if known is not None and known.part.key == part.key and known.recipe.method == recipe.method:
        raw = known.raw
    else:
        try:
            image = to_uint8(np.asarray(part.pixels))
        except ValueError as problem:
            raise ConfigError(f"the layer {part.name!r} cannot be used: {problem}") from problem
        report("computing the saliency", 0, 0)
        raw = compute_prior(np.ascontiguousarray(image), recipe.method)
    report("refining", 0, 0)
    shown = refined(raw, replace(recipe, smoothing=recipe.smoothing / part.stride[0]))
    figures = None
    if labels is not None:
        from sgcldff_core.evaluation.prior_figures import summarise_tallies, tally_prior

        report("measuring", 0, 0)
        mask = np.asarray(labels) > 0
        if mask.any() and not mask.all():
            whole = refined(raw, replace(recipe, smoothing=recipe.smoothing / part.stride[0], threshold=0.0))
            figures = summarise_tallies([tally_prior(whole, mask)])
    return Saliency(part, recipe, raw, shown, figures)


def refined(prior: NDArray[np.float32], recipe: Recipe) -> NDArray[np.float32]:
    """Smooth a prior, bend its scale and cut it off.

    Parameters
    ----------
    prior : ndarray
        (H, W) float32 in [0, 1].
    recipe : Recipe
        Its smoothing is in px of `prior`.

    Returns
    -------
    ndarray
        (H, W) float32 in [0, 1].
    """
    from scipy import ndimage

    shown = prior
    if recipe.smoothing > 0:
        shown = ndimage.gaussian_filter(shown, recipe.smoothing, mode="nearest").clip(0, 1)
    if recipe.gamma != 1:
        shown = shown**recipe.gamma
    if recipe.threshold > 0:
        shown = np.where(shown >= recipe.threshold, shown, 0)
    return np.asarray(shown, np.float32)


def saliency_layer(found: Saliency) -> LayerDataTuple:
    """Turn a saliency into the layer of its image.

    Parameters
    ----------
    found : Saliency
        Of one part of an image.
    """
    part, recipe = found.part, found.recipe
    about = {"role": "saliency", "source": part.source, "prior": recipe.method}
    refinement = {"smoothing": recipe.smoothing, "gamma": recipe.gamma, "threshold": recipe.threshold}
    attributes = {
        "name": f"{part.name} saliency",
        "metadata": {KEY: {**about, **refinement}},
        **part.placement((0, 0)),
        "colormap": "inferno",
        "blending": "additive",
        "opacity": 0.6,
        "contrast_limits": (0.0, 1.0),
    }
    return found.shown[(None,) * part.leading], attributes, "image"


def _seen(layer: Image, shape: Sequence[int]) -> tuple[slice, slice]:
    corners = np.asarray(layer.corner_pixels, float)[:, -2:]
    if layer.multiscale:
        corners = corners * np.asarray(layer.downsample_factors[layer.data_level])[-2:]
    low, high = np.floor(corners[0]).astype(int), np.ceil(corners[1]).astype(int) + 1
    rows, columns = (
        slice(max(int(a), 0), min(int(b), length)) for a, b, length in zip(low, high, shape[:2], strict=True)
    )
    if rows.start >= rows.stop or columns.start >= columns.stop:
        raise ConfigError(f"nothing of {layer.name!r} is to be seen; move the view onto it")
    return rows, columns


def _level(layer: Image, plane: Sequence[int], finest: Any, coarse: int) -> tuple[Any, int]:
    """Return the coarsest level of a pyramid that is fine enough, and its downsampling."""
    if not layer.multiscale:
        return finest, 1
    best: tuple[Any, int] = (finest, 1)
    for data in layer.data[1:]:
        level = data[tuple(plane)] if plane else data
        factor = round(finest.shape[0] / level.shape[0])
        if factor <= coarse and coarse % factor == 0:
            best = level, factor
    return best
