"""What each cell is: by the fused map inside its outline and its nucleus, and by an atlas where there is one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sgcldff_core.explain.gradcam import class_evidence
from sgcldff_core.inference.forward import FieldMaps, evaluating
from sgcldff_core.inference.windows import cell_windows
from sgcldff_core.model.cell_measures import measure_cells

if TYPE_CHECKING:
    from sgcldff_core.model import Model

__all__ = ["Classification", "classify_cells"]


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """What the cells of a field are; row i is of label i + 1.

    Attributes
    ----------
    probabilities : ndarray
        (N, classes) float32, calibrated; rows sum to 1.
    evidence : ndarray
        (N, C) float32, weight of each channel of the fused map for the class of the name.
    """

    probabilities: NDArray[np.float32]
    evidence: NDArray[np.float32]


def classify_cells(
    model: Model, image: NDArray[np.uint8], maps: FieldMaps, labels: NDArray[np.int32]
) -> Classification:
    """Name every cell of a field, and keep what spoke for the name.

    Parameters
    ----------
    model : Model
        The one whose network made `maps`; its mode is left as it was.
    image : ndarray
        (H, W, 3) uint8 RGB, the field at the canonical scale; on it an atlas measures cells.
    maps : FieldMaps
        Of the field.
    labels : ndarray
        (H, W) int32, the field's cells numbered 1..N.

    Returns
    -------
    Classification
        Of the N cells.
    """
    count = int(labels.max(initial=0))
    probabilities = np.zeros((count, len(model.config.classes)), np.float32)
    evidence = np.zeros((count, maps.fused.shape[0]), np.float32)
    with evaluating(_head(model)):
        for windows in cell_windows(maps, labels):
            logits, weights = class_evidence(model.network, windows.fused, windows.cells, windows.nuclei)
            at = windows.labels - 1
            probabilities[at] = (logits / model.temperature).softmax(1).cpu().numpy()
            evidence[at] = weights.cpu().numpy()
        if model.atlas is None or not count:
            return Classification(probabilities, evidence)
        by_network, nucleus = probabilities.argmax(axis=1), (maps.logits[1] > 0).cpu().numpy()
        measures = measure_cells(image, labels, nucleus, model.config.canonical_diameter)
        probabilities = model.atlas.opinion(measures, probabilities, model.config.classes)
        names = probabilities.argmax(axis=1)
        for windows in cell_windows(maps, labels) if (names != by_network).any() else ():
            at = windows.labels - 1
            other = np.flatnonzero(names[at] != by_network[at])  # what speaks for the name that both gave
            if not len(other):
                continue
            fused, cells, nuclei = (part[other] for part in (windows.fused, windows.cells, windows.nuclei))
            asked = torch.as_tensor(names[at[other]], device=fused.device)
            evidence[at[other]] = class_evidence(model.network, fused, cells, nuclei, asked)[1].cpu().numpy()
    return Classification(probabilities, evidence)


def _head(model: Model) -> nn.Module:
    # To ask hundreds of parts for their mode costs as much as to name a cell; the head has a handful.
    head: nn.Module = getattr(model.network, "classification", model.network)
    return head
