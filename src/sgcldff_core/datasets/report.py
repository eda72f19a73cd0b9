"""`ReadReport`: which files of a data set could not be used, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Problem", "ReadReport"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that was wrong with one file.

    Attributes
    ----------
    path : Path
        The file or folder at fault.
    problem : str
        What is wrong with it, and what was done about it.
    unusable : bool
        True where the file was left out; False where it was used after mending or dropping a part.
    """

    path: Path
    problem: str
    unusable: bool


class ReadReport:
    """Collects every file that could not be used, or only in part, while a data set is read.

    The same problem is kept once, however often the data set is iterated.

    Examples
    --------
    >>> report = ReadReport()
    >>> report.refuse("smear/7.jpg", "the file is empty")
    >>> report.note("smear/8.xml", "a box without area was dropped")
    >>> len(report), [str(p.path) for p in report.unusable]
    (2, ['smear/7.jpg'])
    """

    __slots__ = ("_problems",)

    def __init__(self) -> None:
        # A dict rather than a list: ordered, and each problem once.
        self._problems: dict[Problem, None] = {}

    def refuse(self, path: Path | str, problem: str) -> None:
        """Name a file that is left out, and why.

        Parameters
        ----------
        path : Path or str
            The file or folder.
        problem : str
            What is wrong with it.
        """
        self._problems[Problem(Path(path), problem, unusable=True)] = None

    def note(self, path: Path | str, problem: str) -> None:
        """Name a file that is used although a part of it was mended or dropped.

        Parameters
        ----------
        path : Path or str
            The file or folder.
        problem : str
            What was wrong, and what was done about it.
        """
        self._problems[Problem(Path(path), problem, unusable=False)] = None

    @property
    def unusable(self) -> tuple[Problem, ...]:
        """The files that were left out, in the order in which they were met."""
        return tuple(p for p in self._problems if p.unusable)

    @property
    def notes(self) -> tuple[Problem, ...]:
        """The files that were used after mending, in the order in which they were met."""
        return tuple(p for p in self._problems if not p.unusable)

    def __iter__(self) -> Iterator[Problem]:
        return iter(tuple(self._problems))

    def __len__(self) -> int:
        return len(self._problems)

    def __repr__(self) -> str:
        return f"ReadReport({len(self.unusable)} unusable, {len(self.notes)} noted)"
