"""Pseudo-labels: a trained network outlines images that nobody outlined, where it is sure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from sgcldff_core.datasets.kinds import UNNAMED, leukocyte_boxes
from sgcldff_core.errors import ConfigError, DataError
from sgcldff_core.inference.classification import classify_cells
from sgcldff_core.inference.field import look_again, look_at
from sgcldff_core.inference.resampling import resize_labels, resize_map
from sgcldff_core.inference.scale import find_scale
from sgcldff_core.inference.tiling import DEFAULT_TILE
from sgcldff_core.sample import Raster
from sgcldff_core.training.prepared import UNSURE

if TYPE_CHECKING:
    from sgcldff_core.model import Model
    from sgcldff_core.sample import Box, Sample

__all__ = ["PseudoSettings", "label_weak_samples"]

_BOX_MARGIN = 0.05  # of a box's side: boxes drawn by hand are not exact


@dataclass(frozen=True, slots=True)
class PseudoSettings:
    """How sure the network has to be.

    Attributes
    ----------
    low, high : float
        Probability of a leukocyte below which a pixel is background and above which it is cell;
        between the two nothing is learned.
    firm : float
        Least mean probability over a cell's pixels; one below it is left open as a whole.
    named : float
        Confidence from which a class is believed.
    in_box : float
        Least IoU of a cell's extent with an annotated box, for the two to be the same cell.

    Raises
    ------
    ConfigError
        If one is out of range.
    """

    low: float = 0.2
    high: float = 0.8
    firm: float = 0.85
    named: float = 0.9
    in_box: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high < 1:
            raise ConfigError(f"low and high part pixels: 0 < low <= high < 1, got {self.low} and {self.high}")
        for name in ("firm", "named", "in_box"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be above 0 and at most 1, got {getattr(self, name)}")


def label_weak_samples(
    samples: Sequence[Sample],
    model: Model,
    settings: PseudoSettings = PseudoSettings(),
    *,
    diameter: float | None = None,
    report: Callable[[int, int], None] | None = None,
) -> tuple[list[Sample], list[DataError]]:
    """Outline the leukocytes of samples that have no masks, so that they can be learned from.

    Annotation that is there rules: where boxes were drawn, cells beside them are none, and a box in
    which no cell was found stays a box with unknown pixels; cells without any of the points that
    were set are left open, as is an image without boxes in which nothing was found.

    Parameters
    ----------
    samples : sequence of Sample
        Those with masks come back as they are.
    model : Model
        The teacher, on any device.
    settings : PseudoSettings
        How sure it has to be.
    diameter : float, optional
        Of a typical leukocyte in px; estimated for each image by default.
    report : callable, optional
        Called with samples done and samples in all.

    Returns
    -------
    labelled : list of Sample
        In the order of `samples`. Masks may hold `UNSURE`, which training leaves out and which
        nothing else reads: such samples are to be learned from, not to be judged on or written.
    failures : list of DataError
        Samples that could not be read.

    References
    ----------
    Lee, Pseudo-Label, ICML workshop 2013; Sohn et al., FixMatch, NeurIPS 2020 (only sure ones).
    """
    labelled, failures = [], []
    for number, sample in enumerate(samples):
        try:
            labelled.append(sample if sample.labels is not None else _label(sample, model, settings, diameter))
        except DataError as error:
            failures.append(error)
        if report:
            report(number + 1, len(samples))
    return labelled, failures


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What the teacher sees, at the image's own size; class and confidence by label."""

    probability: NDArray[np.float32]
    owner: NDArray[np.int32]
    nucleus: NDArray[np.bool_]
    named: dict[int, tuple[str, float]]


