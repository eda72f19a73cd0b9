"""Making an atlas: a model finds annotated cells, and what they measure is kept with their names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.agreement import match_labels
from sgcldff_core.inference.field import look_again
from sgcldff_core.inference.resampling import resize_labels
from sgcldff_core.inference.scale import find_scale
from sgcldff_core.inference.tiling import DEFAULT_TILE
from sgcldff_core.model.atlas import CellAtlas
from sgcldff_core.model.cell_measures import MEASURES, measure_cells

if TYPE_CHECKING:
    from sgcldff_core.model import Model
    from sgcldff_core.sample import Sample

__all__ = ["atlas_of"]


def atlas_of(samples: Sequence[Sample], model: Model, report: Callable[[int, int], None] | None = None) -> CellAtlas:
    """Measure annotated cells as a model finds them.

    Cells are measured within the model's outline, not the annotated one, as they are when it is asked
    about others: what a person drew generously holds glass.

    Parameters
    ----------
    samples : sequence of Sample
        With outlines and classes; others are passed over. None on which the model is to be judged.
    model : Model
        Of the outlines, on any device.
    report : callable, optional
        Called with samples done and in all; may raise to stop.

    Returns
    -------
    CellAtlas
        Of the cells that were found, an IoU of 0.5 or more, and whose class the model knows.

    Raises
    ------
    ConfigError
        If cells of two classes were not found.
    """
    measures, names = [np.zeros((0, len(MEASURES)), np.float32)], []
    for number, sample in enumerate(samples):
        if report is not None:
            report(number, len(samples))
        truth, classes = sample.read_labels(), sample.classes or {}
        if truth is None or not set(classes.values()) & set(model.config.classes):
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
    if len(set(names)) < 2:
        raise ConfigError(
            f"an atlas needs cells of two classes; of {len(samples)} images, {len(names)} cells were found"
        )
    return CellAtlas(np.concatenate(measures), tuple(names))
