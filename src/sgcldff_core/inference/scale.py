"""How large a cell is in an image of unknown magnification."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sgcldff_core.inference.field import FieldView, look_at
from sgcldff_core.saliency import estimate_diameter

if TYPE_CHECKING:
    from sgcldff_core.model import Model

__all__ = ["diameter_of_cells", "diameter_of_places", "find_scale"]

# Measured with the first model on images of Zheng and BCCD and on synthetic fields of touching
# cells. Whatever is assumed between 0.65 and 1.6 times the true diameter, the cells that are found
# tell it within 15 %. Coarser, single cells are still found, and four times cheaper, but a cluster
# is taken for one cell; finer, platelets on red cells are taken for cells. Outlines and names are
# best between 1 and 1.25 times the diameter of the image's own cells, which may all be lymphocytes
# and smaller than the typical cell.
_COARSE = 1.6  # first look, over what the stain suggests
_MOST_ACROSS = 8  # cells along the shorter side, in the first look at a large field
_STEP = 2.2  # to the next finer look where nothing was found
_FINEST = 0.6  # of what the stain suggests: where that search ends
_CLOSER = 0.7  # at the largest thing that was found, over its own diameter
_ONE_CELL = 0.85  # what is found in it has at least this share of its diameter, if it is one cell
_CLOSER_LOOKS = 5
_AIM = 1.15  # last look, over the diameter that was found
_ACCEPTED = (0.85, 1.45)  # assumed over found: in this range a look needs no other
_SMALLEST = 12.0  # px: less than that is no picture of a cell


def find_scale(
    image: NDArray[np.uint8], model: Model, *, tile: int, progress: Callable[[int, int], None] | None = None
) -> FieldView:
    """Look at a field whose magnification is not known, as often as it takes to know it.

    A first, coarse and therefore cheap look assumes large cells. A closer look at the largest thing
    that it found tells a cell from a cluster of cells, and is repeated inside a cluster. The last
    look, at the whole field, takes the diameter so found. Where nothing is found, finer looks
    follow down to what the stain suggests.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    model : Model
        On any device.
    tile : int
        Side of a tile in px at the canonical scale.
    progress : callable, optional
        Called with tiles done and tiles in all, anew for each look.

    Returns
    -------
    FieldView
        With the diameter that was settled on; without cells, that of the last look.
    """
    side = min(image.shape[:2])
    suggested = estimate_diameter(image) or side / 4
    finest = max(_FINEST * suggested, _SMALLEST)
    diameter = max(_COARSE * suggested, side / _MOST_ACROSS, finest)
    view = look_at(image, model, diameter, tile=tile, progress=progress)
    while not view.labels.any() and diameter > finest:
        diameter = max(diameter / _STEP, finest)
        view = look_at(image, model, diameter, tile=tile, progress=progress)
    if not view.labels.any():
        return view
    found, single = _diameter_of_single_cells(image, view, model, tile)
    for _ in range(2):
        if single and _ACCEPTED[0] <= view.diameter / found <= _ACCEPTED[1]:
            break
        view = look_at(image, model, max(_AIM * found, _SMALLEST), tile=tile, progress=progress)
        found, single = _diameter_in_image(view, model) or found, True
    return view


def diameter_of_places(views: Iterable[FieldView], enough: int) -> float:
    """Return the diameter of a typical cell of what is too large to be looked at as a whole.

    Parameters
    ----------
    views : iterable of FieldView
        Of some places, each found by `find_scale`; no more are asked for than it takes.
    enough : int
        Places with cells after which it ends.

    Returns
    -------
    float
        In px: the median over the places where there are cells. Without any, what the stain of the
        last place suggests; 0 without places.
    """
    found, last = [], 0.0
    for view in views:
        last = view.diameter
        if view.labels.any():
            found.append(view.diameter)
        if len(found) == enough:
            break
    return float(np.median(found)) if found else last


def _diameter_in_image(view: FieldView, model: Model) -> float | None:
    found = diameter_of_cells(view.labels)
    return None if found is None else found * view.diameter / model.config.canonical_diameter


def _diameter_of_single_cells(image: NDArray[np.uint8], view: FieldView, model: Model, tile: int) -> tuple[float, bool]:
    """Return the diameter of the cells in px of the image, and whether `view` shows them one by one."""
    scale = view.diameter / model.config.canonical_diameter
    largest = int(np.bincount(view.labels.ravel())[1:].argmax()) + 1
    whole = (diameter_of_cells(view.labels == largest) or 1.0) * scale
    part = _surroundings(image, ndimage.find_objects(view.labels)[largest - 1], scale)
    diameter = whole
    for _ in range(_CLOSER_LOOKS):
        closer = look_at(part, model, max(_CLOSER * diameter, _SMALLEST), tile=tile)
        found = _diameter_in_image(closer, model)
        if found is not None and found >= _ONE_CELL * diameter:
            break
        diameter = found or diameter / 2  # a cluster; what it consists of may be clusters still
    if diameter < whole:
        return diameter, False
    return _diameter_in_image(view, model) or whole, True


def _surroundings(image: NDArray[np.uint8], box: tuple[slice, slice], scale: float) -> NDArray[np.uint8]:
    around = []
    for side in box:
        margin = 0.2 * (side.stop - side.start)
        around.append(slice(max(0, int(scale * (side.start - margin))), int(np.ceil(scale * (side.stop + margin)))))
    return image[tuple(around)]


def diameter_of_cells(labels: NDArray[np.int32] | NDArray[np.bool_]) -> float | None:
    """Return the typical diameter of labelled cells, each counted by its area.

    So a few fragments beside whole cells do not matter. A cell that the border cuts is as wide as
    the longer side of its box; a whole one has the diameter of a disc of its area.

    Parameters
    ----------
    labels : ndarray
        (H, W) int32, or bool for one cell.

    Returns
    -------
    float or None
        In px of `labels`; None without cells.
    """
    labels = labels.astype(np.int32, copy=False)
    area = np.bincount(labels.ravel())[1:].astype(float)
    if not area.any():
        return None
    height, width = labels.shape
    diameter = np.sqrt(4 / np.pi * area)
    for index, box in enumerate(ndimage.find_objects(labels)):
        if box and (box[0].start == 0 or box[1].start == 0 or box[0].stop == height or box[1].stop == width):
            diameter[index] = max(box[0].stop - box[0].start, box[1].stop - box[1].start)
    return float((diameter * area).sum() / area.sum())
