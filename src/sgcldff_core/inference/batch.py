"""Many files: each is predicted and written for itself, and a bad one stops nobody."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

import sgcldff_core
from sgcldff_core.cells import cell_columns, differential
from sgcldff_core.datasets.rasters import read_rgb
from sgcldff_core.errors import CancelledError, ConfigError, SgcldffError
from sgcldff_core.files import written_atomically
from sgcldff_core.inference.outputs import write_prediction, write_table
from sgcldff_core.inference.prediction import predict_image

if TYPE_CHECKING:
    from sgcldff_core.model import Model

__all__ = ["BatchResult", "FileResult", "FileStep", "predict_files"]

_REPORTED_VERSIONS = ("numpy", "scipy", "scikit-image", "pandas", "torch", "timm")


@dataclass(frozen=True, slots=True, eq=False)
class FileResult:
    """What became of one file.

    Attributes
    ----------
    path : Path
        The file.
    stem : str
        What its outputs begin with, and its name in the tables.
    seconds : float
        That it took.
    cells : DataFrame or None
        Its cells; None where it failed.
    diameter : float or None
        Of a typical cell in px.
    problem : str
        Why it failed; empty where it did not.
    """

    path: Path
    stem: str
    seconds: float
    cells: pd.DataFrame | None
    diameter: float | None
    problem: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class FileStep:
    """How far one file is.

    Attributes
    ----------
    stem : str
        Of the file.
    stage : str
        What is done to it now.
    done, total : int
        Steps of this stage; a total of 0 means that it is not known.
    result : FileResult or None
        What became of it, once it is over.
    """

    stem: str
    stage: str
    done: int
    total: int
    result: FileResult | None = None


@dataclass(frozen=True, slots=True, eq=False)
class BatchResult:
    """What became of all files.

    Attributes
    ----------
    files : tuple of FileResult
        In the order in which they were given.
    cells : DataFrame
        The cells of all of them.
    differential : DataFrame
        Counts by image and class.
    seconds : float
        From the first to the last.
    """

    files: tuple[FileResult, ...]
    cells: pd.DataFrame
    differential: pd.DataFrame
    seconds: float

    @property
    def failures(self) -> tuple[FileResult, ...]:
        """Files that could not be used."""
        return tuple(file for file in self.files if file.problem)


def predict_files(
    inputs: Mapping[str, Path],
    model: Model,
    folder: Path,
    *,
    diameter: float | None = None,
    explain: bool = False,
    workers: int = 1,
    progress: Callable[[int, int, Path], None] | None = None,
    watch: Callable[[FileStep], None] | None = None,
) -> BatchResult:
    """Predict files and write everything that ``sgcldff predict`` writes.

    Parameters
    ----------
    inputs : mapping of str to Path
        Image files, by what the names of their outputs begin with.
    model : Model
        Shared by all workers.
    folder : Path
        Where to write; made if it is missing.
    diameter : float, optional
        Of a typical leukocyte in px, the same for all; estimated for each image by default.
    explain : bool
        Whether to write Grad-CAM maps.
    workers : int
        Images that are worked on at the same time, in threads that share the processor's cores;
        the results do not depend on it.
    progress : callable, optional
        Called, in any order, with files done, files in all, and the file that was done.
    watch : callable, optional
        Called at each step of each file, by the thread that works on it. When it raises
        `CancelledError`, no other file is begun, the tables are written of those that were done,
        and the error goes on to the caller.

    Returns
    -------
    BatchResult
        Also written: ``cells.csv``, ``differential.csv`` and ``run.json``.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    CancelledError
        If `watch` asked to stop.
    OSError
        If the folder cannot be written to.
    """
    if workers < 1:
        raise ConfigError(f"workers must be at least 1, got {workers}")
    if diameter is not None and not 1 <= diameter < float("inf"):
        raise ConfigError(f"diameter must be at least 1 px, got {diameter}")
    folder.mkdir(parents=True, exist_ok=True)
    started, clock = datetime.now(UTC), time.perf_counter()
    results: list[FileResult] = []
    stopped: CancelledError | None = None
    with _cores_shared_by(workers), ThreadPoolExecutor(workers) as pool:
        pending = [
            pool.submit(_predict_file, path, stem, model, folder, diameter, explain, watch)
            for stem, path in inputs.items()
        ]
        try:
            for done, future in enumerate(pending, start=1):
                results.append(future.result())
                if progress is not None:
                    progress(done, len(inputs), results[-1].path)
        except BaseException as error:
            pool.shutdown(wait=True, cancel_futures=True)
            if not isinstance(error, CancelledError):
                raise
            stopped = error
            later = pending[len(results) :]
            results += [f.result() for f in later if f.done() and not f.cancelled() and f.exception() is None]
    result = _sum_up(results, model.config.classes, time.perf_counter() - clock)
    write_table(result.cells, folder / "cells.csv")
    write_table(result.differential, folder / "differential.csv")
    parameters = {
        "diameter": diameter,
        "explain": explain,
        "workers": workers,
        "device": str(model.network.mean.device),
        "engine": "torch" if model.engine is None else model.engine.name,
    }
    report = _report(result, model, started, parameters)
    if stopped is not None:
        report["stopped"] = f"after {len(results)} of {len(inputs)} images"
    with written_atomically(folder / "run.json") as draft:
        draft.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if stopped is not None:
        raise stopped
    return result


def _sum_up(results: list[FileResult], classes: Sequence[str], seconds: float) -> BatchResult:
    tables = [r.cells for r in results if r.cells is not None and len(r.cells)]
    cells = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=cell_columns(classes))
    counts = differential(cells, classes, [r.stem for r in results if not r.problem])
    return BatchResult(tuple(results), cells, counts, seconds)


def _predict_file(
    path: Path,
    stem: str,
    model: Model,
    folder: Path,
    diameter: float | None,
    explain: bool,
    watch: Callable[[FileStep], None] | None,
) -> FileResult:
    clock = time.perf_counter()

    def tell(stage: str, done: int, total: int) -> None:
        if watch is not None:
            watch(FileStep(stem, stage, done, total))

    try:
        tell("reading", 0, 0)
        image = read_rgb(path)
        prediction = predict_image(image, model, name=stem, diameter=diameter, explain=explain, progress=tell)
        tell("writing", 0, 0)
        write_prediction(prediction, image, model.config.classes, folder, stem)
        result = FileResult(path, stem, time.perf_counter() - clock, prediction.cells, prediction.diameter)
    except CancelledError:
        raise
    except (SgcldffError, OSError) as error:
        result = FileResult(path, stem, time.perf_counter() - clock, None, None, str(error))
    except (MemoryError, RuntimeError) as error:  # torch raises the latter when the CPU has no memory left
        problem = f"{path}: {str(error) or 'not enough memory'}; give a smaller image"
        result = FileResult(path, stem, time.perf_counter() - clock, None, None, problem)
    if watch is not None:
        watch(FileStep(stem, "over", 1, 1, result))
    return result


@contextmanager
def _cores_shared_by(workers: int) -> Iterator[None]:
    # Each thread that calls torch gets torch's whole number of threads: too many by the factor `workers`.
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // workers))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _report(result: BatchResult, model: Model, started: datetime, parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(result.seconds, 3),
        "versions": {
            "sgcldff": sgcldff_core.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _REPORTED_VERSIONS},
        },
        "model": {
            "name": model.name,
            "sha256": model.sha256,
            "classes": list(model.config.classes),
            "canonical_diameter": model.config.canonical_diameter,
            "temperature": model.temperature,
        },
        "parameters": parameters,
        "images": [
            {
                "file": str(file.path),
                "image": file.stem,
                "cells": len(file.cells),
                "diameter_px": file.diameter,
                "seconds": round(file.seconds, 3),
            }
            for file in result.files
            if file.cells is not None
        ],
        "failures": [{"file": str(file.path), "problem": file.problem} for file in result.failures],
    }
