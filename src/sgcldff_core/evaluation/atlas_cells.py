"""Making an atlas: a model finds annotated cells, and what they measure is kept with their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sgcldff_core.evaluation.agreement import match_labels
from sgcldff_core.inference.field import look_again
from sgcldff_core.inference.resampling import resize_labels
from sgcldff_core.inference.scale import find_scale
from sgcldff_core.inference.tiling import DEFAULT_TILE
from sgcldff_core.model import load_model, save_parts
from sgcldff_core.model.atlas import CellAtlas
from sgcldff_core.model.cell_measures import MEASURES, measure_cells

if TYPE_CHECKING:
    from sgcldff_core.model import Model
    from sgcldff_core.sample import Sample

__all__ = ["atlas_of", "enlarge_atlas"]


def atlas_of(samples: Sequence[Sample], model: Model, report: Callable[[int, int], None] | None = None) -> CellAtlas:
    """Measure annotated cells as a model finds them.

    Cells are measured within the model's outline, not the annotated one, as they are when it is asked
    about others: what a person drew generously holds glass.

    Parameters
    ----------
    samples : sequence of Sample
        With outlines and classes; others are passed over, and so is what a data set publishes for judging.
        None on which the model is to be judged.
    model : Model
        Of the outlines, on any device.
    report : callable, optional
        Called with samples done and in all; may raise to stop.

    Returns
    -------
    CellAtlas
        Of the cells that were found, an IoU of 0.5 or more, and whose class the model knows; there may
        be none.
    """
    measures, names = [np.zeros((0, len(MEASURES)), np.float32)], []
    for number, sample in enumerate(samples):
        if report is not None:
            report(number, len(samples))
        truth, classes = sample.read_labels(), sample.classes or {}
        if sample.split == "test" or truth is None or not set(classes.values()) & set(model.config.classes):
            continue
        direct = find_scale(model.in_own_stain(sample.read_image()), model, tile=DEFAULT_TILE)
        view, _ = look_again(direct, model, [(False, True)], tile=DEFAULT_TILE)
        if not view.labels.any():
            continue
        nucleus = (view.maps.logits[1] > 0).cpu().numpy()
        rows = measure_cells(view.image, view.labels, nucleus, model.config.canonical_diameter)
        for found, true, _ in match_labels(view.labels, resize_labels(truth, view.labels.shape)):
            if classes.get(true) in model.config.classes:
                measures.append(rows[found - 1 : found])
                names.append(classes[true])
    return CellAtlas(np.concatenate(measures), tuple(names))


def enlarge_atlas(
    folder: Path | str, base: Model, samples: Sequence[Sample], report: Callable[[int, int], None] | None = None
) -> None:
    """Give a model that went on from another one the other's atlas, with what it has learned from since.

    Else the atlas would hold cells to the names that a person has just corrected.

    Parameters
    ----------
    folder : Path or str
        Of the new model; its weights stay what they are.
    base : Model
        That it went on from. If it has no atlas, nothing is done.
    samples : sequence of Sample
        That were learned from.
    report : callable, optional
        Called with samples done and in all; may raise to stop.
    """
    if base.atlas is None:
        return
    model = load_model(folder)
    save_parts(replace(model, atlas=base.atlas.joined(atlas_of(samples, model, report))), folder, folder)
