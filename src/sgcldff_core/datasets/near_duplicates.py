"""Images that show the same cells: photographed twice, or cut out of one field twice.

A cell that is learned from and judged in another photograph flatters every figure, and one that
bears two names tells how sure the names are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from skimage.transform import resize

from sgcldff_core.errors import DataError

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

__all__ = ["NearDuplicate", "find_near_duplicates", "overlap"]

_Read = TypeVar("_Read")

_DIAMETER = 96  # px that the cells of a source have when they are compared, as a median
_WINDOW = 160  # px of the window around one
_LARGEST_SCALE = 4.0  # smaller cells have no fine structure to enlarge
_FINE, _COARSE = 1.0, 5.0  # px, standard deviations of the two Gaussians between which structure is looked for
_CANDIDATE = 0.55  # correlation of two cells by themselves; round lymphocytes reach 0.83, the same cell 0.68 and more
_INSIDE, _OUTSIDE = 0.6, 0.4  # correlation of cells and of what is around them; other cells have up to 0.83 and 0.26
_SAME_CELL = 0.92  # of cells alone, where there is nothing around them
_RIM = 6  # px along an outline: every cell has one
_FEWEST = 300  # px whose correlation says anything


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Two images that show the same cell.

    Attributes
    ----------
    one, other : str
        Names of the samples, in the order of the data set.
    classes : tuple of str or None
        What the cell is called in each.
    inside, outside : float
        Correlation of the fine structure of the cell, and of what is around it, in [-1, 1]; NaN where
        too little of it is in both.
    shift : tuple of int
        Row and column of the one image at which the origin of the other lies, in px, to a hundredth of a cell.
    """

    one: str
    other: str
    classes: tuple[str | None, str | None]
    inside: float
    outside: float
    shift: tuple[int, int]

    @property
    def two_names(self) -> bool:
        """Whether the cell is called one thing here and another there."""
        return None not in self.classes and self.classes[0] != self.classes[1]


@dataclass(frozen=True, slots=True, eq=False)
class _Portrait:
    """An image and its largest cell, at one scale for a source; spectrum of the cell, for the search."""

    number: int
    sample: Sample
    told: str | None
    structure: NDArray[np.float32]
    cell: NDArray[np.bool_]
    corner: NDArray[np.intp]
    scale: float
    spectrum: NDArray[np.complex64]


def find_near_duplicates(
    samples: Iterable[Sample],
    *,
    watch: Callable[[Sample], None] | None = None,
    failed: Callable[[DataError], None] | None = None,
) -> list[NearDuplicate]:
    """Find images of one source in which the same cell is shown, shifted but not turned.

    What is compared is the largest annotated cell of each image, by structure finer than a tenth of its
    diameter. Where two cells are alike, the images are laid over each other, and what is around
    the cells has to be alike too: lymphocytes look like each other, their neighbourhoods do not.

    Parameters
    ----------
    samples : iterable of Sample
        Those without masks are passed over. Every pair is compared: a thousand images of a source make half a million.
    watch : callable, optional
        Called with each sample before its masks are read, and before its pixels are.
    failed : callable, optional
        Called with what is wrong with a file that cannot be read, which is then passed over.

    Returns
    -------
    list of NearDuplicate
        In the order of the samples. Identical images are among them.

    Raises
    ------
    DataError
        If a file cannot be read, and nobody is to be told.

    Notes
    -----
    Cells are searched for by the peak of their cross-correlation, which the Fourier transform gives for
    all shifts at once; thresholds were set in view of Zheng 1 and BCCD.
    """
    by_source: dict[str, list[tuple[int, Sample, int, NDArray[np.bool_]]]] = {}
    for number, sample in enumerate(samples):
        if watch is not None:
            watch(sample)
        cell = _readable(partial(_largest_cell, sample), failed)
        if cell is not None:
            by_source.setdefault(sample.source, []).append((number, sample, *cell))
    found: list[tuple[int, int, NearDuplicate]] = []
    for cells in by_source.values():
        # One scale for all: outlines of the same cell differ from photograph to photograph.
        area = np.median([np.count_nonzero(mask) for *_, mask in cells])
        scale = min(_DIAMETER / float(np.sqrt(4 / np.pi * area)), _LARGEST_SCALE)
        known: list[_Portrait] = []
        for number, sample, label, mask in cells:
            if watch is not None:
                watch(sample)
            portrait = _readable(partial(_portrait, sample, label, mask, scale, number), failed)
            if portrait is not None:
                pairs = [(known[i], _compared(known[i], portrait, shift)) for i, shift in _candidates(known, portrait)]
                found += [(one.number, number, pair) for one, pair in pairs if _is_same(pair)]
                known.append(portrait)
    return [pair for _, _, pair in sorted(found, key=itemgetter(0, 1))]


