"""A differential count as such, whoever made it: a run of the program or a person's curated folder."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

import sgcldff_core
from sgcldff_core.cells import counted_cells
from sgcldff_core.datasets.history import CURATED_INDEX, history_of
from sgcldff_core.datasets.registry import open_dataset
from sgcldff_core.errors import FormatError
from sgcldff_core.export.count_intervals import ClassCount, counted
from sgcldff_core.export.run_folder import read_run
from sgcldff_core.taxonomy import LEUKOCYTES

__all__ = ["LeukocyteCount", "read_count"]


@dataclass(frozen=True, slots=True)
class LeukocyteCount:
    """A differential count and where it comes from.

    Attributes
    ----------
    classes : tuple of ClassCount
        All classes, also those without cells.
    when : str
        When it was made, ISO 8601 with its time zone.
    source : str
        What made it, for people.
    notes : tuple of str
        What a reader has to know, in sentences.
    fingerprint : str
        The same for the same cells: of it, identifiers are made.
    """

    classes: tuple[ClassCount, ...]
    when: str
    source: str
    notes: tuple[str, ...]
    fingerprint: str

    @property
    def total(self) -> int:
        """Number of cells that were counted."""
        return sum(row.count for row in self.classes)


def read_count(folder: Path | str) -> LeukocyteCount:
    """Read the differential count of a folder.

    Parameters
    ----------
    folder : Path or str
        What ``sgcldff predict`` wrote, or a curated folder, whose classes a person gave or looked through.

    Returns
    -------
    LeukocyteCount
        Of all images together; cells without a class are not counted, which its notes say.

    Raises
    ------
    DataError
        If it is neither, or damaged, or holds a file that cannot be read: a count that lacks an image is none.
    """
    folder = Path(folder)
    return _of_curated(folder) if (folder / CURATED_INDEX).is_file() else _of_run(folder)


def _of_run(folder: Path) -> LeukocyteCount:
    run = read_run(folder)
    flagged = int(run.cells["needs_review"].sum())
    notes = [f"{len(run.cells)} cells in {len(run.images)} images; {flagged} are marked for a second look."]
    if run.failures:
        notes.append(f"{len(run.failures)} images could not be used.")
    left_out = run.not_counted()
    if left_out:
        notes.append(
            f"{sum(left_out.values())} cells in {len(left_out)} images that do not look like a stained smear in focus "
            "are not counted."
        )
    cells = counted_cells(run.cells)
    source = f"sgcldff {run.version}, model {run.model} ({run.sha256[:12]})"
    keys = [f"{image}/{label}" for image, label in zip(cells["image"], cells["label"], strict=True)]
    found = list(cells["class"])
    return LeukocyteCount(
        counted(run.counts(), run.classes), run.started, source, tuple(notes), _fingerprint(keys, found)
    )


def _of_curated(folder: Path) -> LeukocyteCount:
    dataset = open_dataset(folder, format="curated")
    keys: list[str] = []
    found: list[str] = []
    unnamed = images = 0
    for sample in dataset:
        labels = sample.read_labels()
        numbers = [] if labels is None else [int(n) for n in np.unique(labels) if n]
        named = sample.classes or {}
        images += 1
        unnamed += sum(n not in named for n in numbers)
        keys += [f"{sample.name}/{n}" for n in numbers if n in named]
        found += [named[n] for n in numbers if n in named]
    for problem in dataset.report:
        raise FormatError(folder, f"it cannot be counted as a whole: {problem}", "put the file right first")
    notes = [f"{len(found)} cells in {images} images, from a curated folder."]
    if unnamed:
        notes.append(f"{unnamed} cells without a class are not counted.")
    steps = history_of(folder)
    when = steps[-1].when if steps else datetime.now(UTC).isoformat(timespec="seconds")
    known = [c.name for c in LEUKOCYTES]
    order = known + sorted(set(found) - set(known))
    source = f"sgcldff {sgcldff_core.__version__}, curated folder {folder.resolve().name}"
    return LeukocyteCount(counted(Counter(found), order), when, source, tuple(notes), _fingerprint(keys, found))


def _fingerprint(keys: Sequence[str], found: Sequence[str]) -> str:
    text = "\n".join(f"{key}\t{name}" for key, name in sorted(zip(keys, found, strict=True)))
    return hashlib.sha256(text.encode()).hexdigest()
