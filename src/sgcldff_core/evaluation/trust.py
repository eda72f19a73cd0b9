"""Fitting what tells a model's doubtful cells and strange images, on images that were held out from its sisters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from sgcldff_core.adaptation.choosing import MOST_IMAGES
from sgcldff_core.adaptation.spread import spread_evenly
from sgcldff_core.adaptation.stains import StainStatistics, stain_statistics
from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.atlas_cells import atlas_of
from sgcldff_core.evaluation.crossval import FOLDS
from sgcldff_core.evaluation.degrading import HARD
from sgcldff_core.evaluation.folds import read_folds
from sgcldff_core.evaluation.review_cells import gather_cells
from sgcldff_core.training.known import fit_known_smears, fit_known_stains, measure
from sgcldff_core.training.risk import fit_rule

if TYPE_CHECKING:
    from sgcldff_core.model import Model
    from sgcldff_core.sample import Sample

__all__ = ["held_out_cells", "held_out_groups", "stains_by_source", "with_known_images", "with_review"]

Report = Callable[[str, int, int], None]


def with_known_images(model: Model, samples: Sequence[Sample], report: Report | None = None) -> Model:
    """Return a model that knows the stains and the looks of the images that it learned from.

    Its description notes the stain of each source too, to which `sgcldff_core.adaptation.adapt` can then bring
    another laboratory's without any image of the old ones.

    Parameters
    ----------
    model : Model
        Stays as it is.
    samples : sequence of Sample
        What it learned from, and nothing else.
    report : callable, optional
        Called with what is done, images done and in all.
    """
    step = None if report is None else lambda done, total: report("measuring stains", done, total)
    seen = measure(samples, step)
    stains = {name: stain.to_dict() for name, stain in stains_by_source(samples, model.config.prior).items()}
    return replace(
        model,
        known_stains=fit_known_stains(seen),
        known_smears=fit_known_smears(seen),
        training={**model.training, "stains": stains},
    )


def stains_by_source(samples: Sequence[Sample], prior: str) -> dict[str, StainStatistics]:
    """Return the stain of each source, as some images of it show it.

    Parameters
    ----------
    samples : sequence of Sample
        What a model learned from.
    prior : str
        Saliency prior that tells leukocytes.

    Returns
    -------
    dict of str to StainStatistics
        Without sources in which no image shows both stained cells and empty slide.
    """
    found = {}
    for source in dict.fromkeys(s.source for s in samples):
        own = [s for s in samples if s.source == source]
        some = spread_evenly(len(own), MOST_IMAGES)
        with suppress(ConfigError):  # crops without any glass
            found[source] = stain_statistics((own[i].read_image() for i in some), prior)
    return found


def held_out_groups(folder: Path | str, model: Model) -> set[str]:
    """Return the groups of images that a model neither learned from nor was chosen by, as far as its folder tells.

    A trial of ``sgcldff crossval`` judges the fold that its folder is named for; what its `model.json`
    notes as held out besides chose its best epoch. Any other model has nothing but the latter.

    Parameters
    ----------
    folder : Path or str
        Of the model.
    model : Model
        Loaded from it.
    """
    folder = Path(folder).resolve()
    folds, number = folder.parent.parent / FOLDS, folder.name.removeprefix("fold")
    if folds.is_file() and folder.name != number and number.isdigit():
        return {group for group, fold in read_folds(folds).fold_of_group.items() if fold == int(number)}
    return set(model.training.get("validation_groups", ()))


def held_out_cells(
    model: Model,
    sisters: Sequence[tuple[Model, Collection[str]]],
    samples: Sequence[Sample],
    report: Report | None = None,
) -> pd.DataFrame:
    """Let networks judge what they did not learn from, as it is and degraded.

    Parameters
    ----------
    model : Model
        That the rule is for. Cells as they are, found by networks of the same settings, are its own: a network
        of others may be surer of itself, or less sure, and a cut-off set by it flag most cells or none.
    sisters : sequence of tuple
        Networks of the same data, each with the groups that it did not learn from. If the model has an
        atlas, each is given one of what it learned from.
    samples : sequence of Sample
        All of the data.
    report : callable, optional
        Called with what is done, images done and in all.

    Returns
    -------
    DataFrame
        As `sgcldff_core.training.risk.fit_rule` takes it.

    Raises
    ------
    ConfigError
        If nothing was held out.
    """
    if not sisters:
        raise ConfigError("a review is fitted on the errors of networks, and none is given")
    tables = []
    for sister, held in sisters:
        judged = [s for s in samples if s.group in held]
        learned = [s for s in samples if s.group not in held]
        if not judged or not learned:
            raise ConfigError(
                f"a review is fitted on images that a network did not learn from, and {sister.name} notes none of these"
            )
        alike = sister.config == model.config
        knowing = replace(sister, known_stains=fit_known_stains(measure(learned)))
        if model.atlas is not None:
            step = None if report is None else partial(report, f"{sister.name}, its atlas")
            knowing = replace(knowing, atlas=atlas_of(learned, knowing, step))
        for worsen in (None, HARD):
            name = f"{sister.name}{'' if worsen is None else ', degraded'}"
            step = None if report is None else partial(report, name)
            # Only the cells that set the cut-off need all of what prediction does.
            cells = gather_cells(
                judged, knowing, worsen=worsen, diameter_known=not alike or worsen is not None, report=step
            )
            tables.append(cells.assign(own=alike and worsen is None, network=name))
    return pd.concat(tables, ignore_index=True)


def with_review(model: Model, cells: pd.DataFrame, share: float = 0.2) -> Model:
    """Return a model that holds a rule for the review of its cells.

    A score for which the cells hold too few errors stays as the model has it.

    Parameters
    ----------
    model : Model
        Stays as it is.
    cells : DataFrame
        From `held_out_cells`.
    share : float
        Of cells like these that shall be looked at.
    """
    networks = [str(name) for name in pd.unique(cells["network"])]
    groups = sorted({str(group) for group in cells["group"]})  # a rule is not to be judged on these
    fitted_on = {"networks": networks, "groups": len(groups), "group_names": groups}
    return replace(model, review=fit_rule(cells, share, fitted_on, model.review))
