"""The whole way of a slide: overview, plan, regions, stitching, files."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgcldff_core.datasets.ome_zarr import load_zarr
from sgcldff_core.datasets.pyramids import Pyramid
from sgcldff_core.datasets.slides import open_slide
from sgcldff_core.errors import ClusterError, ConfigError
from sgcldff_core.files import written_atomically
from sgcldff_core.inference.slide.ledger import Ledger
from sgcldff_core.inference.slide.overview import take_overview
from sgcldff_core.inference.slide.picture import draw_slide
from sgcldff_core.inference.slide.plan import estimate_slide_diameter, make_plan
from sgcldff_core.inference.slide.region import RegionTask, look_into_region
from sgcldff_core.inference.slide.stitch import LABELS_SUFFIX, TABLE_SUFFIX, load_pyarrow, stitch
from sgcldff_core.inference.workforce import Threads

if TYPE_CHECKING:
    import dask.array as da
    import pandas as pd

    from sgcldff_core.inference.slide.overview import Overview
    from sgcldff_core.inference.slide.plan import SlidePlan
    from sgcldff_core.inference.workforce import Workforce
    from sgcldff_core.model import Model

__all__ = ["PICTURE_SUFFIX", "SlideResult", "ledger_folder", "predict_slide"]

PICTURE_SUFFIX = "_overview.png"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class SlideResult:
    """What became of a slide.

    Attributes
    ----------
    stem : str
        What its outputs begin with, and its name in the tables.
    labels, table, picture : Path
        What was written: OME-Zarr, Parquet, PNG.
    cells : DataFrame
        In short: ``image``, ``label``, ``class``, ``needs_review``, ``centroid_y``, ``centroid_x``.
    plan : SlidePlan
        How it was looked at.
    regions : dict of str to int
        How many were looked at (``cells``) or left out (``empty``, ``thick``).
    resumed : int
        Regions that were done when it began.
    seconds : float
        That it took.
    """

    stem: str
    labels: Path
    table: Path
    picture: Path
    cells: pd.DataFrame
    plan: SlidePlan
    regions: dict[str, int]
    resumed: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, for ``run.json``."""
        return {
            "cells": len(self.cells),
            "diameter_px": self.plan.diameter,
            "level": self.plan.level,
            "regions": sum(self.regions.values()),
            "regions_empty": self.regions["empty"],
            "regions_thick": self.regions["thick"],
            "regions_resumed": self.resumed,
            "seconds": round(self.seconds, 3),
        }


def ledger_folder(folder: Path, stem: str) -> Path:
    """Return where a slide's finished regions are kept until all of them are.

    Parameters
    ----------
    folder : Path
        Where the results are written.
    stem : str
        What their names begin with.
    """
    return folder / f".{stem}-regions"


