"""Who changed what when: the history that a data set carries from one format into the next."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sgcldff_core.errors import FormatError

__all__ = ["COCO_INDEX", "CURATED_INDEX", "ZHENG_INDEX", "Change", "Provenance", "history_of"]

CURATED_INDEX = "dataset.json"
"""What makes a folder a curated data set."""

COCO_INDEX = "annotations.json"
"""Where the COCO writer puts all annotations."""

ZHENG_INDEX = "sgcldff.json"
"""Where the Zheng writer puts what that format has no place for."""


@dataclass(frozen=True, slots=True)
class Change:
    """One step in the history of a data set.

    Attributes
    ----------
    when : str
        Time in UTC, ISO 8601, to the second.
    who : str
        Who did it.
    what : str
        What was done, in a sentence.
    """

    when: str
    who: str
    what: str

    @classmethod
    def now(cls, who: str, what: str) -> Change:
        """Return a change that happens at this moment.

        Parameters
        ----------
        who : str
            A person or program.
        what : str
            What was done, as a sentence for readers of the history.
        """
        return cls(datetime.now(UTC).isoformat(timespec="seconds"), who, what)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the cells of a data set come from.

    Attributes
    ----------
    title : str
        Name of the data set, for people.
    origin : str
        What it was made from.
    history : tuple of Change
        Who changed what when, oldest first, the present writing last.
    """

    title: str
    origin: str
    history: tuple[Change, ...] = ()

    @property
    def steps(self) -> list[dict[str, str]]:
        """The history as it stands in JSON."""
        return [asdict(change) for change in self.history]


def history_of(path: Path | str) -> tuple[Change, ...]:
    """Return the history of a data set that this package wrote; empty for any other.

    Parameters
    ----------
    path : Path or str
        Its folder, or its index.

    Returns
    -------
    tuple of Change
        Oldest first.

    Raises
    ------
    FormatError
        If there is a history that cannot be read: it would be lost from here on.
    """
    path = Path(path)
    candidates = [path] if path.is_file() else [path / name for name in (CURATED_INDEX, COCO_INDEX, ZHENG_INDEX)]
    for index in candidates:
        if index.is_file():
            return _history_in(index)
    return ()


def _history_in(index: Path) -> tuple[Change, ...]:
    try:
        read: Any = json.loads(index.read_text(encoding="utf-8"))
        mine = read if index.name != COCO_INDEX and "info" not in read else read.get("info", {}).get("sgcldff", {})
        return tuple(Change(**change) for change in mine.get("history", ()))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(index, f"its history cannot be read ({error})", "restore the file from a copy") from error
