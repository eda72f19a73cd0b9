"""Methods of explanation measured on annotated images: where their maps lie, and whether the name rests on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.agreement import match_labels
from sgcldff_core.evaluation.faithfulness import CellOnTrial, Faithfulness, measure_faithfulness
from sgcldff_core.evaluation.localisation import Localisation, localise
from sgcldff_core.evaluation.prior_figures import judged_pixels
from sgcldff_core.explain import explain_subject
from sgcldff_core.inference import predict_image
from sgcldff_core.inference.cell_subjects import cell_subjects
from sgcldff_core.inference.encoded_part import EncodedPart, parts_with_cells
from sgcldff_core.inference.forward import evaluating
from sgcldff_core.inference.map_placement import widened
from sgcldff_core.inference.neighbourhood import LabelledField
from sgcldff_core.inference.resampling import resize_labels

if TYPE_CHECKING:
    from sgcldff_core.model import Model
    from sgcldff_core.sample import Sample

__all__ = ["CONTROLS", "USUAL_ROWS", "ExplainedCell", "ImageExplanations", "Row", "measure_sample", "parse_rows"]

CONTROLS = ("even", "prior", "outline")
"""Maps that no network explains: a constant, the saliency prior, and the cell's own outline as it was found."""


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    method : str
        One of `sgcldff_core.explain.METHODS` or of `CONTROLS`.
    level : int or None
        Stride, 1 for the image, None for the fused map; nothing for a control.
    target : str
        ``"class"`` or ``"mask"``.
    faithful : bool
        Whether deletion and insertion are measured too, which takes a few dozen forward passes a cell.
    """

    method: str
    level: int | None = None
    target: str = "class"
    faithful: bool = True


USUAL_ROWS: tuple[Row, ...] = (
    *(Row(control) for control in CONTROLS),
    *(Row(name) for name in ("gradcam", "gradcam++", "hirescam", "eigencam", "scorecam", "integrated-gradients")),
    *(Row("gradcam", level) for level in (4, 8, 16, 32)),
    *(Row(name, level, "class", False) for name in ("gradcam++", "hirescam", "eigencam") for level in (4, 8, 16, 32)),
    Row("integrated-gradients", 1),
    *(Row(name, None, "mask", False) for name in ("gradcam", "gradcam++", "hirescam", "scorecam")),
    *(Row("gradcam", level, "mask", False) for level in (4, 8, 16, 32)),
)
"""What the table holds unless something else is asked for."""


@dataclass(frozen=True, slots=True)
class ExplainedCell:
    """One annotated cell, and what a map for it is worth.

    Attributes
    ----------
    label : int
        As annotated.
    kind : str
        The class that was explained: what the network calls the cell, right or wrong.
    true : str or None
        The class annotated.
    localisation : Localisation
        Against the annotated outline, which the network has not seen.
    faithfulness : Faithfulness or None
        None where it was not asked for.
    """

    label: int
    kind: str
    true: str | None
    localisation: Localisation
    faithfulness: Faithfulness | None


@dataclass(frozen=True, slots=True)
class ImageExplanations:
    """What came of one image.

    Attributes
    ----------
    name, source : str
        Of the sample.
    missed : int
        Annotated cells that the network did not outline at an IoU of 0.5, so that there is nothing to explain.
    cells : mapping of Row to tuple of ExplainedCell
        The cells that it did.
    """

    name: str
    source: str
    missed: int
    cells: Mapping[Row, tuple[ExplainedCell, ...]]


def measure_sample(sample: Sample, model: Model, rows: Sequence[Row]) -> ImageExplanations:
    """Find the cells of an image as ``predict`` does, explain them, and hold that against the annotation.

    Parameters
    ----------
    sample : Sample
        With instance labels.
    model : Model
        To be explained.
    rows : sequence of Row
        What to measure.

    Returns
    -------
    ImageExplanations
        Maps cover the whole image, or a tile of 640 px at the canonical scale around the cell where
        the image is larger.

    Raises
    ------
    ConfigError
        If the sample has no instance labels.
    """
    image, truth, nucleus = sample.read_image(), sample.read_labels(), sample.read_nucleus()
    if truth is None:
        raise ConfigError(f"{sample.name} has no outlined cells, against which maps could be held")
    prediction = predict_image(image, model)
    true_of = {found: true for found, true, _ in match_labels(prediction.labels, truth)}
    missed = len(np.unique(truth[truth > 0])) - len(true_of)
    found: dict[Row, list[ExplainedCell]] = {row: [] for row in rows}
    if true_of:
        field = LabelledField.of(image, prediction.labels, model, prediction.diameter)
        shape = field.labels.shape
        known = _Known(
            resize_labels(truth, shape),
            None if nucleus is None else resize_labels(nucleus.astype(np.int32), shape) > 0,
            resize_labels(judged_pixels(sample, truth > 0).astype(np.int32), shape) > 0,
            sample.classes or {},
        )
        with evaluating(model.network):
            for window, cells in parts_with_cells(field, sorted(true_of)):
                part = EncodedPart.of(model.network, field, window)
                true = {cell: true_of[int(field.numbers[cell - 1])] for cell in cells}
                for row, cell in _explained(model, field, part, known, true, rows):
                    found[row].append(cell)
    return ImageExplanations(sample.name, sample.source, missed, {row: tuple(cells) for row, cells in found.items()})


def parse_rows(methods: Iterable[str], levels: Iterable[int | None], target: str = "class") -> tuple[Row, ...]:
    """Return the rows of every method on every level, controls once each.

    Parameters
    ----------
    methods : iterable of str
        Of `sgcldff_core.explain.METHODS` or `CONTROLS`; not checked.
    levels : iterable of int or None
        Strides, 1 for the image, None for the fused map.
    target : {"class", "mask"}
        What is explained; deletion and insertion are measured for the class only.
    """
    chosen = tuple(levels)
    rows = [
        Row(method, level, target, target == "class")
        for method in methods
        for level in (chosen if method not in CONTROLS else (None,))
    ]
    return tuple(dict.fromkeys(rows))


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What is annotated, at the canonical scale."""

    labels: NDArray[np.int32]
    nucleus: NDArray[np.bool_] | None
    judged: NDArray[np.bool_]
    classes: Mapping[int, str]


