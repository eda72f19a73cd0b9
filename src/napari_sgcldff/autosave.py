"""Saving edits as they are made, in the background, so that a crash loses at most one."""

from __future__ import annotations

import getpass
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QLockFile

from napari_sgcldff.unsaved_work import UNSAVED, UnsavedWork
from sgcldff_core.errors import DataError, SgcldffError

if TYPE_CHECKING:
    import pandas as pd

    from napari_sgcldff.edit_steps import Change
    from sgcldff_core.datasets.history import Change as Entry

__all__ = ["Autosave", "Snapshot", "lock_folder", "login_name"]


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One image and its cells after an edit; nothing of it changes any more.

    Attributes
    ----------
    name : str
        What the image is called.
    image : ndarray
        (H, W, 3) uint8.
    labels : ndarray
        (H, W) int32.
    table : DataFrame
        Of its cells, see `napari_sgcldff.edited_rows`.
    trusted : bool
        Whether classes come from people even where nobody has touched the cell: in annotated data.
    renumber : bool
        Whether to number the cells from 1 in the folder, as those of one image of a stack.
    about : dict
        Of what is needed to show it again, plain JSON types.
    """

    name: str
    image: NDArray[np.uint8]
    labels: NDArray[np.integer]
    table: pd.DataFrame
    trusted: bool
    renumber: bool
    about: dict[str, Any]


class Autosave:
    """Saves into one curated folder, from the first edit until `close`.

    Each edit first goes into a log, then the folder's files are replaced. Nothing here waits for the disk
    but `close`.

    Parameters
    ----------
    folder : Path
        The curated folder; made when there is something to save.

    Raises
    ------
    DataError
        If it is no folder for that, or another window saves into it.
    """

    def __init__(self, folder: Path) -> None:
        from sgcldff_core.datasets.curated_update import check_updatable

        check_updatable(folder)
        self.folder = folder
        self.saved_at: float | None = None
        self.problem = ""
        self._lock = lock_folder(folder)
        self._guard = threading.Lock()
        self._jobs: deque[Callable[[], None]] = deque()
        self._saves: dict[str, Callable[[], None]] = {}
        self._thread: threading.Thread | None = None
        self._logs: dict[str, UnsavedWork] = {}
        self._names: dict[str, str] = {}
        self._told: dict[str, list[Entry]] = {}
        self._who = login_name()

    @property
    def busy(self) -> bool:
        """Whether something is still to be written."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def summary(self) -> str:
        """Where everything is, or why not, in a sentence."""
        if self.problem:
            return f"Not saved: {self.problem}."
        return f"Saved in {self.folder}." if self.saved_at else ""

    def save(self, change: Change, snapshot: Snapshot) -> None:
        """Save an edit.

        Parameters
        ----------
        change : Change
            The edit.
        snapshot : Snapshot
            The image after it.
        """
        from sgcldff_core.datasets.history import Change as Entry

        key = snapshot.name
        with self._guard:
            log = self._logs.get(key)
            if log is None:
                stamp = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
                log = self._logs[key] = UnsavedWork(self.folder / UNSAVED / f"{stamp}-{os.getpid()}")
                self._jobs.append(lambda: log.begin(snapshot.about, snapshot.labels, snapshot.table))
                self._jobs.append(lambda: log.keep_image(snapshot.image))
            else:
                self._jobs.append(lambda: log.append(change))
            self._told.setdefault(key, []).append(Entry.now(self._who, change.what))
            self._saves[key] = lambda: self._save(snapshot)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="sgcldff-autosave")
                self._thread.start()

    def when_saved(self, job: Callable[[], None]) -> None:
        """Do something in the background once all that was to be written so far is written.

        Parameters
        ----------
        job : callable
            Runs in the thread that saves; not at all if something could not be saved.
        """
        with self._guard:
            self._saves[f"/{id(job)}"] = lambda: None if self.problem else job()
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="sgcldff-autosave")
                self._thread.start()

    def close(self) -> None:
        """Wait until all is written, then remove the logs and let others have the folder."""
        thread = self._thread
        if thread is not None:
            thread.join()
        if not self.problem:
            for log in self._logs.values():
                log.discard()
        self._lock.unlock()
        _remove_empty(self.folder / UNSAVED)
        _remove_empty(self.folder)

    def _work(self) -> None:
        while True:
            with self._guard:
                if self._jobs:
                    job = self._jobs.popleft()
                elif self._saves:
                    job = self._saves.pop(next(iter(self._saves)))
                else:
                    self._thread = None
                    return
            try:
                job()
            except (OSError, SgcldffError) as error:  # a full disk, a folder that is gone: told by the widget
                self.problem = str(error)

    def _save(self, snapshot: Snapshot) -> None:
        from sgcldff_core.datasets.curated_update import free_name, set_aside, update_curated
        from sgcldff_core.datasets.history import Change as Entry
        from sgcldff_core.datasets.pixels import counted_cells
        from sgcldff_core.sample import Raster, Sample

        key = snapshot.name
        if key not in self._names:
            name = free_name(self.folder, key, snapshot.image)
            set_aside(self.folder, name)
            self._names[key] = name
        with self._guard:
            told = list(self._told[key])
        name = self._names[key]
        labels, classes = snapshot.labels.astype(np.int32), snapshot.table["class"].dropna()
        sure = snapshot.table["curated"].reindex(classes.index) | snapshot.trusted
        if snapshot.renumber:
            numbers, labels = counted_cells(labels)
            classes.index = sure.index = np.searchsorted(numbers, classes.index) + 1
        sample = Sample(
            name=name,
            image=Raster.of(snapshot.image),
            source="curated",
            group=name,
            labels=Raster.of(labels),
            classes={int(label): str(kind) for label, kind in classes[sure].items()},
        )
        update_curated(
            self.folder,
            sample,
            changes=[Entry(entry.when, entry.who, f"{name}: {entry.what}") for entry in told],
            predicted={int(label): str(kind) for label, kind in classes[~sure].items()},
            title=self.folder.name,
            origin="corrected in napari",
        )
        with self._guard:
            del self._told[key][: len(told)]
        self.saved_at, self.problem = time.time(), ""


def lock_folder(folder: Path) -> QLockFile:
    """Take a curated folder for this window; a lock that a crash left behind counts for nothing.

    Parameters
    ----------
    folder : Path
        Made if it is missing.

    Returns
    -------
    QLockFile
        To be unlocked.

    Raises
    ------
    DataError
        If another window has it, or it cannot be written to.
    """
    try:
        (folder / UNSAVED).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(folder, f"nothing can be saved here ({error.strerror})", "choose another folder") from error
    lock = QLockFile(str(folder / UNSAVED / "lock"))
    lock.setStaleLockTime(0)  # old age is no sign: only that its process is gone
    if lock.tryLock(0):
        return lock
    if lock.error() == QLockFile.LockError.LockFailedError:
        raise DataError(folder, "another napari window saves into this folder", "close that one, or choose another")
    raise DataError(folder, "nothing can be saved here", "choose another folder")


def login_name() -> str:
    """Return who is working, for the history of the data set."""
    try:
        return getpass.getuser()
    except (OSError, ImportError, KeyError):  # an account without a name, as in containers
        return "unknown"


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return
