"""Many files: each is predicted and written for itself, and a bad one stops nobody."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from sgcldff_core.cells import UNLIKE_A_SMEAR, cell_columns, counted_cells, differential
from sgcldff_core.datasets.rasters import read_rgb
from sgcldff_core.datasets.slides import is_slide
from sgcldff_core.errors import CancelledError, ClusterError, ConfigError, SgcldffError
from sgcldff_core.files import written_atomically
from sgcldff_core.inference.batch_results import BatchResult, FileResult, FileStep
from sgcldff_core.inference.outputs import write_prediction, write_table
from sgcldff_core.inference.prediction import predict_image
from sgcldff_core.inference.run_report import run_report
from sgcldff_core.inference.slide import predict_slide
from sgcldff_core.inference.workforce import Threads

if TYPE_CHECKING:
    from sgcldff_core.inference.workforce import Workforce
    from sgcldff_core.model import Model

__all__ = ["BatchResult", "FileResult", "FileStep", "predict_files"]

_SLIDES_AT_ONCE = 4  # where others look into their regions, and this process plans and stitches

Watch = Callable[[FileStep], None]


def predict_files(
    inputs: Mapping[str, Path],
    model: Model,
    folder: Path,
    *,
    diameter: float | None = None,
    explain: bool = False,
    skip: bool = True,
    workers: int = 1,
    workforce: Workforce | None = None,
    progress: Callable[[int, int, Path], None] | None = None,
    watch: Watch | None = None,
) -> BatchResult:
    """Predict files and write everything that ``sgcldff predict`` writes.

    Parameters
    ----------
    inputs : mapping of str to Path
        Image files and slides, by what the names of their outputs begin with.
    model : Model
        Shared by all workers.
    folder : Path
        Where to write; made if it is missing.
    diameter : float, optional
        Of a typical leukocyte in px, the same for all; estimated for each image by default.
    explain : bool
        Whether to write Grad-CAM maps; of slides there are none.
    skip : bool
        Whether to leave out regions of slides that a coarse look finds empty or too thick.
    workers : int
        Images, or regions of a slide, that are worked on at the same time, in threads that share the
        processor's cores; the results do not depend on it.
    workforce : Workforce, optional
        Others that do the work, such as `sgcldff_core.inference.cluster.Cluster`, instead of
        `workers`; the results do not depend on them.
    progress : callable, optional
        Called, in any order, with files done, files in all, and the file that was done.
    watch : callable, optional
        Called at each step of each file, by the thread that works on it; of what is done elsewhere,
        only when it is over. When it raises `CancelledError`, no other file is begun, the tables are
        written of those that were done, and the error goes on to the caller.

    Returns
    -------
    BatchResult
        Also written: ``cells.csv`` (unless all are slides), ``differential.csv`` and ``run.json``.

    Raises
    ------
    ConfigError
        If a setting is out of range.
    CancelledError
        If `watch` asked to stop.
    OSError
        If the folder cannot be written to.
    """
    workforce = workforce or Threads(model, workers)
    if diameter is not None and not 1 <= diameter < float("inf"):
        raise ConfigError(f"diameter must be at least 1 px, got {diameter}")
    folder.mkdir(parents=True, exist_ok=True)
    started, clock = datetime.now(UTC), time.perf_counter()
    tasks = [_FileTask(path, stem, folder.resolve(), diameter, explain, skip) for stem, path in inputs.items()]
    results: dict[str, FileResult] = {}
    stopped: CancelledError | None = None
    try:
        with closing(_results(tasks, model, workforce, watch)) as over:
            for file in over:
                results[file.stem] = file
                if progress is not None:
                    progress(len(results), len(inputs), file.path)
    except CancelledError as asked:
        stopped = asked
    ordered = [results[stem] for stem in inputs if stem in results]
    result = _sum_up(ordered, model.config.classes, time.perf_counter() - clock)
    if not ordered or any(one.slide is None for one in ordered):
        write_table(result.cells, folder / "cells.csv")
    write_table(result.differential, folder / "differential.csv")
    parameters = {
        "diameter": diameter,
        "explain": explain,
        "workers": workers,
        "device": str(model.network.mean.device),
        "engine": "torch" if model.engine is None else model.engine.name,
    }
    report = run_report(result, model, started, parameters)
    if stopped is not None:
        report["stopped"] = f"after {len(ordered)} of {len(inputs)} images"
    with written_atomically(folder / "run.json") as draft:
        draft.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if stopped is not None:
        raise stopped
    return result


@dataclass(frozen=True, slots=True)
class _FileTask:
    path: Path
    stem: str
    folder: Path
    diameter: float | None
    explain: bool
    skip: bool
    watch: Watch | None = None


def _results(
    tasks: Sequence[_FileTask], model: Model, workforce: Workforce, watch: Watch | None
) -> Generator[FileResult]:
    """Yield what becomes of each file, as it is known."""
    slides = [task for task in tasks if is_slide(task.path)]
    images = [task for task in tasks if task not in slides]
    if not workforce.distant:
        images = [replace(task, watch=watch) for task in images]
    with closing(workforce.each(_predict_file, images)) as over:
        for task, result in over:
            if isinstance(result, ClusterError):
                result = FileResult(task.path, task.stem, 0.0, None, None, f"{task.path}: {result}")
            if workforce.distant:
                _tell(watch, task, "over", 1, 1, result)
            yield result
    with ThreadPoolExecutor(_SLIDES_AT_ONCE if workforce.distant else 1) as pool:
        pending = [pool.submit(_predict_slide, task, model, workforce, watch) for task in slides]
        try:
            for future in as_completed(pending):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _predict_file(model: Model, task: _FileTask) -> FileResult:
    clock = time.perf_counter()

    def work() -> FileResult:
        tell = partial(_tell, task.watch, task)
        tell("reading", 0, 0)
        image = read_rgb(task.path)
        prediction = predict_image(
            image, model, name=task.stem, diameter=task.diameter, explain=task.explain, progress=tell
        )
        tell("writing", 0, 0)
        write_prediction(prediction, image, model.config.classes, task.folder, task.stem)
        seconds = time.perf_counter() - clock
        warning = "" if prediction.is_smear else f"{UNLIKE_A_SMEAR} in focus; its cells are not counted"
        return FileResult(task.path, task.stem, seconds, prediction.cells, prediction.diameter, warning=warning)

    return _over(task, task.watch, work, clock)


def _predict_slide(task: _FileTask, model: Model, workforce: Workforce, watch: Watch | None) -> FileResult:
    clock = time.perf_counter()

    def work() -> FileResult:
        found = predict_slide(
            task.path,
            model,
            task.folder,
            stem=task.stem,
            diameter=task.diameter,
            skip=task.skip,
            workforce=workforce,
            progress=partial(_tell, watch, task),
        )
        return FileResult(task.path, task.stem, found.seconds, found.cells, found.plan.diameter, slide=found)

    return _over(task, watch, work, clock)


def _over(task: _FileTask, watch: Watch | None, work: Callable[[], FileResult], clock: float) -> FileResult:
    """Do the work on a file, and tell what became of it whichever way it ends."""
    problem = ""
    try:
        result = work()
    except CancelledError:
        raise
    except (SgcldffError, OSError) as error:
        problem = str(error)
    except (MemoryError, RuntimeError) as error:  # torch raises the latter when the CPU has no memory left
        problem = f"{task.path}: {str(error) or 'not enough memory'}; give a smaller image"
    if problem:
        result = FileResult(task.path, task.stem, time.perf_counter() - clock, None, None, problem)
    _tell(watch, task, "over", 1, 1, result)
    return result


def _tell(
    watch: Watch | None, task: _FileTask, stage: str, done: int, total: int, result: FileResult | None = None
) -> None:
    if watch is not None:
        watch(FileStep(task.stem, stage, done, total, result))


def _sum_up(results: list[FileResult], classes: Sequence[str], seconds: float) -> BatchResult:
    found = [r for r in results if r.cells is not None and len(r.cells)]
    tables = [r.cells for r in found if r.slide is None]
    cells = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=cell_columns(classes))
    named = [counted_cells(r.cells)[["image", "class"]] for r in found if r.cells is not None]
    counted = pd.concat(named, ignore_index=True) if named else cells
    counts = differential(counted, classes, [r.stem for r in results if not r.problem])
    return BatchResult(tuple(results), cells, counts, seconds)
