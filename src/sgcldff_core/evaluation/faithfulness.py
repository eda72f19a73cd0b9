"""Does the name of a cell rest on what a map shows? Take it away, or bring it back, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch.nn import functional as F

from sgcldff_core.inference.forward import evaluating, network_input
from sgcldff_core.model import FUSED_STRIDE
from sgcldff_core.saliency import compute_prior

if TYPE_CHECKING:
    from sgcldff_core.inference.encoded_part import EncodedPart
    from sgcldff_core.inference.map_placement import Window
    from sgcldff_core.model import Model

__all__ = ["CellOnTrial", "Faithfulness", "measure_faithfulness"]

STEPS = 10
"""Parts in which the pixels around a cell are taken away."""

_BLUR = 0.2  # of a typical diameter, standard deviation: no lobe and no granule is left
_AT_ONCE = 8  # images


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """What taking away and bringing back pixels in the order of a map does to a cell's class.

    Attributes
    ----------
    deletion : float
        In [0, 1], mean probability of the class while pixels turn into empty background, the
        strongest first; low where the map names what matters.
    insertion : float
        In [0, 1], the same while pixels return to a blurred image; high where it does.
    """

    deletion: float
    insertion: float


@dataclass(frozen=True, slots=True, eq=False)
class CellOnTrial:
    """A cell whose surroundings are altered while its outline is held fixed.

    Attributes
    ----------
    model : Model
        With its network.
    image : ndarray
        (h, w, 3) uint8, the part of the field at the canonical scale.
    inside, nucleus : Tensor
        (k, l) float in [0, 1], the soft masks that the classification head pools by, as found in the
        image as it is. Nothing but the class may change.
    kind : int
        The class.
    region : tuple of slice
        Rows and columns that are altered: the cell and half its side around it.
    empty : ndarray
        (3,) uint8, the colour of the background, the median outside all cells.
    """

    model: Model
    image: NDArray[np.uint8]
    inside: torch.Tensor
    nucleus: torch.Tensor
    kind: int
    region: Window
    empty: NDArray[np.uint8]

    @classmethod
    def of(
        cls, model: Model, image: NDArray[np.uint8], part: EncodedPart, cell: int, kind: int, region: Window
    ) -> CellOnTrial:
        """Take a cell out of a part of a field.

        Parameters
        ----------
        model : Model
            The one whose network made `part`.
        image : ndarray
            (h, w, 3) uint8, the part's own pixels.
        part : EncodedPart
            As the network sees it.
        cell : int
            As it is numbered in the field.
        kind : int
            The class.
        region : tuple of slice
            Rows and columns of the part.
        """
        own = (part.labels == cell).float()
        inside, nucleus = F.avg_pool2d(part.logits[0, :2].sigmoid() * own, FUSED_STRIDE)
        free = (part.labels[: image.shape[0], : image.shape[1]] == 0).cpu().numpy()
        pixels = image[free] if free.any() else image.reshape(-1, 3)
        return cls(model, image, inside, nucleus, kind, region, np.median(pixels, 0).astype(np.uint8))

    def probabilities(self, images: list[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Return the calibrated probability of the class in altered images, prior and all computed anew.

        Parameters
        ----------
        images : list of ndarray
            (h, w, 3) uint8 each.
        """
        network, found = self.model.network, []
        with torch.no_grad(), evaluating(network):
            for start in range(0, len(images), _AT_ONCE):
                some = images[start : start + _AT_ONCE]
                inputs = [network_input(network, i, compute_prior(i, self.model.config.prior)) for i in some]
                x, prior = (torch.cat(parts) for parts in zip(*inputs, strict=True))
                _, levels = network.encode(x, prior)
                fused = network.fuse(levels, prior)
                cells, nuclei = (mask.expand(len(some), -1, -1) for mask in (self.inside, self.nucleus))
                logits, _ = network.classify(fused, cells, nuclei, torch.arange(len(some), device=fused.device))
                found.append((logits / self.model.temperature).softmax(1)[:, self.kind].double().cpu().numpy())
        return np.concatenate(found)


def measure_faithfulness(trial: CellOnTrial, activation: NDArray[np.floating], *, steps: int = STEPS) -> Faithfulness:
    """Delete and insert the pixels around a cell in the order of a map.

    Parameters
    ----------
    trial : CellOnTrial
        The cell.
    activation : ndarray
        (h, w) float on the part; pixels of the same value are taken in random order, the same each time.
    steps : int
        Parts of equal size in which the pixels of the region are altered.

    Returns
    -------
    Faithfulness
        Areas under both curves, by the trapezoid rule over the share of pixels from 0 to 1.

    References
    ----------
    Petsiuk et al., RISE, BMVC 2018.
    """
    place = trial.region
    values = activation[place].ravel()
    shuffled = np.random.default_rng(0).permutation(values.size)
    order = shuffled[np.argsort(-values[shuffled], kind="stable")]
    ranks = np.empty(values.size, np.intp)
    ranks[order] = np.arange(values.size)
    rank = ranks.reshape(activation[place].shape)
    sigma = _BLUR * trial.model.config.canonical_diameter
    blurred = ndimage.gaussian_filter(trial.image, (sigma, sigma, 0))
    deleted: list[NDArray[np.uint8]] = []
    inserted: list[NDArray[np.uint8]] = []
    for step in range(steps + 1):
        first = (rank < values.size * step / steps)[..., None]
        for goal, before, after in (
            (deleted, trial.image, np.broadcast_to(trial.empty, trial.image.shape)),
            (inserted, blurred, trial.image),
        ):
            altered = trial.image.copy()
            altered[place] = np.where(first, after[place], before[place])
            goal.append(altered)
    curves = trial.probabilities([*deleted, *inserted]).reshape(2, steps + 1)
    lost, gained = (float(np.trapezoid(curve, dx=1 / steps)) for curve in curves)
    return Faithfulness(lost, gained)
