"""Hold sets of classes to their promise on real cells: fitted on four folds, counted on the fifth.

    python benchmarks/class_sets.py --trials runs/atlas/seed0/fold*

Reads what `sgcldff crossval` judged. Brackets: exact 95 % interval for as many cells.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import binomtest

from sgcldff_core.cells import prediction_sets
from sgcldff_core.evaluation.conformal import cross_coverage
from sgcldff_core.evaluation.named_cells import NamedCells, named_cells
from sgcldff_core.evaluation.trial import read_trial
from sgcldff_core.training.conformal import COVERAGES

SOURCES = ("zheng1", "zheng2", "bccd")


def _share(hits: int, cells: int) -> str:
    low, high = binomtest(hits, cells).proportion_ci()
    return f"{hits / cells:.3f} ({low:.3f}-{high:.3f})"


def _covered(folds: list[NamedCells], thresholds: tuple[float, ...], source: str) -> str:
    hits = cells = 0
    for fold, threshold in zip(folds, thresholds, strict=True):
        some = fold.where(np.array([key.source == source for key in fold.keys]))
        inside = prediction_sets(some.probabilities, threshold)
        hits += int(inside[np.arange(len(inside)), some.annotated].sum())
        cells += len(inside)
    return _share(hits, cells)


def main() -> None:
    """Print one row for each coverage that is promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", nargs="+", type=Path, required=True, help="one folder for each fold")
    folds = [named_cells(read_trial(folder).images) for folder in parser.parse_args().trials]
    annotated = np.concatenate([fold.annotated for fold in folds])
    names = [folds[0].classes[i] for i in np.unique(annotated)]
    counts = {name: int((annotated == folds[0].classes.index(name)).sum()) for name in names}
    table = Table(title=f"{len(annotated)} cells", title_justify="left")
    for column in (
        "promised",
        "covered",
        "classes a set",
        "one class",
        *SOURCES,
        *(f"{n} ({counts[n]})" for n in names),
    ):
        table.add_column(column)
    for nominal in COVERAGES:
        found = cross_coverage(folds, nominal)
        table.add_row(
            f"{nominal:g}",
            _share(round(found.coverage * len(annotated)), len(annotated)),
            f"{found.size:.2f}",
            f"{found.single:.3f}",
            *(_covered(folds, found.thresholds, source) for source in SOURCES),
            *(f"{found.by_class[name]:.3f}" for name in names),
        )
    Console(width=240).print(table)


if __name__ == "__main__":
    main()
