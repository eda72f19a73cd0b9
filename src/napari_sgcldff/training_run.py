"""One training from the viewer: what it learns from, where it is, and what came of it; knows nothing of Qt."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from napari_sgcldff.torch_loading import load_torch
from napari_sgcldff.training_wish import SCRATCH, Wish, settings_for, write_notes
from sgcldff_core.errors import FormatError
from sgcldff_core.files import write_json

if TYPE_CHECKING:
    from sgcldff_core.evaluation.before_after import BeforeAfter
    from sgcldff_core.model import Model
    from sgcldff_core.sample import Sample
    from sgcldff_core.training import Progress, TrainingConfig
    from sgcldff_core.training.validation import Outlined

__all__ = ["TrainingRun", "runs_folder", "unfinished_runs"]

_NOTES, _CHECKPOINT, _MODEL = "run.json", "checkpoint.safetensors", "model.json"
_SHOWN = 3  # held-out images that are drawn as they are seen just now
_ROUGH = 5  # held-out images, below which figures are no more than a hint

Report = Callable[[str, int, int], None]


class TrainingRun:
    """A run in a folder of its own, from which it can go on.

    The thread that trains writes the attributes, the one that draws reads them; each is replaced as
    a whole or only grows.

    Parameters
    ----------
    folder : Path, optional
        Of a run that was broken off; by default a new one.

    Attributes
    ----------
    losses : list of (float, float)
        Epochs done and loss, a pair for each step.
    figures : list of (int, dict)
        Epochs done and the figures of a validation.
    outlined : tuple of Outlined
        A few held-out images as the network saw them last.
    seconds_left : float or None
        Until the end at the present pace.
    notes : list of str
        What the person should know, in sentences.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or _new_folder()
        self.losses: list[tuple[float, float]] = []
        self.figures: list[tuple[int, dict[str, float]]] = []
        self.outlined: tuple[Outlined, ...] = ()
        self.seconds_left: float | None = None
        self.notes: list[str] = []
        self.epochs = 0
        self._judged: list[Sample] = []
        self._start = ""
        self._going = threading.Event()
        self._going.set()

    @property
    def paused(self) -> bool:
        """Whether it waits between two steps."""
        return not self._going.is_set()

    def pause(self) -> None:
        """Wait before the next step."""
        self._going.clear()

    def go_on(self) -> None:
        """Go on after a pause."""
        self._going.set()

    @property
    def has_model(self) -> bool:
        """Whether there is a model, be it the best so far, to be saved or compared."""
        return (self.folder / _MODEL).is_file()

    @property
    def resumable(self) -> bool:
        """Whether it was broken off after its first epoch and can go on."""
        return (self.folder / _CHECKPOINT).is_file()

    @property
    def held_out(self) -> bool:
        """Whether the images to compare on were held out, and not learned from."""
        return bool(self.figures)

    @property
    def comparable(self) -> bool:
        """Whether there are images to compare on."""
        return self.has_model and bool(self._judged)

    def execute(self, wish: Wish | None, report: Report) -> None:
        """Train to the end; a `CancelledError` from `report` passes through, and the best model stays.

        Parameters
        ----------
        wish : Wish or None
            None to go on with what the folder says.
        report : callable
            Called with stage, steps done and their total.

        Raises
        ------
        SgcldffError
            If there is nothing to learn from, too little to hold something out, or no such model.
        """
        report("loading", 0, 0)
        load_torch()
        # Imported here, in the worker's thread, because they bring torch.
        from sgcldff_core.evaluation.atlas_cells import enlarge_atlas
        from sgcldff_core.training import TrainingConfig, prepare_split, read_annotated, split_samples, train
        from sgcldff_core.training.refining import in_stain_of

        self._going.set()
        resume = wish is None
        written = self._read_notes() if wish is None else write_notes(wish, self.folder, report)
        samples, failures = read_annotated(written["paths"])
        samples = [s for s in samples if s.kinds]
        self._start = str(written["start"])
        base = None if self._start in SCRATCH else _load(self._start)
        if wish is None:
            settings = TrainingConfig.from_dict(written["settings"])
        else:
            settings = settings_for(wish, base, samples)
            write_json(self.folder / _NOTES, written | {"settings": settings.to_dict()})
        self.epochs = settings.epochs
        learned, held = split_samples(samples, settings.validation, settings.seed)
        self._judged = held or learned
        stain = base.stain if base else None
        data = prepare_split(in_stain_of(learned, stain), in_stain_of(held, stain), settings, report)
        self._note(learned, held, [*failures, *data.failures], settings)
        if resume:
            self._remember()
        begun, first = time.monotonic(), None
        with closing(
            train(
                data.training,
                data.validation,
                settings,
                self.folder,
                resume=resume,
                provenance=data.provenance | {"base": base.name if base else self._start},
                show=_SHOWN,
                watch=report,
            )
        ) as steps:
            for at in steps:
                first = at.step if first is None else first
                self._take(at, (time.monotonic() - begun) / max(at.step - first, 1))
                report(f"epoch {max(at.epoch, 1)} of {at.epochs}", at.step, at.steps)
                begun += self._wait(f"epoch {max(at.epoch, 1)} of {at.epochs}, paused", at, report)
        if base is not None:
            enlarge_atlas(self.folder, base, learned, partial(report, "measuring cells"))
        (self.folder / _CHECKPOINT).unlink(missing_ok=True)  # there is nothing left to go on to

    def compare(self, report: Report) -> BeforeAfter:
        """Hold the model that it started from, or the shipped one, against the new one on the same images.

        Parameters
        ----------
        report : callable
            Told how far this is: what is done, steps done, and steps in all (0 if not known).
        """
        report("loading", 0, 0)
        load_torch()
        from sgcldff_core.evaluation.before_after import compare_before_after

        before = _load("" if self._start in SCRATCH else self._start)
        return compare_before_after(self._judged, before, _load(str(self.folder)), report)

    def save(self, name: str, *, overwrite: bool = False) -> Path:
        """Put the model into the folder of the user's own models.

        Parameters
        ----------
        name : str
            What the model is to be called.
        overwrite : bool, default False
            Whether a model of that name is replaced.

        Raises
        ------
        ConfigError
            If the name cannot be used, or is taken and must not be overwritten.
        """
        load_torch()
        from sgcldff_core.model import add_model

        return add_model(self.folder, name, overwrite=overwrite)

    def _read_notes(self) -> dict[str, Any]:
        path = self.folder / _NOTES
        try:
            notes: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if not self.resumable or not {"paths", "start", "settings"} <= notes.keys():
                raise KeyError(_CHECKPOINT)
        except (OSError, ValueError, KeyError) as error:
            raise FormatError(self.folder, "this is no run that can go on", "start a new one") from error
        return notes

    def _note(
        self, learned: Sequence[Sample], held: Sequence[Sample], failures: Sequence[Exception], settings: TrainingConfig
    ) -> None:
        self.notes = [f"Learns from {_count(len(learned), 'image')}, holds out {len(held) or 'none'}."]
        if not held:
            self.notes.append("Nothing is held out, so no figure here tells how it does on other images.")
        elif len(held) < _ROUGH:
            self.notes.append("So few held-out images give only a rough idea of how good it is.")
        named = any(s.classes or s.image_class for s in learned)
        if not named:
            self.notes.append("No cell has a class: only outlines are learned.")
        if failures:
            self.notes.append(f"{_count(len(failures), 'file')} could not be used: {failures[0]}")

    def _remember(self) -> None:
        """Read the curves up to where the run was broken off."""
        from sgcldff_core.training.logs import read_log

        told: dict[int, dict[str, float]] = {}
        for row in read_log(self.folder / "log.csv"):
            told.setdefault(int(row["epoch"]), {})[row["name"]] = float(row["value"])
        start = "validation/"
        self.losses = [(float(e), v["loss/total"]) for e, v in told.items() if "loss/total" in v]
        figures = {e: {k.removeprefix(start): x for k, x in v.items() if k.startswith(start)} for e, v in told.items()}
        self.figures = [(epoch, values) for epoch, values in figures.items() if values]

    def _take(self, at: Progress, pace: float) -> None:
        done = at.epochs * at.step / at.steps
        if at.losses:
            self.losses.append((done, at.losses["total"]))
        if at.figures is not None:
            self.figures.append((round(done), dict(at.figures)))
            self.outlined = at.outlined
        self.seconds_left = pace * (at.steps - at.step)

    def _wait(self, stage: str, at: Progress, report: Report) -> float:
        """Wait while paused; return for how long."""
        begun = time.monotonic()
        while not self._going.wait(0.1):
            report(stage, at.step, at.steps)
        return time.monotonic() - begun


def runs_folder() -> Path:
    """Return where the runs of this user are."""
    return Path(platformdirs.user_data_dir("sgcldff", appauthor=False)) / "runs"


def unfinished_runs() -> list[Path]:
    """Return the folders of runs that were broken off, the latest first."""
    return sorted((p.parent for p in runs_folder().glob(f"*/{_CHECKPOINT}")), reverse=True)


def _new_folder() -> Path:
    stem = datetime.now().strftime("%Y-%m-%d %H.%M.%S")
    folder, number = runs_folder() / stem, 1
    while folder.exists():
        folder, number = runs_folder() / f"{stem} {number + 1}", number + 1
    return folder


def _load(name: str) -> Model:
    from sgcldff_core.model import load_model

    return load_model(name or None)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
