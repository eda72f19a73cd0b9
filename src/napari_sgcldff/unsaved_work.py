"""A log of edits on disk, from which the work is restored after a crash.

One folder for each image that is worked on, inside ``.unsaved`` of the curated folder::

    about.json      what is edited: names of image and layer, classes, when it began
    image.png       the image
    start.npz       the labels when the log began
    start.json      the table of cells likewise
    changes.jsonl   one line a change since then; a last line that a crash cut off is ignored

It goes when the work ends well.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_sgcldff.edited_rows import as_table, replaced
from sgcldff_core.errors import FormatError
from sgcldff_core.files import write_json, written_atomically

if TYPE_CHECKING:
    from napari_sgcldff.edit_steps import Change

__all__ = ["UNSAVED", "Restored", "UnsavedWork", "left_behind"]

UNSAVED = ".unsaved"
"""Folder inside a curated folder where logs lie."""


@dataclass(frozen=True, slots=True, eq=False)
class Restored:
    """Work that a log brought back.

    Attributes
    ----------
    about : dict
        As it was given to `UnsavedWork.begin`.
    image : ndarray or None
        (H, W, 3) uint8; None if the crash came before it was written.
    labels : ndarray
        (H, W) int.
    table : DataFrame
        Of the cells, see `napari_sgcldff.edited_rows`.
    edits : int
        How many edits the log holds.
    """

    about: dict[str, Any]
    image: NDArray[np.uint8] | None
    labels: NDArray[np.integer]
    table: pd.DataFrame
    edits: int


@dataclass(frozen=True, slots=True)
class UnsavedWork:
    """The log of the edits of one image.

    Attributes
    ----------
    path : Path
        Its folder.
    """

    path: Path

    def begin(self, about: Mapping[str, Any], labels: NDArray[np.integer], table: pd.DataFrame) -> None:
        """Write where the log begins, the state after the first edit.

        Parameters
        ----------
        about : mapping
            Plain JSON types; ``began`` is added.
        labels : ndarray
            (H, W) int.
        table : DataFrame
            Of the cells.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / "start.json", _plain(table))
        with written_atomically(self.path / "start.npz") as draft:
            np.savez_compressed(draft, labels=labels)
        # The last, since a folder without it is no log.
        write_json(self.path / "about.json", {**about, "began": datetime.now(UTC).isoformat(timespec="seconds")})

    def keep_image(self, image: NDArray[np.uint8]) -> None:
        """Write the image.

        Parameters
        ----------
        image : ndarray of uint8, shape (H, W, 3)
            RGB.
        """
        from sgcldff_core.datasets.pixels import save_png

        with written_atomically(self.path / "image.png") as draft:
            save_png(draft, image)

    def append(self, change: Change) -> None:
        """Write a change; when this returns, a crash cannot undo it.

        Parameters
        ----------
        change : Change
            What became of one plane by one edit.
        """
        line: dict[str, Any] = {"what": change.what, "labels": change.labels, "rows": _plain(change.rows)}
        if change.pixels is not None:
            line["place"], line["dtype"] = change.place, str(change.pixels.dtype)
            packed = zlib.compress(np.ascontiguousarray(change.pixels).tobytes())
            line["pixels"] = base64.b64encode(packed).decode("ascii")
        with (self.path / "changes.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
            log.flush()
            os.fsync(log.fileno())

    def discard(self) -> None:
        """Remove the log."""
        shutil.rmtree(self.path, ignore_errors=True)

    def about(self) -> dict[str, Any]:
        """Return what is edited.

        Raises
        ------
        FormatError
            If that cannot be read.
        """
        try:
            about: dict[str, Any] = json.loads((self.path / "about.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FormatError(self.path, f"the log of unsaved work cannot be read ({error})") from error
        return about

    def restore(self) -> Restored:
        """Read the log and do all its changes.

        Raises
        ------
        FormatError
            If it is damaged.
        """
        from sgcldff_core.datasets import read_rgb

        try:
            with np.load(self.path / "start.npz", allow_pickle=False) as start:
                labels = start["labels"]
            table = _table(json.loads((self.path / "start.json").read_text(encoding="utf-8")))
            edits = 1
            for line in self._lines():
                change = json.loads(line)
                if "place" in change:
                    window = tuple(slice(low, high) for low, high in change["place"])
                    # No more than the window holds: a small log could fill the memory else.
                    whole = labels[window].size * np.dtype(change["dtype"]).itemsize
                    raw = zlib.decompressobj().decompress(base64.b64decode(change["pixels"]), max(whole, 1))
                    pixels = np.frombuffer(raw, change["dtype"])
                    labels[window] = pixels.reshape(labels[window].shape)
                table = replaced(table, change["labels"], _table(change["rows"]))
                edits += 1
        except (OSError, ValueError, LookupError, TypeError, BadZipFile, zlib.error) as error:
            raise FormatError(
                self.path, f"the log of unsaved work is damaged ({error})", "its folder holds what there is of it"
            ) from error
        image = read_rgb(self.path / "image.png") if (self.path / "image.png").is_file() else None
        return Restored(self.about(), image, labels, table, edits)

    def _lines(self) -> list[str]:
        log = self.path / "changes.jsonl"
        # What follows the last line break was cut off as it was written.
        return log.read_text(encoding="utf-8").split("\n")[:-1] if log.is_file() else []


def left_behind(folder: Path | str) -> list[UnsavedWork]:
    """Return the logs in a curated folder, the latest first.

    Parameters
    ----------
    folder : Path or str
        A curated folder; need not exist.
    """
    logs = [path.parent for path in (Path(folder) / UNSAVED).glob("*/about.json")]
    return [UnsavedWork(path) for path in sorted(logs, key=lambda path: path.stat().st_mtime, reverse=True)]


def _plain(table: pd.DataFrame) -> dict[str, Any]:
    """Return a table as plain JSON types; what is missing is null."""
    cells = table.astype(object).where(table.notna(), None)
    rows = [[cell.item() if isinstance(cell, np.generic) else cell for cell in row] for row in cells.to_numpy(object)]
    return {"columns": [str(name) for name in table.columns], "types": [str(t) for t in table.dtypes], "rows": rows}


def _table(plain: Mapping[str, Any]) -> pd.DataFrame:
    types = dict(zip(plain["columns"], plain["types"], strict=True))
    table = pd.DataFrame(plain["rows"], columns=plain["columns"])
    for name, kind in types.items():
        table[name] = table[name].astype(object if kind == "object" else kind)
    return as_table(table)
