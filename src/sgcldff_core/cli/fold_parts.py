"""Which images the commands that train several networks learn from and judge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sgcldff_core.evaluation.ablation_plan import Part
    from sgcldff_core.evaluation.folds import Folds
    from sgcldff_core.sample import Sample
    from sgcldff_core.training import TrainingConfig

__all__ = ["folds_of", "title_of", "wanted_names"]

_FOLDS = 5


def wanted_names(lists: Sequence[str] | None) -> list[str]:
    """Take apart an option that may be repeated, and may hold names with commas between them.

    Parameters
    ----------
    lists : sequence of str, or None
        The option as it was given each time; None where it was not.
    """
    return [name for names in lists or () for name in names.split(",") if name]


def folds_of(samples: Sequence[Sample], out: Path, file: Path | None) -> Folds:
    """Return the folds of a file, or else those of the run's own folder, made where there are none.

    Parameters
    ----------
    samples : sequence of Sample
        What is to be divided.
    out : Path
        The run's folder, where ``folds.json`` is made.
    file : Path or None
        Folds that were given.
    """
    from sgcldff_core.evaluation.folds import make_folds, read_folds, write_folds

    own = out / "folds.json"
    if file is None and not own.is_file():
        write_folds(make_folds(samples, _FOLDS), own)
    return read_folds(file or own)


def title_of(parts: Sequence[Part], recipe: TrainingConfig, *, chosen: str = "", what: str) -> str:
    """Say what is learned from and judged, and how long.

    Parameters
    ----------
    parts : sequence of Part
        Images.
    recipe : TrainingConfig
        Of all networks.
    chosen : str
        Words before what is learned from, where only some of it is.
    what : str
        What has that recipe: ``"row"`` or ``"network"``.
    """
    told = "; ".join(
        f"{p.name}: learned from {chosen}{_counted(p.learned)}, judged on {_counted(p.judged)}" for p in parts
    )
    return f"{told}. {recipe.epochs} epochs of {recipe.views or 'as many as images'} views for every {what}."


def _counted(samples: Sequence[Sample]) -> str:
    return ", ".join(f"{n} {source}" for source, n in sorted(Counter(s.source for s in samples).items()))