def predict_slide(
    slide: Path | str | Pyramid | da.Array,
    model: Model,
    folder: Path | str,
    *,
    stem: str = "slide",
    diameter: float | None = None,
    skip: bool = True,
    side: int | None = None,
    workforce: Workforce | None = None,
    progress: Progress | None = None,
) -> SlideResult:
    """Find the cells of a slide of any size, in memory that does not grow with it.

    A run that was broken off is gone on with: regions that are done are kept in a hidden folder
    beside the results until all of them are.

    Parameters
    ----------
    slide : Path, str, Pyramid or dask array
        OME-Zarr, OME-TIFF; or an array (H, W, 3), (3, H, W) or (H, W), read lazily.
    model : Model
        On any device.
    folder : Path or str
        Where to write ``<stem>_labels.ome.zarr``, ``<stem>_cells.parquet`` and
        ``<stem>_overview.png``.
    stem : str
        What these names begin with, and the slide's name in the table.
    diameter : float, optional
        Of a typical leukocyte in px of the slide; estimated from some places by default.
    skip : bool
        Whether to leave out regions that a coarse look finds empty or too thick.
    side : int, optional
        Of a region in px of the level that is read; by default one tile.
    workforce : Workforce, optional
        Who looks into the regions; by default one thread. The results do not depend on it.
    progress : callable, optional
        Called with the stage, regions done and regions in all; may raise to stop.

    Returns
    -------
    SlideResult
        With the names of what was written; each appears whole or not at all.

    Raises
    ------
    DataError
        If the slide cannot be read.
    ConfigError
        If a setting is out of range, a run with others was begun, or the extra `slides` is missing.
    ClusterError
        If a region's workers died again and again; other regions are kept.
    """
    load_zarr()
    load_pyarrow()
    clock, folder = time.perf_counter(), Path(folder)
    workforce = workforce or Threads(model)
    pyramid = _as_pyramid(slide)
    try:
        _tell(progress, "taking an overview", 0, 0)
        overview = take_overview(pyramid)
        ledger = Ledger(ledger_folder(folder, stem))
        plan = _planned(ledger, pyramid, overview, model, diameter, skip, side, progress)
        resumed = _look(ledger, plan, pyramid, stem, workforce, progress)
        joining = partial(_tell, progress, "joining regions")
        found = stitch(ledger, plan, model.config.classes, folder, stem, joining)
        picture = folder / f"{stem}{PICTURE_SUFFIX}"
        with written_atomically(picture) as draft:
            draw_slide(overview, plan, ledger.done(), found.cells, model.config.classes).save(draft)
        ledger.remove()
    finally:
        if pyramid is not slide:
            pyramid.close()
    return SlideResult(
        stem,
        folder / f"{stem}{LABELS_SUFFIX}",
        folder / f"{stem}{TABLE_SUFFIX}",
        picture,
        found.cells,
        plan,
        {worth: found.worth[worth] for worth in ("cells", "empty", "thick")},
        resumed,
        time.perf_counter() - clock,
    )


def _as_pyramid(slide: Path | str | Pyramid | da.Array) -> Pyramid:
    if isinstance(slide, Pyramid):
        return slide
    return open_slide(slide) if isinstance(slide, (str, Path)) else Pyramid.of_arrays(slide)


def _planned(
    ledger: Ledger,
    pyramid: Pyramid,
    overview: Overview,
    model: Model,
    diameter: float | None,
    skip: bool,
    side: int | None,
    progress: Progress | None,
) -> SlidePlan:
    if diameter is None:
        begun = ledger.begun()
        if begun is not None:
            diameter = begun.diameter
        else:
            _tell(progress, "finding the scale", 0, 0)
            diameter = estimate_slide_diameter(pyramid, overview, model)
    plan = make_plan(pyramid, overview, model, diameter, skip=skip, side=side)
    ledger.begin(plan)
    return plan


def _look(
    ledger: Ledger, plan: SlidePlan, pyramid: Pyramid, stem: str, workforce: Workforce, progress: Progress | None
) -> int:
    """Have the regions looked into that are not done yet; return how many were."""
    regions, before = plan.regions(), ledger.done()
    source: Path | Pyramid = pyramid
    if workforce.distant and pyramid.path is not None:
        source = pyramid.path.resolve()
    kept = ledger.folder.resolve()
    tasks = [
        RegionTask(source, plan, index, box, core, stem, kept)
        for index, (box, core) in enumerate(regions)
        if index not in before
    ]
    done, lost = len(before), None
    _tell(progress, "finding cells", done, len(regions))
    with closing(workforce.each(_look_and_note, tasks)) as answers:
        for _, answer in answers:
            if isinstance(answer, ClusterError):
                lost = answer  # the others are worth keeping
                continue
            done += 1
            _tell(progress, "finding cells", done, len(regions))
    if lost is not None:
        raise ClusterError(f"{stem}: {len(regions) - done} of {len(regions)} regions are missing: {lost}")
    return len(before)


def _look_and_note(model: Model, task: RegionTask) -> None:
    if model.sha256 != task.plan.model:
        raise ConfigError(f"region {task.index} was planned for another model")
    Ledger(task.ledger).note(task.index, look_into_region(model, task))


def _tell(progress: Progress | None, title: str, done: int, total: int) -> None:
    if progress is not None:
        progress(title, done, total)
