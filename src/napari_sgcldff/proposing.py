"""A cell proposed by the model where somebody clicks, as work for the background."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sgcldff.torch_loading import load_torch

if TYPE_CHECKING:
    import pandas as pd

    from napari_sgcldff.tasks import Report
    from sgcldff_core.inference import Proposal

__all__ = ["Request", "propose", "what_is_known"]

_NOT_OF_A_CELL = ("image", "label", "class_set")


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """Where to look for a cell, and with what.

    Attributes
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    taken : ndarray
        (H, W) bool, pixels of cells that are there already.
    point : tuple of float
        Row and column in px.
    model : str
        Name or folder; empty for the model that ships.
    diameter : float
        Of a typical cell in px; 0 if it is not known.
    areas : ndarray
        Areas of the cells that are there already, in px; they tell the diameter where it is not known.
    """

    image: NDArray[np.uint8]
    taken: NDArray[np.bool_]
    point: tuple[float, float]
    model: str
    diameter: float
    areas: NDArray[np.floating]


def propose(request: Request, report: Report) -> Proposal | None:
    """Outline and name the cell at a point; None where the model sees none.

    Parameters
    ----------
    request : Request
        Where.
    report : callable
        See `napari_sgcldff.tasks.Report`.
    """
    report("loading the model", 0, 0)
    load_torch()
    # Imported here, in the worker's thread, because they bring torch.
    from sgcldff_core.inference import propose_cell
    from sgcldff_core.model import load_model
    from sgcldff_core.saliency import estimate_diameter

    model = load_model(request.model or None)
    diameter = request.diameter
    if not diameter and len(request.areas):
        diameter = float(np.sqrt(4 / np.pi * np.median(request.areas)))
    if not diameter:
        diameter = estimate_diameter(request.image) or min(request.image.shape[:2]) / 4
    return propose_cell(request.image, model, request.point, diameter, taken=request.taken, progress=report)


def what_is_known(cells: pd.DataFrame) -> dict[str, Any]:
    """Return what a table with one cell tells of it, but its place and name.

    Parameters
    ----------
    cells : DataFrame
        One row, with the columns of ``cells.csv``.
    """
    (row,) = cells.to_dict("records")
    return {str(name): value for name, value in row.items() if name not in _NOT_OF_A_CELL}