def _readable(read: Callable[[], _Read | None], failed: Callable[[DataError], None] | None) -> _Read | None:
    try:
        return read()
    except DataError as error:
        if failed is None:
            raise
        failed(error)
        return None


def _largest_cell(sample: Sample) -> tuple[int, NDArray[np.bool_]] | None:
    labels = sample.read_labels()
    if labels is None or not labels.any():
        return None
    label = int(np.bincount(labels[labels > 0]).argmax())
    return label, labels == label


def _portrait(sample: Sample, label: int, mask: NDArray[np.bool_], scale: float, number: int) -> _Portrait | None:
    green = sample.read_image()[..., 1]  # the light that stains take
    shape = tuple(max(1, round(side * scale)) for side in mask.shape)
    shown = resize(green.astype(np.float32), shape, anti_aliasing=scale < 1)
    cell = resize(mask.astype(np.float32), shape) > 0.5
    if not cell.any():
        return None
    structure = ndimage.gaussian_filter(shown, _FINE) - ndimage.gaussian_filter(shown, _COARSE)
    corner = np.array([axis.min() for axis in np.nonzero(cell)])
    window = _window(structure * ndimage.gaussian_filter(cell.astype(np.float32), 2), corner)
    told = (sample.classes or {}).get(label)
    return _Portrait(number, sample, told, structure, cell, corner, scale, fft.rfft2(window).astype(np.complex64))


def _window(structure: NDArray[np.float32], corner: NDArray[np.intp]) -> NDArray[np.float32]:
    """Cut a cell out, with energy 1."""
    part = structure[corner[0] :, corner[1] :][:_WINDOW, :_WINDOW]
    window = np.zeros((_WINDOW, _WINDOW), np.float32)
    window[: part.shape[0], : part.shape[1]] = part
    return window / max(float(np.linalg.norm(window)), 1e-9)


def _candidates(known: list[_Portrait], new: _Portrait) -> list[tuple[int, tuple[int, int]]]:
    """Return which cells may be the new one, and where the new image's origin lies in each image."""
    if not known:
        return []
    peaks = fft.irfft2(np.stack([portrait.spectrum for portrait in known]).conj() * new.spectrum)
    likely = np.flatnonzero(peaks.max(axis=(-2, -1)) >= _CANDIDATE)
    shifts = []
    for number in likely:
        moved = np.array(np.unravel_index(peaks[number].argmax(), peaks.shape[1:]))
        moved = (moved + _WINDOW // 2) % _WINDOW - _WINDOW // 2  # a transform is periodic
        y, x = known[number].corner - new.corner - moved
        shifts.append((int(y), int(x)))
    return list(zip(likely.tolist(), shifts, strict=True))


def _compared(one: _Portrait, other: _Portrait, shift: tuple[int, int]) -> NearDuplicate:
    """Lay one image over the other, and compare cells and surroundings."""
    a, b = overlap(one.structure.shape, other.structure.shape, *shift)
    both = one.cell[a] & other.cell[b]
    neither = ~(one.cell[a] | other.cell[b])
    inside, outside = (
        _correlation(one.structure[a], other.structure[b], ndimage.binary_erosion(part, iterations=_RIM))
        for part in (both, neither)
    )
    y, x = (round(s / one.scale) for s in shift)
    return NearDuplicate(one.sample.name, other.sample.name, (one.told, other.told), inside, outside, (y, x))


def overlap(
    one: tuple[int, ...], other: tuple[int, ...], y: int, x: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return what two images share: rows and columns of the one, and of the other.

    Parameters
    ----------
    one, other : tuple of int
        Their shapes.
    y, x : int
        Where in the one the origin of the other lies.

    Returns
    -------
    tuple of tuple of slice
        Of equal sizes; empty where they share nothing.
    """
    starts = [max(0, s) for s in (y, x)]
    stops = [max(start, min(n, m + s)) for start, n, m, s in zip(starts, one, other, (y, x), strict=True)]
    rows, columns = (slice(start, stop) for start, stop in zip(starts, stops, strict=True))
    return (rows, columns), (slice(rows.start - y, rows.stop - y), slice(columns.start - x, columns.stop - x))


def _correlation(one: NDArray[np.float32], other: NDArray[np.float32], where: NDArray[np.bool_]) -> float:
    if np.count_nonzero(where) < _FEWEST:
        return float("nan")
    with np.errstate(invalid="ignore"):  # a flat part correlates with nothing: NaN
        return float(np.corrcoef(one[where], other[where])[0, 1])


def _is_same(pair: NearDuplicate) -> bool:
    if np.isnan(pair.outside):
        return pair.inside >= _SAME_CELL
    return pair.outside >= _OUTSIDE and not pair.inside < _INSIDE
