"""Samples made ready for training: read once, brought to one scale, kept small in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from sgcldff_core.datasets.kinds import leukocyte_boxes
from sgcldff_core.errors import DataError
from sgcldff_core.losses import UNKNOWN
from sgcldff_core.saliency import compute_prior, estimate_diameter

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

__all__ = ["MARGIN", "UNSURE", "PreparedSample", "Watch", "prepare", "typical_diameters"]

Watch = Callable[[str, int, int], None]
"""Called with the stage, the steps done and their total; may raise `CancelledError` to stop."""

MARGIN = 1.25
"""Images are kept this much larger than the canonical scale, so that zooming in does not blur."""

UNSURE = -1
"""In the labels of samples that a network outlined: pixels of which nothing is to be learned."""

_ENOUGH = 25  # images to guess a source's magnification from


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSample:
    """One training image at ``MARGIN`` times the canonical scale.

    Attributes
    ----------
    name, source, group : str
        As in `Sample`.
    image : ndarray
        (H, W, 3) uint8.
    prior : ndarray
        (H, W) uint8, the prior times 255.
    labels : ndarray or None
        (H, W) int32 instance labels; `UNSURE` where nothing is known.
    nucleus : ndarray or None
        (H, W) bool.
    class_of_label : mapping of int to int
        Index of the class of each label; a label that is not in it has no known class.
    boxed : bool
        Whether somebody drew boxes, if only to say that there is nothing.
    boxes : ndarray
        (K, 4) float32 y0, x0, y1, x1 of leukocytes that have no mask.
    box_classes : ndarray
        (K,) int64, `UNKNOWN` where it is not known.
    points : ndarray
        (P, 2) float32 y, x of leukocytes of which nothing else is known.
    point_classes : ndarray
        (P,) int64.
    image_class : int
        Class of the image as a whole where no cell is marked; else `UNKNOWN`.
    """

    name: str
    source: str
    group: str
    image: NDArray[np.uint8]
    prior: NDArray[np.uint8]
    labels: NDArray[np.int32] | None
    nucleus: NDArray[np.bool_] | None
    class_of_label: Mapping[int, int]
    boxed: bool
    boxes: NDArray[np.float32]
    box_classes: NDArray[np.int64]
    points: NDArray[np.float32]
    point_classes: NDArray[np.int64]
    image_class: int

    @property
    def classes(self) -> tuple[int, ...]:
        """Every known class in this image, once a cell."""
        marked = (*self.class_of_label.values(), *self.box_classes.tolist(), *self.point_classes.tolist())
        known = tuple(c for c in marked if c != UNKNOWN)
        return known or ((self.image_class,) if self.image_class != UNKNOWN else ())


def typical_diameters(samples: Sequence[Sample], watch: Watch | None = None) -> dict[str, float]:
    """Return the median diameter of a leukocyte in px for each source.

    One figure for a whole source, not for each image, keeps the size of a cell as the cue that it
    is: lymphocytes are small and monocytes large at the same magnification.

    Parameters
    ----------
    samples : sequence of Sample
        With masks or boxes where they are to count.
    watch : callable, optional
        Called before each sample.

    Returns
    -------
    dict of str to float
        Equivalent diameter from masks, else the geometric mean of the sides of boxes, else, for a
        source that has neither, as the stain of its images tells. A source of which nothing can be
        told is missing.
    """
    found: dict[str, list[float]] = {}
    guessed: dict[str, list[float]] = {}
    for number, sample in enumerate(samples):
        if watch is not None:
            watch("measuring cells", number, len(samples))
        try:
            labels = sample.read_labels()
            if labels is None and not sample.boxes and len(guessed.get(sample.source, ())) < _ENOUGH:
                estimate = estimate_diameter(sample.read_image())
                guessed.setdefault(sample.source, []).extend([estimate] if estimate else [])
        except DataError:
            continue  # `prepare` will name it
        sizes: list[float] = []
        if labels is not None:
            inner = np.setdiff1d(labels, np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
            sizes = [2 * float(np.sqrt((labels == i).sum() / np.pi)) for i in inner if i > 0]
        elif sample.boxes:
            sizes = [float(np.sqrt((b.y1 - b.y0) * (b.x1 - b.x0))) for b in leukocyte_boxes(sample.boxes)]
        found.setdefault(sample.source, []).extend(sizes)
    told = guessed | {source: sizes for source, sizes in found.items() if sizes}
    return {source: float(np.median(sizes)) for source, sizes in told.items() if sizes}


def prepare(
    samples: Sequence[Sample],
    classes: Sequence[str],
    canonical_diameter: float,
    diameters: Mapping[str, float],
    prior: str,
    watch: Watch | None = None,
) -> tuple[list[PreparedSample], list[DataError]]:
    """Read samples into memory at one scale.

    Parameters
    ----------
    samples : sequence of Sample
        What to read.
    classes : sequence of str
        The model's classes; a cell of another class keeps its mask and has no class.
    canonical_diameter : float
        Of the model, in px.
    diameters : mapping of str to float
        Typical diameter in px for each source, see `typical_diameters`; a source that is not in it
        is taken to be at the canonical scale already.
    prior : str
        Name of the saliency prior.
    watch : callable, optional
        Called before each sample.

    Returns
    -------
    prepared : list of PreparedSample
        In the order of `samples`.
    failures : list of DataError
        Samples that could not be read.
    """
    index = {name: i for i, name in enumerate(classes)}
    prepared, failures = [], []
    for number, sample in enumerate(samples):
        if watch is not None:
            watch("reading images", number, len(samples))
        try:
            scale = MARGIN * canonical_diameter / diameters.get(sample.source, canonical_diameter)
            prepared.append(_prepare_one(sample, index, scale, prior))
        except DataError as error:
            failures.append(error)
    return prepared, failures


def _prepare_one(sample: Sample, index: Mapping[str, int], scale: float, prior: str) -> PreparedSample:
    image = sample.read_image()
    shape = tuple(max(8, round(side * scale)) for side in image.shape[:2])
    shrink = scale < 1
    small = resize(image, (*shape, 3), order=1, anti_aliasing=shrink, preserve_range=True)
    small = np.clip(np.rint(small), 0, 255).astype(np.uint8)
    labels, nucleus = sample.read_labels(), sample.read_nucleus()
    boxes = list(leukocyte_boxes(sample.boxes))
    if labels is not None:
        boxes = [b for b in boxes if not _has_mask(labels, (b.y0, b.x0, b.y1, b.x1))]
        labels = _resize_nearest(labels, shape).astype(np.int32)
    if nucleus is not None:
        nucleus = _resize_nearest(nucleus, shape).astype(bool)
    points = sample.points or ()
    classes = {label: index[c] for label, c in (sample.classes or {}).items() if c in index}
    marked = bool(classes or boxes or points)
    return PreparedSample(
        name=sample.name,
        source=sample.source,
        group=sample.group,
        image=small,
        prior=np.rint(255 * compute_prior(small, prior)).astype(np.uint8),
        labels=labels,
        nucleus=nucleus,
        class_of_label=classes,
        boxed=sample.boxes is not None,
        boxes=np.array([(b.y0, b.x0, b.y1, b.x1) for b in boxes], np.float32).reshape(-1, 4) * scale,
        box_classes=np.array([index.get(b.kind, UNKNOWN) for b in boxes], np.int64),
        points=np.array([(p.y, p.x) for p in points], np.float32).reshape(-1, 2) * scale,
        point_classes=np.array([index.get(p.kind, UNKNOWN) for p in points], np.int64),
        image_class=UNKNOWN if marked or not sample.image_class else index.get(sample.image_class, UNKNOWN),
    )


def _has_mask(labels: NDArray[np.int32], box: tuple[float, float, float, float]) -> bool:
    y0, x0, y1, x1 = (max(0, round(v)) for v in box)
    inside = labels[y0:y1, x0:x1] > 0
    return bool(inside.size and inside.mean() > 0.3)  # a round cell fills three quarters of its box


def _resize_nearest(array: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    return resize(array, shape, order=0, anti_aliasing=False, preserve_range=True)  # type: ignore[no-any-return]
