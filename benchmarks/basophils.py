"""Tell how basophils are named by networks that never saw them.

The data sets have so few that each fold holds out one: out of a cross-validation's finished trials
their predictions are those of a leave-one-out. Prints each basophil, what else was called one, and
the figures of the class::

    python benchmarks/basophils.py crossval/fold0 crossval/fold1 crossval/fold2 crossval/fold3 crossval/fold4
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sgcldff_core.evaluation.trial import read_trial

RARE = "basophil"


def main() -> None:
    """Print one line a cell that is a basophil or was called one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trials", nargs="+", type=Path)
    options = parser.parse_args()
    held = right = called = false = others = 0
    for folder in options.trials:
        for image in read_trial(folder).images:
            for cell in image.classes:
                held += cell.true == RARE
                others += cell.true != RARE
                called += cell.found == RARE
                right += cell.true == cell.found == RARE
                false += cell.true != RARE and cell.found == RARE
                if RARE in (cell.true, cell.found):
                    share = cell.probabilities.get(RARE, 0.0)
                    print(  # noqa: T201
                        f"{folder.name:<8} {image.name:<20} is {cell.true:<11} called {cell.found:<11} "
                        f"confidence {cell.confidence:.2f}  probability of {RARE} {share:.2f}"
                    )
    print(f"found {right} of {held}; of {called} called {RARE}, {false} are not, out of {others} other cells")  # noqa: T201


if __name__ == "__main__":
    main()
