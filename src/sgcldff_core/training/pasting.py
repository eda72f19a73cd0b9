"""Copy-paste of leukocytes: more neighbours, more backgrounds, more of the rare classes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

if TYPE_CHECKING:
    from sgcldff_core.training.views import View

__all__ = ["paste_cell"]


def paste_cell(view: View, donor: View, label: int, rng: np.random.Generator) -> View:
    """Put one cell of another view into a view.

    The cell keeps the light that its stain takes away, under the lamp of the view it comes into
    (colours are ratios to each image's own background, by the law of Beer and Lambert). Its place
    is where the donor view shows it.

    Parameters
    ----------
    view : View
        Receives the cell; must have masks, and nuclei only where the donor has them too.
    donor : View
        Shows the cell, with masks, at the same size.
    label : int
        The cell in `donor`.
    rng : Generator
        Decides how soft the seam is.

    Returns
    -------
    View
        With the cell under a new label; unchanged if the cell would hide much of another one, or
        shows too little of itself.
    """
    if view.labels is None or donor.labels is None or (view.nucleus is not None and donor.nucleus is None):
        return view
    mask = (donor.labels == label) & view.inside
    covered = (view.labels[mask] > 0).sum()
    if mask.sum() < 64 or covered > 0.15 * mask.sum() or (covered and covered > 0.15 * (view.labels > 0).sum()):
        return view
    light = (_background(view) / _background(donor)).clamp(0.5, 2)
    soft = tv.gaussian_blur(mask[None].float(), [5, 5], [float(rng.uniform(0.5, 1.2))])
    new = int(view.labels.max()) + 1
    nucleus = view.nucleus
    if nucleus is not None and donor.nucleus is not None:
        nucleus = torch.where(mask, donor.nucleus, nucleus)
    known = {new: donor.class_of_label[label]} if label in donor.class_of_label else {}
    return replace(
        view,
        image=(view.image * (1 - soft) + (donor.image * light).clamp(0, 1) * soft),
        prior=view.prior * (1 - soft) + donor.prior * soft,
        labels=torch.where(mask, new, view.labels),
        nucleus=nucleus,
        class_of_label=view.class_of_label | known,
    )


def _background(view: View) -> Tensor:
    pixels = view.image[:, view.inside]
    if pixels.shape[1] == 0:
        return torch.ones(3, 1, 1)
    return pixels.quantile(0.9, dim=1).clamp_min(0.05).view(3, 1, 1)
