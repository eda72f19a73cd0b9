"""How well a model does on images that nobody annotated: signs that go with good outlines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from sgcldff_core.inference.field import look_again
from sgcldff_core.inference.resampling import resize_map
from sgcldff_core.inference.scale import find_scale
from sgcldff_core.inference.tiling import DEFAULT_TILE
from sgcldff_core.saliency import compute_prior

if TYPE_CHECKING:
    from sgcldff_core.inference.field import FieldView
    from sgcldff_core.model import Model

__all__ = ["Look", "UnsupervisedScore", "agreement", "look_at_all", "score"]

_SALIENT = 0.5
_ONE_MIRROR = [(False, True)]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One image as one model sees it.

    Attributes
    ----------
    view : FieldView
        At the canonical scale, mean of the image and its mirror image.
    direct, mirrored : ndarray
        (h, w) bool, leukocytes without and with a mirror.
    salient : ndarray
        (h, w) bool, what is salient in the image as it came, before any change of its stain.
    """

    view: FieldView
    direct: NDArray[np.bool_]
    mirrored: NDArray[np.bool_]
    salient: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class UnsupervisedScore:
    """Signs of good outlines, each a mean over images in [0, 1].

    The prior knows nothing of a crowd of purple red cells, so that better outlines may agree less with it:
    it has no part in the total, but vetoes outlines that leave what is salient altogether.

    Attributes
    ----------
    found : float
        Share of the images in which there is a cell.
    firm : float
        IoU of the outlines as they are and in the mirror.
    sure : float
        Mean of ``|2 p - 1|`` over cells and what is near them.
    salient : float
        IoU of the outlines and what is salient before any network looks.
    """

    found: float
    firm: float
    sure: float
    salient: float

    @property
    def total(self) -> float:
        """Geometric mean of found, firm and sure: one that fails is not made up for by the others."""
        return float(np.prod([self.found, self.firm, self.sure]) ** (1 / 3))


def look_at_all(images: Sequence[NDArray[np.uint8]], model: Model) -> list[Look]:
    """Predict images as `sgcldff predict` does, and keep what the score needs.

    Parameters
    ----------
    images : sequence of ndarray of uint8, shape (H, W, 3)
        RGB, of any size each.
    model : Model
        What looks at them, by its own diameter and in its own stain.

    Returns
    -------
    list of Look
        One an image, in their order.
    """
    looks = []
    for image in images:
        shown = model.in_own_stain(image)
        direct = find_scale(shown, model, tile=DEFAULT_TILE)
        view, mirrored = look_again(direct, model, _ONE_MIRROR, tile=DEFAULT_TILE)
        salient = resize_map(compute_prior(image, model.config.prior), view.prior.shape) > _SALIENT
        looks.append(Look(view, direct.foreground, mirrored.foreground, salient))
    return looks


def score(looks: Sequence[Look]) -> UnsupervisedScore:
    """Put the signs together over images.

    Parameters
    ----------
    looks : sequence of Look
        At least one.

    Returns
    -------
    UnsupervisedScore
        Means over the images, each in [0, 1].
    """
    return UnsupervisedScore(
        found=float(np.mean([bool(look.view.labels.any()) for look in looks])),
        firm=float(np.mean([_iou(look.direct, look.mirrored) for look in looks])),
        sure=float(np.mean([_sureness(look.view) for look in looks])),
        salient=float(np.mean([_iou(look.view.foreground, look.salient) for look in looks])),
    )


def agreement(before: Sequence[Look], after: Sequence[Look]) -> float:
    """Return how alike two models outline the same images, each at the scale that it finds.

    Parameters
    ----------
    before, after : sequence of Look
        Of the same images in the same order, at least one.

    Returns
    -------
    float
        Mean IoU over the images, 1 where neither finds anything.
    """
    alike = []
    for one, other in zip(before, after, strict=True):
        cells, theirs = one.view.foreground, other.view.foreground
        if cells.any() or theirs.any():
            alike.append(_iou(cells, resize_map(theirs.astype(np.float32), cells.shape) > 0.5))
        else:
            alike.append(1.0)
    return float(np.mean(alike))


def _sureness(view: FieldView) -> float:
    probability = torch.sigmoid(view.maps.logits[0]).cpu().numpy()
    near = ndimage.binary_dilation((view.labels > 0) | (probability > 0.1), iterations=8)
    return float(np.abs(2 * probability - 1)[near].mean()) if near.any() else 0.0


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / union if union else 0.0