def _explained(
    model: Model,
    field: LabelledField,
    part: EncodedPart,
    known: _Known,
    true: Mapping[int, int],
    rows: Sequence[Row],
) -> Iterator[tuple[Row, ExplainedCell]]:
    window, names = part.window, model.config.classes
    labels, prior = known.labels[window], field.prior[window]
    nucleus = None if known.nucleus is None else known.nucleus[window]
    kinds: dict[int, int] = {}
    for some in cell_subjects(part, list(true), whole=True):
        kinds |= dict(zip(some.cells, some.classes.tolist(), strict=True))
    trials = {cell: _trial(model, field, part, cell, kinds[cell]) for cell in true}
    for row in rows:
        for cell, activation in _maps(part, field, row, kinds):
            own = labels == true[cell]
            if not own.any():
                continue  # of a cell at the border of the tile, or too small for this scale
            localisation = localise(
                activation,
                own,
                None if nucleus is None else nucleus & own,
                prior,
                ((labels == 0) & known.judged[window]) | own,
            )
            faithfulness = measure_faithfulness(trials[cell], activation) if row.faithful else None
            yield (
                row,
                ExplainedCell(
                    true[cell], names[kinds[cell]], known.classes.get(true[cell]), localisation, faithfulness
                ),
            )


def _maps(
    part: EncodedPart, field: LabelledField, row: Row, kinds: Mapping[int, int]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    shape = field.labels[part.window].shape
    if row.method in CONTROLS:
        for cell in kinds:
            control = {
                "even": np.ones(shape, np.float32),
                "prior": field.prior[part.window],
                "outline": (field.labels[part.window] == cell).astype(np.float32),
            }
            yield cell, control[row.method]
        return
    asked = cell_subjects(part, list(kinds), level=row.level, target=row.target, classes=kinds, whole=True)
    for some in asked:
        maps = explain_subject(some.subject, row.method).float()[:, None]
        large = F.interpolate(maps, part.labels.shape, mode="bilinear", align_corners=False)[:, 0].cpu().numpy()
        for cell, activation in zip(some.cells, large, strict=True):
            yield cell, activation[: shape[0], : shape[1]]


def _trial(model: Model, field: LabelledField, part: EncodedPart, cell: int, kind: int) -> CellOnTrial:
    own = field.labels[part.window] == cell
    rows, columns = (np.flatnonzero(own.any(axis)) for axis in (1, 0))
    region = widened((slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)), own.shape)
    with torch.no_grad():
        return CellOnTrial.of(model, field.image[part.window], part, cell, kind, region)
