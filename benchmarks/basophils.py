"""Tell how basophils are named by networks that never saw them.

The data sets have so few that each fold holds out one: out of a cross-validation's finished trials
their predictions are those of a leave-one-out. Prints each basophil, what else was called one, and
the figures of the class::

    python benchmarks/basophils.py ../shared/data/zheng ../shared/data/bccd --trials crossval/fold0 crossval/fold1

With ``--further DIR`` each trial's network first learns a little further from the images that it
learned from before, with more synthetic smears, of which every fifth cell is a basophil.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import torch

from sgcldff_core.evaluation.folds import read_folds
from sgcldff_core.evaluation.trial import Trial, read_trial, run_trial
from sgcldff_core.training import AugmentationConfig, TrainingConfig, read_annotated

RARE = "basophil"


def further(folder: Path, options: argparse.Namespace) -> Trial:
    """Fine-tune the network of a fold's trial without its held-out images, and judge it on them."""
    fold = int(re.findall(r"\d+", folder.name)[-1])
    samples = [s for s in read_annotated(options.datasets)[0] if s.split != "test"]
    training, judged = read_folds(options.folds).split(samples, fold)
    config = TrainingConfig(
        epochs=options.epochs,
        views=240,
        validation=0.1,
        validate_every=options.epochs,
        workers=0,
        start=str(folder),
        learning_rate=8e-4,
        saliency_warmup=0.0,
        synthetic_images=300,
        augmentation=AugmentationConfig(elsewhere=0.2, synthetic=options.synthetic, paste=options.paste),
    )
    return run_trial(training, judged, config, options.further / folder.name)


def main() -> None:
    """Print one line a cell that is a basophil or was called one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="*", type=Path, help="with --further")
    parser.add_argument("--trials", nargs="+", type=Path, required=True, help="folders that end in the fold's number")
    parser.add_argument("--further", type=Path, help="folder for the fine-tuned networks")
    parser.add_argument("--folds", type=Path, default=Path("docs/recipes/folds.json"))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--synthetic", type=float, default=0.25, help="share of synthetic smears among the views")
    parser.add_argument("--paste", type=float, default=0.4, help="chance of pasting a cell, a rare one rather")
    options = parser.parse_args()
    if options.further and not options.datasets:
        parser.error("--further needs the data sets to learn from")
    torch.set_num_threads(1)
    held = right = called = false = others = named = 0
    for folder in options.trials:
        trial = further(folder, options) if options.further else read_trial(folder)
        for image in trial.images:
            for cell in image.classes:
                held += cell.true == RARE
                others += cell.true != RARE
                named += cell.true != RARE and cell.true == cell.found
                called += cell.found == RARE
                right += cell.true == cell.found == RARE
                false += cell.true != RARE and cell.found == RARE
                if RARE in (cell.true, cell.found):
                    share = cell.probabilities.get(RARE, 0.0)
                    print(  # noqa: T201
                        f"{folder.name:<8} {image.name:<20} is {cell.true:<11} called {cell.found:<11} "
                        f"confidence {cell.confidence:.2f}  probability of {RARE} {share:.2f}",
                        flush=True,
                    )
    print(  # noqa: T201
        f"found {right} of {held}; of {called} called {RARE}, {false} are not; "
        f"of {others} other cells {named} are named rightly"
    )


if __name__ == "__main__":
    main()
