"""How large a cell is in an image of unknown magnification."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from sgcldff_core.inference.field import FieldView, look_at
from sgcldff_core.inference.resampling import resize_image
from sgcldff_core.saliency import compute_prior

if TYPE_CHECKING:
    from sgcldff_core.model import Model

__all__ = ["diameter_from_prior", "diameter_of_cells", "find_scale"]

_LONGEST_SIDE = 480  # enough to see a cell's size, and quick
_TOLERANCE = 1.3  # the network was trained on cells up to this much smaller and larger, and more


def find_scale(
    image: NDArray[np.uint8], model: Model, *, tile: int, progress: Callable[[int, int], None] | None = None
) -> FieldView:
    """Look at a field whose magnification is not known.

    A first look takes the diameter that the saliency prior suggests. If the cells it finds are
    not of the canonical size within a factor of 1.3, a second look takes theirs.

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
        With the diameter that was settled on.
    """
    canonical = model.config.canonical_diameter
    guess = diameter_from_prior(image, model.config.prior) or canonical
    view = look_at(image, model, guess, tile=tile, progress=progress)
    found = diameter_of_cells(view.labels)
    if found is None or 1 / _TOLERANCE < found / canonical < _TOLERANCE:
        return view
    return look_at(image, model, guess * found / canonical, tile=tile, progress=progress)


def diameter_of_cells(labels: NDArray[np.int32]) -> float | None:
    """Return the median equivalent diameter of cells, of whole ones where there are any.

    Parameters
    ----------
    labels : ndarray
        (H, W) int32.

    Returns
    -------
    float or None
        In px of `labels`; None without cells.
    """
    area = np.bincount(labels.ravel())[1:]
    if not area.any():
        return None
    rim = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    whole = np.delete(area, rim[rim > 0] - 1)
    whole = whole[whole > 0]
    return float(np.sqrt(4 / np.pi * np.median(whole if len(whole) else area[area > 0])))


def diameter_from_prior(image: NDArray[np.uint8], method: str) -> float | None:
    """Guess the diameter of a typical leukocyte from the saliency prior alone.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    method : str
        Name of the prior.

    Returns
    -------
    float or None
        In px of `image`; None where nothing stands out.
    """
    shrink = min(1.0, _LONGEST_SIDE / max(image.shape[:2]))
    shape = (max(1, round(image.shape[0] * shrink)), max(1, round(image.shape[1] * shrink)))
    prior = compute_prior(resize_image(image, shape), method)
    if prior.max() - prior.min() < 0.05:
        return None
    salient = ndimage.binary_opening(prior > threshold_otsu(prior), iterations=1)
    pieces, count = ndimage.label(salient)
    if not count:
        return None
    area = np.bincount(pieces.ravel())[1:].astype(float)
    order = np.argsort(area)
    # Half of all salient area lies in pieces at least this large: specks do not count, clumps do little.
    middle = np.searchsorted(np.cumsum(area[order]), area.sum() / 2)
    return float(2 * np.sqrt(area[order][middle] / np.pi) / shrink)
