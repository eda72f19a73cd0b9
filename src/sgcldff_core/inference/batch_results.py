"""What becomes of files: of each, step by step, and of all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from sgcldff_core.inference.slide import SlideResult

__all__ = ["BatchResult", "FileResult", "FileStep"]


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
        Its cells; None where it failed. Of a slide in short, see `slide`.
    diameter : float or None
        Of a typical cell in px.
    problem : str
        Why it failed; empty where it did not.
    warning : str
        What to know before it is relied on; empty where there is nothing.
    slide : SlideResult or None
        What was written of it, if it is a slide.
    """

    path: Path
    stem: str
    seconds: float
    cells: pd.DataFrame | None
    diameter: float | None
    problem: str = ""
    warning: str = ""
    slide: SlideResult | None = None


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
        The cells of all images; those of a slide are in its own table, which may be large.
    differential : DataFrame
        Counts by image and class, of slides too.
    seconds : float
        From the first to the last.
    """

    files: tuple[FileResult, ...]
    cells: pd.DataFrame
    differential: pd.DataFrame
    seconds: float

    @property
    def failures(self) -> tuple[FileResult, ...]:
        """The files that could not be used."""
        return tuple(file for file in self.files if file.problem)

    @property
    def count(self) -> int:
        """Number of cells in all images and slides."""
        return sum(len(file.cells) for file in self.files if file.cells is not None)

    @property
    def to_review(self) -> int:
        """How many of these somebody should look at again."""
        return sum(int(file.cells["needs_review"].sum()) for file in self.files if file.cells is not None)
