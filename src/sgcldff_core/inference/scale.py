"""How large a cell is in an image of unknown magnification."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sgcldff_core.inference.field import FieldView, look_at
from sgcldff_core.saliency import estimate_diameter

if TYPE_CHECKING:
    from sgcldff_core.model import Model

__all__ = ["diameter_of_cells", "find_scale"]

# Measured on images of Zheng and BCCD: whatever is assumed between 0.57 and 2 times the true
# diameter, the cells that are found tell it within 15 % (10th to 90th percentile). Too coarse is
# safer than too fine, where platelets look like cells, and cheaper: outlines and names are best
# between 1 and 1.25 times the diameter of the image's own cells, which may all be lymphocytes and
# smaller than the typical cell.
_AIM = 1.15
_ACCEPTED = (0.9, 1.5)  # a look at an assumed diameter in this range over the one found is the last
_COARSER = 2.0  # than the stain suggests: the first look
_STEP = 2.2  # to the next finer look where nothing was found
_LOOKS = 6
_MOST_ACROSS = 8  # cells along the shorter side, in the first look at a large field
_FINEST = 0.6  # of what the stain suggests: where the search ends
_SMALLEST = 12.0  # px: less than that is no picture of a cell


def find_scale(
    image: NDArray[np.uint8], model: Model, *, tile: int, progress: Callable[[int, int], None] | None = None
) -> FieldView:
    """Look at a field whose magnification is not known, as often as it takes to know it.

    A first, coarse and therefore cheap look assumes large cells; what it finds gives the diameter
    for the next. A look is the last one when its cells are of about the canonical size, or a
    little smaller. Where nothing is found, finer looks follow down to what the stain suggests.

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
    diameter = max(_COARSER * suggested, side / _MOST_ACROSS, _SMALLEST)
    finest = max(_FINEST * suggested, _SMALLEST)
    for remaining in range(_LOOKS - 1, -1, -1):
        view = look_at(image, model, diameter, tile=tile, progress=progress)
        found = diameter_of_cells(view.labels)
        if found is None:
            if diameter <= finest:
                break
            following = max(diameter / _STEP, finest)
        else:
            ratio = model.config.canonical_diameter / found
            if _ACCEPTED[0] <= ratio <= _ACCEPTED[1]:
                break
            following = max(_AIM * diameter / ratio, _SMALLEST)
        if not remaining:
            break
        diameter = following
    return view


def diameter_of_cells(labels: NDArray[np.int32]) -> float | None:
    """Return the typical diameter of labelled cells, each counted by its area.

    So a few fragments beside whole cells do not matter. A cell that the border cuts is as wide as
    the longer side of its box; a whole one has the diameter of a disc of its area.

    Parameters
    ----------
    labels : ndarray
        (H, W) int32.

    Returns
    -------
    float or None
        In px of `labels`; None without cells.
    """
    area = np.bincount(labels.ravel())[1:].astype(float)
    if not area.any():
        return None
    height, width = labels.shape
    diameter = np.sqrt(4 / np.pi * area)
    for index, box in enumerate(ndimage.find_objects(labels)):
        if box and (box[0].start == 0 or box[1].start == 0 or box[0].stop == height or box[1].stop == width):
            diameter[index] = max(box[0].stop - box[0].start, box[1].stop - box[1].start)
    return float((diameter * area).sum() / area.sum())
