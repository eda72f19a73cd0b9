"""The classical pipeline: Otsu on stain, watershed on distance, a random forest on what cells measure.

Nuclei first, since they stand out in every stain: the highest of three classes of saturation
against green (multi-level Otsu). A cell is what a second Otsu, on stain contrast, tells from the
background within reach of a nucleus; beyond it red cells pass the threshold too. Touching cells are
parted by a watershed on the distance transform. Only the reach is learned, and the forest that
names cells.

References
----------
Otsu, A threshold selection method from gray-level histograms, IEEE SMC 9 (1979) 62-66. Liao et al.,
A fast algorithm for multilevel thresholding, J. Inf. Sci. Eng. 17 (2001) 713-727. Breiman, Random
forests, Machine Learning 45 (2001) 5-32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_multiotsu
from skimage.measure import regionprops
from skimage.morphology import disk
from skimage.segmentation import relabel_sequential, watershed
from sklearn.ensemble import RandomForestClassifier

from sgcldff_core.cells import cell_table
from sgcldff_core.errors import ConfigError, DataError
from sgcldff_core.evaluation.agreement import mask_iou, match_labels
from sgcldff_core.inference import Prediction
from sgcldff_core.saliency import compute_prior

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

__all__ = ["ClassicalPipeline", "fit_classical", "outline_cells"]

_NAME = "classical"
_SMOOTHING = 1.0  # px
_REACHES = (0.2, 0.3, 0.4, 0.5, 0.6)
_FOR_REACH = 40  # images at most; one number needs no more
_DEBRIS = 0.3  # of the largest one's area: what is smaller is a platelet or a fragment
_OPENING = 0.05  # of a nucleus's diameter: cuts bridges to red cells
_APART = 0.5  # of a nucleus's diameter: peaks of the distance that are closer belong to one cell
_TREES = 300


@dataclass(frozen=True, slots=True, eq=False)
class ClassicalPipeline:
    """What was learned from training images.

    Attributes
    ----------
    classes : tuple of str
        In the order of the probabilities.
    reach : float
        How far a cell may extend beyond its nucleus, in diameters of a nucleus.
    forest : RandomForestClassifier or None
        Names cells by their measures; None where no class was annotated.
    failures : tuple of str
        Training images that could not be read, and why.
    """

    classes: tuple[str, ...]
    reach: float
    forest: RandomForestClassifier | None
    failures: tuple[str, ...] = ()

    def predict(self, image: NDArray[np.uint8], name: str = "image") -> Prediction:
        """Outline and name the leukocytes of an image.

        Parameters
        ----------
        image : ndarray
            (H, W, 3) uint8 RGB.
        name : str
            The image's name in the table of cells.

        Returns
        -------
        Prediction
            As from a network, to be judged like one. Its saliency is the stain contrast; it knows
            no consistency or stability (NaN) and asks for no review.
        """
        labels, nucleus, stain, diameter = outline_cells(image, self.reach)
        measures = _measures(image, labels, nucleus, diameter)
        probabilities = np.full((len(measures), len(self.classes)), 1 / len(self.classes), np.float32)
        if self.forest is not None and len(measures):
            probabilities[:] = 0
            probabilities[:, self.forest.classes_] = self.forest.predict_proba(measures)
        unknown = np.full(len(measures), np.nan, np.float32)
        cells = cell_table(name, labels, nucleus, stain, self.classes, probabilities, unknown, [""] * len(measures))
        return Prediction(labels, stain, nucleus, None, cells, diameter, _NAME, unknown)


def fit_classical(
    samples: Sequence[Sample],
    classes: Sequence[str],
    *,
    seed: int = 0,
    report: Callable[[float], None] | None = None,
) -> ClassicalPipeline:
    """Learn the reach of cells and their names.

    Parameters
    ----------
    samples : sequence of Sample
        With masks; others are left out.
    classes : sequence of str
        That cells may be given; cells of another one are left out.
    seed : int
        Of the forest, and of the images that the reach is chosen on.
    report : callable, optional
        Called with the share that is done.

    Returns
    -------
    ClassicalPipeline
        Cells for the forest are those that it outlines itself and that match an annotated one.

    Raises
    ------
    ConfigError
        If there is no image with masks.
    """
    readable, failures = _readable([s for s in samples if s.labels is not None])
    if not readable:
        raise ConfigError("the classical pipeline needs training images with masks, and there are none")
    chosen = np.random.default_rng(seed).permutation(len(readable))[:_FOR_REACH]
    reach = _best_reach([readable[i] for i in chosen])
    index = {name: i for i, name in enumerate(classes)}
    measures, names = [], []
    for number, sample in enumerate(readable):
        if report:
            report(number / len(readable))
        known = {label: index[c] for label, c in (sample.classes or {}).items() if c in index}
        truth = sample.read_labels()
        if not known or truth is None:
            continue
        image = sample.read_image()
        labels, nucleus, _, diameter = outline_cells(image, reach)
        rows = _measures(image, labels, nucleus, diameter)
        for found, true, _ in match_labels(labels, truth):
            if true in known:
                measures.append(rows[found - 1])
                names.append(known[true])
    forest = None
    if names:
        forest = RandomForestClassifier(
            _TREES, min_samples_leaf=2, class_weight="balanced_subsample", random_state=seed
        )
        forest.fit(np.array(measures), np.array(names))
    return ClassicalPipeline(tuple(classes), reach, forest, failures)


def outline_cells(
    image: NDArray[np.uint8], reach: float
) -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.float32], float]:
    """Outline leukocytes and their nuclei by thresholds.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    reach : float
        How far a cell may extend beyond its nucleus, in diameters of a nucleus.

    Returns
    -------
    labels : ndarray
        (H, W) int32, cells 1..N.
    nucleus : ndarray
        (H, W) bool, within cells.
    stain : ndarray
        (H, W) float32 in [0, 1], the stain contrast.
    diameter : float
        Of a typical cell, px; the image's shorter side where there is none.
    """
    return _cells_within(_look_for_nuclei(image), reach)


@dataclass(frozen=True, slots=True, eq=False)
class _Nuclei:
    """What does not depend on the reach; `size` is the diameter of a nucleus, 0 without any."""

    stain: NDArray[np.float32]
    stained: NDArray[np.bool_]
    nucleus: NDArray[np.bool_]
    size: float


def _look_for_nuclei(image: NDArray[np.uint8]) -> _Nuclei:
    stain = compute_prior(image, "stain")
    contrast, darkness = _otsu_classes(stain), _otsu_classes(compute_prior(image, "saturation_green"))
    if contrast is None or darkness is None:
        nothing = np.zeros(stain.shape, bool)
        return _Nuclei(stain, nothing, nothing, 0.0)
    nucleus = _large_parts(ndimage.binary_fill_holes(darkness == 2))
    return _Nuclei(stain, contrast > 0, nucleus, _typical_diameter(ndimage.label(nucleus)[0]))


def _cells_within(
    seen: _Nuclei, reach: float
) -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.float32], float]:
    labels = np.zeros(seen.nucleus.shape, np.int32)
    if seen.size:
        near = ndimage.distance_transform_edt(~seen.nucleus) < reach * seen.size
        cut = ndimage.binary_opening(near & seen.stained, disk(max(1, round(_OPENING * seen.size))))
        cell = _large_parts(ndimage.binary_fill_holes(cut | seen.nucleus))
        labels = _parted(cell, max(2, round(_APART * seen.size)))
    diameter = _typical_diameter(labels) or float(min(labels.shape))
    return labels, seen.nucleus & (labels > 0), seen.stain, diameter


def _typical_diameter(labels: NDArray[np.int32]) -> float:
    """Return the diameter of labelled things, each counted by its area; 0 without any."""
    area = np.bincount(labels.ravel())[1:].astype(float)
    return float(np.sqrt(4 / np.pi * (area**2).sum() / area.sum())) if area.any() else 0.0


def _readable(samples: Sequence[Sample]) -> tuple[list[Sample], tuple[str, ...]]:
    failures = {}
    for sample in samples:
        try:
            sample.read_image(), sample.read_labels()
        except DataError as error:
            failures[id(sample)] = str(error)
    return [s for s in samples if id(s) not in failures], tuple(failures.values())


def _otsu_classes(channel: NDArray[np.float32]) -> NDArray[np.intp] | None:
    """Return the class of each pixel, 0 to 2, or None where the image is too plain to have three."""
    smooth = gaussian(channel, _SMOOTHING)
    try:
        return np.asarray(np.digitize(smooth, threshold_multiotsu(smooth, 3)), np.intp)
    except ValueError:
        return None


def _large_parts(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pieces, _ = ndimage.label(mask)
    area = np.bincount(pieces.ravel())
    area[0] = 0
    kept = (area > 0) & (area >= _DEBRIS * area.max())
    return np.asarray(kept[pieces], bool)


def _parted(cell: NDArray[np.bool_], apart: int) -> NDArray[np.int32]:
    depth = gaussian(ndimage.distance_transform_edt(cell), _SMOOTHING)
    pieces, _ = ndimage.label(cell)
    peaks = peak_local_max(depth, min_distance=apart, labels=pieces, exclude_border=False)
    markers = np.zeros(cell.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels, _, _ = relabel_sequential(watershed(-depth, markers, mask=cell))
    return np.asarray(labels, np.int32)


def _best_reach(samples: Sequence[Sample]) -> float:
    found = np.zeros(len(_REACHES))
    for sample in samples:
        truth, seen = sample.read_labels(), _look_for_nuclei(sample.read_image())
        if truth is not None:
            found += [mask_iou(_cells_within(seen, reach)[0] > 0, truth > 0) for reach in _REACHES]
    return _REACHES[int(found.argmax())]


def _measures(
    image: NDArray[np.uint8], labels: NDArray[np.int32], nucleus: NDArray[np.bool_], diameter: float
) -> NDArray[np.float64]:
    """Return a row for each cell: its shape, the nucleus's shape and lobes, colour and texture of both."""
    lab = rgb2lab(image)
    rows = [_row(cell, lab, nucleus, diameter) for cell in regionprops(labels)]
    return np.array(rows, np.float64) if rows else np.zeros((0, 1))


def _row(cell: Any, lab: NDArray[np.float64], nucleus: NDArray[np.bool_], diameter: float) -> list[float]:
    inside, colours = cell.image, lab[cell.slice]
    core = nucleus[cell.slice] & inside
    rim = inside & ~core
    core_shape = [0.0] * 4
    if core.any():
        (whole,) = regionprops(core.astype(np.uint8))
        lobes, count = ndimage.label(core)
        largest = np.bincount(lobes.ravel())[1:].max()
        core_shape = [whole.solidity, whole.eccentricity, float(count), largest / whole.area]
    row = [cell.equivalent_diameter_area / diameter, cell.eccentricity, cell.solidity, core.sum() / cell.area]
    row += core_shape
    for part in (core, rim):
        seen = colours[part if part.any() else inside]
        row += [*seen.mean(0), *seen.std(0)]
    difference = colours[core].mean(0) - colours[rim].mean(0) if core.any() and rim.any() else np.zeros(3)
    return [float(v) for v in (*row, *difference)]
