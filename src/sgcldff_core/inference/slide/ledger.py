"""What is done of a slide, on disk: after a kill no finished region is done again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sgcldff_core.errors import ConfigError
from sgcldff_core.files import write_json, written_atomically
from sgcldff_core.inference.slide.plan import SlidePlan

if TYPE_CHECKING:
    from sgcldff_core.inference.slide.region import LookedAt, Worth

__all__ = ["Ledger"]

_PLAN = "plan.json"
_WORTHS: tuple[Worth, ...] = ("cells", "empty", "thick")


class Ledger:
    """A folder with a file for each region that is done; the file appears whole or not at all.

    Parameters
    ----------
    folder : Path
        Made when something is noted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begun(self) -> SlidePlan | None:
        """Return the plan of a run that was broken off, or None."""
        try:
            told = json.loads((self.folder / _PLAN).read_text(encoding="utf-8"))
            plain: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in told.items()
            }
            return SlidePlan(**plain)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, AttributeError) as damaged:
            raise ConfigError(f"{self.folder / _PLAN} is damaged ({damaged}); delete {self.folder}") from damaged

    def begin(self, plan: SlidePlan) -> None:
        """Note a plan, or find that it is the one that was begun.

        Parameters
        ----------
        plan : SlidePlan
            What is to be done now.

        Raises
        ------
        ConfigError
            If another one was begun here.
        """
        before = self.begun()
        if before is None:
            write_json(self.folder / _PLAN, plan.to_dict())
        elif before != plan:
            changed = [key for key, value in before.to_dict().items() if plan.to_dict()[key] != value]
            raise ConfigError(
                f"{self.folder} holds a run that was begun with another {', '.join(changed)}; "
                "use the same settings to go on, or delete it to begin anew"
            )

    def done(self) -> dict[int, Worth]:
        """Return the regions that are done, and what they were found worth."""
        files = (path.name.split(".") for path in self.folder.iterdir() if path.name[0].isdigit())
        return {int(name[0]): worth for name in files for worth in _WORTHS if worth == name[1]}

    def note(self, index: int, seen: LookedAt) -> None:
        """Note what a region holds.

        Parameters
        ----------
        index : int
            Of the region among those of the plan, from 0.
        seen : LookedAt
            Its cells, in px of the slide, or why there are none.
        """
        with written_atomically(self._file(index, seen.worth)) as draft:
            if seen.cells is not None:
                seen.cells.to_parquet(draft, index=False)

    def cells(self, index: int) -> pd.DataFrame:
        """Return the cells of a region at which the network looked.

        Parameters
        ----------
        index : int
            Of a region that was found worth ``cells``.
        """
        return pd.read_parquet(self._file(index, "cells"))

    def remove(self) -> None:
        """Forget all: what it was for is written."""
        shutil.rmtree(self.folder)

    def _file(self, index: int, worth: Worth) -> Path:
        return self.folder / f"{index:06d}.{worth}"
