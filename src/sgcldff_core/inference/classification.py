"""What each cell is: pool the fused map inside its outline and its nucleus."""

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

if TYPE_CHECKING:
    from sgcldff_core.model import Model

__all__ = ["Classification", "class_probabilities", "classify_cells"]


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """What the cells of a field are; row i is of label i + 1.

    Attributes
    ----------
    probabilities : ndarray
        (N, classes) float32, calibrated; rows sum to 1.
    evidence : ndarray
        (N, C) float32, weight of each channel of the fused map for the most probable class.
    features : ndarray
        (N, F) float32, what the head's last layer is given; F is 0 where there is no cell.
    """

    probabilities: NDArray[np.float32]
    evidence: NDArray[np.float32]
    features: NDArray[np.float32]


def classify_cells(model: Model, maps: FieldMaps, labels: NDArray[np.int32]) -> Classification:
    """Name every cell of a field, and keep what spoke for the name.

    Parameters
    ----------
    model : Model
        The one whose network made `maps`; its mode is left as it was.
    maps : FieldMaps
        Of the field.
    labels : ndarray
        (H, W) int32, the field's cells numbered 1..N.

    Returns
    -------
    Classification
        Of the N cells.
    """
    rows = np.zeros(0, np.intp)
    found = [torch.zeros(0, len(model.config.classes)), torch.zeros(0, maps.fused.shape[0]), torch.zeros(0, 0)]
    with evaluating(_head(model)):
        for windows in cell_windows(maps, labels):
            new = class_evidence(model.network, windows.fused, windows.cells, windows.nuclei)
            rows = np.concatenate([rows, windows.labels])
            found = [
                torch.cat([known, part.cpu()]) if len(known) else part.cpu()
                for known, part in zip(found, new, strict=True)
            ]
    order = np.argsort(rows)
    logits, weights, features = found
    probabilities = (logits / model.temperature).softmax(1)
    return Classification(probabilities.numpy()[order], weights.numpy()[order], features.numpy()[order])


def class_probabilities(model: Model, maps: FieldMaps, labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Name every cell of a field, without asking what spoke for the name.

    Parameters
    ----------
    model, maps, labels
        As for `classify_cells`.

    Returns
    -------
    ndarray
        (N, classes) float32, calibrated; rows sum to 1.
    """
    probabilities = np.zeros((int(labels.max(initial=0)), len(model.config.classes)), np.float32)
    with evaluating(_head(model)), torch.inference_mode():
        for windows in cell_windows(maps, labels):
            own_window = torch.arange(len(windows.fused), device=windows.fused.device)
            logits, _ = model.network.classify(windows.fused, windows.cells, windows.nuclei, own_window)
            probabilities[windows.labels - 1] = (logits / model.temperature).softmax(1).cpu().numpy()
    return probabilities


def _head(model: Model) -> nn.Module:
    # To ask hundreds of parts for their mode costs as much as to name a cell; the head has a handful.
    head: nn.Module = getattr(model.network, "classification", model.network)
    return head
