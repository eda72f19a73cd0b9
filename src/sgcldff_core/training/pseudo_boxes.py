"""Outlines from boxes: the colours inside a box against those around it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.transform import resize
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from sgcldff_core.datasets.kinds import UNNAMED, leukocyte_boxes
from sgcldff_core.errors import DataError
from sgcldff_core.saliency import compute_prior
from sgcldff_core.sample import Raster
from sgcldff_core.training.prepared import UNSURE

if TYPE_CHECKING:
    from sgcldff_core.sample import Box, Sample

__all__ = ["outline_boxes"]

_SIDE = 56  # px of a box's longer side while colours are compared: a cell's outline needs no more
_AROUND = 0.2  # of that, shown on each side as background
_COLOURS = (3, 4)  # Gaussians of cell and of background
_ROUNDS = 2
_SMOOTHING = 1.5  # px
_OPEN = 1.0  # log odds below which a pixel is left open
_PLAUSIBLE = (0.35, 0.92)  # share of a box that its cell fills; a disc has 0.79
_SMALLEST = 8  # px of a box's shorter side
_REACHES = 0.7  # of each side of the box, at least


def outline_boxes(samples: Sequence[Sample]) -> tuple[list[Sample], list[DataError]]:
    """Outline the leukocytes of samples that have boxes and no masks.

    In each box two mixtures of Gaussians, of the cell's colours and of those in and around the box,
    take turns with the outline that they lead to, beginning from the saliency prior. Where colours
    do not decide, and in a box where no plausible cell comes out, pixels are left open.

    Parameters
    ----------
    samples : sequence of Sample
        Those with masks, or without a leukocyte's box, come back as they are.

    Returns
    -------
    outlined : list of Sample
        In the order of `samples`. Masks may hold `UNSURE`: they are to be learned from only.
    failures : list of DataError
        Samples that could not be read.

    References
    ----------
    Rother et al., GrabCut, SIGGRAPH 2004 (without the graph: smoothed log odds do here).
    """
    outlined, failures = [], []
    for sample in samples:
        boxes = tuple(leukocyte_boxes(sample.boxes))
        try:
            outlined.append(_outlined(sample, boxes) if sample.labels is None and boxes else sample)
        except DataError as error:
            failures.append(error)
    return outlined, failures


def _outlined(sample: Sample, boxes: Sequence[Box]) -> Sample:
    image = sample.read_image()
    prior = compute_prior(image)
    windows = [box.window(prior.shape) for box in boxes]
    claims = np.zeros(prior.shape, np.uint8)
    for window in windows:
        claims[window] += 1
    labels = np.zeros(prior.shape, np.int32)
    classes: dict[int, str] = {}
    for number, (box, window) in enumerate(zip(boxes, windows, strict=True), start=1):
        shape = labels[window].shape
        odds = _log_odds(image, prior, claims, window) if min(shape) >= _SMALLEST else np.zeros(shape, np.float32)
        cell = _main_part(odds > 0)
        found = np.where(cell & (odds > _OPEN), number, np.where(odds < -_OPEN, 0, UNSURE))
        if not _plausible(cell):
            found[...] = UNSURE
        elif box.kind != UNNAMED:
            classes[number] = box.kind
        found[claims[window] > 1] = UNSURE
        labels[window] = found
    return replace(sample, labels=Raster.of(labels), classes=classes or None)


def _log_odds(
    image: NDArray[np.uint8], prior: NDArray[np.float32], claims: NDArray[np.uint8], window: tuple[slice, slice]
) -> NDArray[np.float32]:
    """Return by how much each pixel of a box looks more like its cell than like what is around it."""
    shape = image[window].shape[:2]
    margin = round(_AROUND * max(shape))
    around = tuple(
        slice(max(0, w.start - margin), min(side, w.stop + margin)) for w, side in zip(window, prior.shape, strict=True)
    )
    factor = min(1.0, _SIDE / max(shape))
    small = tuple(max(4, round(factor * (s.stop - s.start))) for s in around)
    here = np.zeros(prior.shape, bool)
    here[window] = True
    lab = rgb2lab(resize(image[around], small, order=1, anti_aliasing=factor < 1))
    lab = ndimage.gaussian_filter(lab, (1, 1, 0))
    inside = _resized(here[around], small) > 0.5
    foreign = _resized(claims[around].astype(bool) & ~here[around], small) > 0.5
    cell = _first_guess(_resized(prior[around], small), inside)
    odds = np.zeros(small, np.float32)
    for _ in range(_ROUNDS):
        background = ~cell & ~foreign
        if min(cell.sum(), background.sum()) < 10 * max(_COLOURS):
            break
        own, other = (
            _mixture(lab[region], colours).score_samples(lab.reshape(-1, 3)).reshape(small)
            for region, colours in zip((cell, background), _COLOURS, strict=True)
        )
        odds = ndimage.gaussian_filter(np.clip(own - other, -10, 10), _SMOOTHING).astype(np.float32)
        cell = _main_part((odds > 0) & inside)
    full = _resized(odds, tuple(s.stop - s.start for s in around))
    rows, columns = (slice(w.start - a.start, w.stop - a.start) for w, a in zip(window, around, strict=True))
    odds = full[rows, columns]
    # Holes of a cell are cell: a pale vacuole, or light from the lamp.
    return np.where(ndimage.binary_fill_holes(odds > _OPEN), np.maximum(odds, 1.01 * _OPEN), odds).astype(np.float32)


def _first_guess(prior: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return where the prior is high within the ellipse that the box holds."""
    rows, columns = (np.nonzero(inside.any(axis))[0] for axis in (1, 0))
    if not rows.size:
        return inside
    y, x = (
        (np.arange(side) - (found[0] + found[-1]) / 2) / max(1, 0.525 * found.size)
        for side, found in zip(inside.shape, (rows, columns), strict=True)
    )
    low, high = prior[inside].min(), prior[inside].max()
    return np.asarray(inside & (y[:, None] ** 2 + x[None] ** 2 < 1) & (prior > (low + high) / 2))


def _mixture(colours: NDArray[np.float64], count: int) -> GaussianMixture:
    mixture = GaussianMixture(count, reg_covar=1.0, max_iter=30, init_params="random_from_data", random_state=0)
    with warnings.catch_warnings():
        # One that still moves a little is good enough.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(colours)


def _main_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = ndimage.label(mask)
    if not count:
        return mask
    largest = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    return np.asarray(ndimage.binary_fill_holes(largest))


def _plausible(cell: NDArray[np.bool_]) -> bool:
    if not cell.any():
        return False
    reaches = all(np.ptp(np.nonzero(cell.any(axis))[0]) + 1 >= _REACHES * cell.shape[1 - axis] for axis in (0, 1))
    return reaches and _PLAUSIBLE[0] <= float(cell.mean()) <= _PLAUSIBLE[1]


def _resized(array: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.float32]:
    shrinks = array.shape[0] > shape[0]
    return np.asarray(resize(array.astype(np.float32), shape, order=1, anti_aliasing=shrinks), np.float32)
