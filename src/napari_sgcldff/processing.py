"""A folder of images through the model, to the files that the command line writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sgcldff.torch_loading import load_torch
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from napari_sgcldff.tasks import Report
    from sgcldff_core.inference.batch import BatchResult, FileStep

__all__ = ["Job", "images_in", "process"]


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done.

    Attributes
    ----------
    inputs : mapping of str to Path
        Image files, by what the names of their outputs begin with.
    folder : Path
        Where the outputs go.
    model : str
        Name or folder; empty for the shipped one.
    diameter : float or None
        Of a typical leukocyte in px; None to estimate it for each image.
    explain : bool
        Whether to write Grad-CAM maps.
    """

    inputs: Mapping[str, Path]
    folder: Path
    model: str
    diameter: float | None
    explain: bool


def images_in(folder: str, out: Path, *, below: bool) -> dict[str, Path]:
    """Return the images of a folder by what their outputs are to be called.

    Parameters
    ----------
    folder : str
        The folder; an image file is taken by itself.
    out : Path
        Where outputs go: what lies there is no input.
    below : bool
        Whether to take the images of folders below as well.

    Raises
    ------
    ConfigError
        If there is no image; the message says where it was looked for.
    """
    from sgcldff_core.datasets.inputs import expand_inputs, output_stems
    from sgcldff_core.datasets.rasters import IMAGE_SUFFIXES

    root = Path(folder).expanduser()
    if below and root.is_dir():
        found = sorted(p for p in root.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))
    elif root.is_dir() and not any(p.suffix.lower() in IMAGE_SUFFIXES for p in root.iterdir()):
        found = []
    else:
        found = expand_inputs([root])
    resolved = out.resolve()
    found = [path for path in found if resolved not in path.resolve().parents]
    if not found:
        raise ConfigError(
            f"no image in {root}" + ("" if below else "; take the folders below as well, or choose another folder")
        )
    return dict(zip(output_stems(found), found, strict=True))


def process(job: Job, feed: Callable[[FileStep], None], report: Report) -> BatchResult:
    """Do the job; for a thread of its own.

    Parameters
    ----------
    job : Job
        What is to be done.
    feed : callable
        Called at each step of each file, in this thread.
    report : callable
        Told of files done; raises to stop, between files and within one.
    """
    report("loading the model", 0, 0)
    load_torch()
    # Imported here, in the worker's thread, because they bring torch.
    from sgcldff_core.inference import with_engine
    from sgcldff_core.inference.batch import predict_files
    from sgcldff_core.model import load_model

    model = with_engine(load_model(job.model or None))
    done = 0

    def watch(step: FileStep) -> None:
        nonlocal done
        feed(step)
        done += step.result is not None
        report("processing", done, len(job.inputs))

    return predict_files(job.inputs, model, job.folder, diameter=job.diameter, explain=job.explain, watch=watch)
