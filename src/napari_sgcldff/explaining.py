"""Asking the model why cells have their names, and showing the answer on the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sgcldff.layers import KEY
from napari_sgcldff.torch_loading import load_torch
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from napari.types import LayerDataTuple
    from napari.utils.colormaps import Colormap

    from napari_sgcldff.cell_pictures import CellPicture
    from napari_sgcldff.tasks import Report
    from sgcldff_core.inference.explain_cell import CellExplanation

__all__ = ["LEVELS", "Answer", "Question", "answer", "gradcam_layer", "model_and_diameter"]

LEVELS: tuple[tuple[str, int | None, str], ...] = (
    ("fused map (where it is decided)", None, "The map on which cells are named: all levels put together."),
    ("stride 4 (texture)", 4, "Finest level: edges, granules, chromatin. It sees the same texture in red cells."),
    ("stride 8 (small parts)", 8, "Parts of a nucleus, lobes, single granules in a cluster."),
    ("stride 16 (large parts)", 16, "Nucleus, cytoplasm and how they lie together."),
    ("stride 32 (whole cell)", 32, "Coarsest level: the cell as a whole and what is around it."),
)
"""Levels to explain on: title, stride, and what is seen on it."""

_FULL = 0.3  # evidence from which on its colour is opaque


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """What is asked.

    Attributes
    ----------
    picture : CellPicture
        The labels and the image below them.
    label : int or None
        The cell; None for all of them.
    kind : str
        Class to explain; empty for each cell's own name.
    level : int or None
        Stride of the level; None for the fused map.
    model : str
        Name or folder of the model; empty for the shipped one.
    diameter : float
        Of a typical leukocyte in px; 0 to take it from the labels.
    source : str
        ``unique_id`` of the image layer.
    name : str
        Of the image layer.
    """

    picture: CellPicture
    label: int | None
    kind: str
    level: int | None
    model: str
    diameter: float
    source: str
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the model said.

    Attributes
    ----------
    question : Question
        What was asked.
    cells : list of CellExplanation
        In ascending order of label.
    image : ndarray
        (h, w, 3) uint8, the part of the image that was read.
    corner : tuple of int
        Where its first pixel is in the picture.
    classes : tuple of str
        Of the model.
    model : str
        Its name.
    diameter : float
        In px, as given or as taken from the labels.
    """

    question: Question
    cells: list[CellExplanation]
    image: NDArray[np.uint8]
    corner: tuple[int, int]
    classes: tuple[str, ...]
    model: str
    diameter: float


def model_and_diameter(about: dict[str, Any], model: str, diameter: float) -> tuple[str, float]:
    """Return with which model, and at which diameter, cells are to be explained.

    Parameters
    ----------
    about : dict
        What the layer's metadata tell of how it was made; empty for a layer of another origin.
    model, diameter : str, float
        Those of the session.

    Returns
    -------
    model : str
        Name or folder; empty for the shipped one.
    diameter : float
        In px; 0 where it is not known.
    """
    made_by = str(about.get("model", ""))
    if not made_by or Path(model).name == made_by:  # the session knows the folder, the layer only the name
        made_by = model
    return made_by, float(about.get("diameter", diameter))


def answer(question: Question, report: Report) -> Answer:
    """Ask the model; for a thread of its own.

    Parameters
    ----------
    question : Question
        What is asked.
    report : callable
        Told of the progress; raises to stop.

    Raises
    ------
    ConfigError
        If there is no cell, or the model does not know the class.
    """
    report("reading", 0, 0)
    image, labels, corner = question.picture.read(question.label)
    if not labels.any():
        raise ConfigError("there is no cell in these labels; segment the image first, or paint a cell")
    report("loading the model", 0, 0)
    load_torch()
    # Imported here, in the worker's thread, because they bring torch.
    from sgcldff_core.inference.explain_cell import explain_labels
    from sgcldff_core.inference.scale import diameter_of_cells
    from sgcldff_core.model import load_model

    model = load_model(question.model or None)
    diameter = question.diameter or diameter_of_cells(np.unique(labels, return_inverse=True)[1].reshape(labels.shape))
    cells = explain_labels(
        image,
        labels,
        model,
        diameter=float(diameter or 0),
        chosen=None if question.label is None else [question.label],
        classes=[question.kind] if question.kind else [],
        level=question.level,
        progress=report,
    )
    return Answer(question, cells, image, corner, tuple(model.config.classes), model.name, float(diameter or 0))


def gradcam_layer(found: Answer, kind: str | None = None, only: Sequence[int] | None = None) -> LayerDataTuple:
    """Turn an answer into the Grad-CAM layer of its image.

    Parameters
    ----------
    found : Answer
        Of one cell or of all.
    kind : str, optional
        The class whose map to show; the one that was asked for by default.
    only : sequence of int, optional
        Labels of the cells to show; all by default.

    Returns
    -------
    (data, dict, str)
        An image layer just large enough, see-through where no cell was explained.
    """
    asked = found.question
    kind = kind or asked.kind or None
    cells = [cell for cell in found.cells if only is None or cell.label in only]
    rows = [cell.window[0] for cell in cells]
    columns = [cell.window[1] for cell in cells]
    top, left = min(side.start for side in rows), min(side.start for side in columns)
    shape = max(side.stop for side in rows) - top, max(side.stop for side in columns) - left
    shown = np.full(shape, np.nan, np.float32)  # drawn as nothing
    for cell, row, column in zip(cells, rows, columns, strict=True):
        part = shown[row.start - top : row.stop - top, column.start - left : column.stop - left]
        np.fmax(part, cell.activation[kind or cell.named], out=part)
    picture = asked.picture
    attributes = {
        "name": f"{asked.name} Grad-CAM",
        "metadata": {
            KEY: {
                "role": "gradcam",
                "source": asked.source,
                "model": found.model,
                "diameter": found.diameter,
                "class": kind or "",
                "level": asked.level,
                "cells": [cell.label for cell in cells],
            }
        },
        **picture.placement_at((found.corner[0] + top, found.corner[1] + left)),
        "colormap": _fading_turbo(),
        "blending": "translucent",
        "opacity": 0.5,
        "contrast_limits": (0.0, 1.0),
        "interpolation2d": "linear",
    }
    return picture.lift(shown), attributes, "image"


def _fading_turbo() -> Colormap:
    """Return turbo's colours, seen through where there is little evidence: the smear itself is to be seen."""
    from napari.utils.colormaps import Colormap, ensure_colormap

    levels = np.linspace(0, 1, 64)
    colours = ensure_colormap("turbo").map(levels)
    colours[:, 3] = np.clip(levels / _FULL, 0, 1)
    # A name of its own, or napari would take it for turbo everywhere.
    return Colormap(colours, name="turbo, fading", display_name="turbo, fading")
