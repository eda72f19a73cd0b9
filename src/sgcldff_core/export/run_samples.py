"""What a run found, as samples, and so as any format of data sets."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import sgcldff_core
from sgcldff_core.datasets.coco_writer import write_coco
from sgcldff_core.datasets.history import Change, Provenance
from sgcldff_core.datasets.rasters import read_labels, read_rgb
from sgcldff_core.sample import Raster, Sample

if TYPE_CHECKING:
    from sgcldff_core.datasets.writing import Written
    from sgcldff_core.export.run_folder import Run

__all__ = ["run_samples", "write_run_as_coco"]


def run_samples(run: Run) -> Iterator[Sample]:
    """Yield the images of a run with the cells that it found.

    Parameters
    ----------
    run : Run
        See `sgcldff_core.export.run_folder.read_run`.

    Yields
    ------
    Sample
        With labels and classes; pixels are read when they are asked for.
    """
    for image in run.images:
        cells = run.cells[run.cells["image"] == image.name]
        yield Sample(
            name=image.name,
            image=Raster(read_rgb, image.file),
            source="predicted",
            group=f"{run.folder.name}/{image.name}",
            labels=Raster(read_labels, image.labels),
            classes={int(n): str(name) for n, name in zip(cells["label"], cells["class"], strict=True)} or None,
        )


def write_run_as_coco(run: Run, folder: Path, *, overwrite: bool = False) -> Written:
    """Write what a run found as COCO instance JSON with its images.

    Parameters
    ----------
    run : Run
        See `sgcldff_core.export.run_folder.read_run`.
    folder : Path
        The data set to make.
    overwrite : bool
        Whether an earlier COCO data set there is replaced.

    Returns
    -------
    Written
        What was written, and what was not and why.

    Raises
    ------
    DataError
        If the folder may not be written, or none of the images can be read.
    """
    what = f"predicted by sgcldff {run.version} with {run.model} ({run.sha256[:12]}); not reviewed"
    change = Change.now(getpass.getuser(), f"written by sgcldff {sgcldff_core.__version__}")
    provenance = Provenance(run.folder.resolve().name, what, (Change(run.started, "sgcldff", what), change))
    return write_coco(run_samples(run), folder, provenance=provenance, overwrite=overwrite)