def _label(sample: Sample, model: Model, settings: PseudoSettings, diameter: float | None) -> Sample:
    seen = _look(sample.read_image(), model, diameter)
    labels = np.where((seen.probability > settings.low) | (seen.owner > 0), UNSURE, 0).astype(np.int32)
    firm = [cell for cell in seen.named if _firmness(seen, cell) >= settings.firm]
    kind_of: dict[int, str] = {}
    points = sample.points
    if sample.boxes is not None:
        kind_of = _match_boxes(seen, firm, list(leukocyte_boxes(sample.boxes)), settings, labels)
    elif points is not None:
        inside = [int(seen.owner[_pixel(p.y, p.x, labels.shape)]) for p in points]
        kind_of = {c: p.kind for p, c in zip(points, inside, strict=True) if c in firm and inside.count(c) == 1}
        points = tuple(p for p, c in zip(points, inside, strict=True) if c not in kind_of)
    else:
        kind_of = dict.fromkeys(firm, UNNAMED)
        if not firm:
            return sample
    for cell in kind_of:
        labels[(seen.owner == cell) & (seen.probability >= settings.high) & (labels == UNSURE)] = cell
    if len(kind_of) == 1 and sample.image_class:
        kind_of = dict.fromkeys(kind_of, sample.image_class)
    classes = {}
    for cell, kind in kind_of.items():
        guess, confidence = seen.named[cell]
        if kind != UNNAMED or confidence >= settings.named:
            classes[cell] = guess if kind == UNNAMED else kind
    return replace(
        sample,
        labels=Raster.of(labels),
        nucleus=Raster.of(seen.nucleus & (labels > 0)),
        classes=classes or None,
        points=points,
    )


def _look(image: NDArray[np.uint8], model: Model, diameter: float | None) -> _Seen:
    image = model.in_own_stain(image)
    if diameter is None:
        view = find_scale(image, model, tile=DEFAULT_TILE)
    else:
        view = look_at(image, model, diameter, tile=DEFAULT_TILE)
    view, _ = look_again(view, model, [(False, True)], tile=DEFAULT_TILE)
    probabilities = classify_cells(model, view.image, view.maps, view.labels).probabilities
    shape = (image.shape[0], image.shape[1])
    cell, nucleus = torch.sigmoid(view.maps.logits[:2]).cpu().numpy()
    names = model.config.classes
    return _Seen(
        probability=resize_map(cell, shape),
        owner=resize_labels(view.labels, shape),
        nucleus=resize_map(nucleus, shape) > 0.5,
        named={i + 1: (names[int(p.argmax())], float(p.max())) for i, p in enumerate(probabilities)},
    )


def _firmness(seen: _Seen, cell: int) -> float:
    inside = seen.probability[seen.owner == cell]  # nothing, where the image is much smaller than the canonical scale
    return float(inside.mean()) if inside.size else 0.0


def _match_boxes(
    seen: _Seen, firm: Sequence[int], boxes: Sequence[Box], settings: PseudoSettings, labels: NDArray[np.int32]
) -> dict[int, str]:
    """Return the cells that boxes show, with the kind that the boxes name.

    In `labels`, pixels beside all boxes become background, and a box without a cell becomes unsure.
    """
    kind_of: dict[int, str] = {}
    near = np.zeros(labels.shape, bool)
    extents = ndimage.find_objects(seen.owner)
    for box in boxes:
        margin = _BOX_MARGIN * max(box.y1 - box.y0, box.x1 - box.x0)
        around = box.window(labels.shape, margin)
        near[around] = True
        overlap = {c: _extent_iou(extents[c - 1], box) for c in firm if c not in kind_of and c <= len(extents)}
        best = max(overlap, key=lambda cell: overlap[cell], default=0)
        if best and overlap[best] >= settings.in_box:
            kind_of[best] = box.kind
        else:
            labels[box.window(labels.shape)] = UNSURE
    labels[~near] = 0
    return kind_of


def _extent_iou(extent: tuple[slice, slice] | None, box: Box) -> float:
    if extent is None:
        return 0.0
    rows, columns = extent
    height = min(rows.stop, box.y1) - max(rows.start, box.y0)
    width = min(columns.stop, box.x1) - max(columns.start, box.x0)
    if height <= 0 or width <= 0:
        return 0.0
    both = height * width
    own = (rows.stop - rows.start) * (columns.stop - columns.start)
    return float(both / (own + (box.y1 - box.y0) * (box.x1 - box.x0) - both))


def _pixel(y: float, x: float, shape: tuple[int, ...]) -> tuple[int, int]:
    return min(max(int(y), 0), shape[0] - 1), min(max(int(x), 0), shape[1] - 1)
