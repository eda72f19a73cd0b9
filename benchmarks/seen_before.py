"""Tell what trials owe to cells that they had learned from in another photograph.

    python benchmarks/seen_before.py ../shared/data --trials runs/fold/seed0/fold1 runs/fold/seed0/fold2

Folds that were made before near duplicates were known (``sgcldff datasets duplicates``) parted some of them: one
photograph was learned from, the other judged. Prints the figures of all judged images, and of those whose
cell was not learned from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from sgcldff_core.datasets import open_dataset
from sgcldff_core.datasets.known_duplicates import shown_first
from sgcldff_core.evaluation.assessment import ImageAssessment, summarise
from sgcldff_core.evaluation.trial import read_trial
from sgcldff_core.training.split import without_copies

FIGURES = ("iou", "nucleus_iou", "accuracy", "macro_f1", "ece")


def main() -> None:
    """Read and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with zheng/ and bccd/")
    parser.add_argument("--trials", type=Path, nargs="+", required=True)
    options = parser.parse_args()
    samples = without_copies([s for name in ("zheng", "bccd") for s in open_dataset(options.data / name)])
    groups = {(s.source, s.name): shown_first(s.group) for s in samples if s.split != "test"}
    judged: list[ImageAssessment] = []
    new: list[ImageAssessment] = []
    for folder in options.trials:
        images = list(read_trial(folder).images)
        held = {(i.source, i.name) for i in images}
        learned = {group for key, group in groups.items() if key not in held}
        judged += images
        new += [i for i in images if groups[i.source, i.name] not in learned]
    say = Console(width=120).print
    for source in (None, *sorted({i.source for i in judged})):
        for title, some in (("all judged", judged), ("not seen before", new)):
            chosen = [i for i in some if source in (None, i.source)]
            figures = summarise(chosen).figures
            told = "  ".join(f"{name} {figures[name]:.4f}" for name in FIGURES if name in figures)
            say(f"{source or 'together':<12} {title:<16} {len(chosen):>4} images  {told}")


if __name__ == "__main__":
    main()
