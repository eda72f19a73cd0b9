"""Tell what an atlas of measured cells is worth: names of held-out cells by the network alone, and by both.

Writes a page::

    python benchmarks/atlas.py ../shared/data --trials runs/fold/seed0/fold3 runs/fold/seed0/fold4 --cache runs/atlas \
        --out docs/results/atlas.md

Each trial of ``sgcldff crossval`` gets an atlas of the images that it learned from, and judges its fold with it, as
``sgcldff evaluate`` does; what it judged without is there already. What is in the cache is not done again.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sgcldff_core.datasets import open_dataset
from sgcldff_core.evaluation.assessment import MISSED, ImageAssessment, assess, summarise
from sgcldff_core.evaluation.atlas_cells import atlas_of
from sgcldff_core.evaluation.crossval import FOLDS
from sgcldff_core.evaluation.intervals import Interval, paired_difference
from sgcldff_core.evaluation.review_figures import auroc, bootstrap_by_group, caught
from sgcldff_core.evaluation.trial import JUDGED, Trial, judge_each, read_trial, write_trial
from sgcldff_core.evaluation.trust import held_out_groups
from sgcldff_core.files import written_atomically
from sgcldff_core.inference import with_engine
from sgcldff_core.model import load_model, save_parts
from sgcldff_core.model.atlas import ATLAS
from sgcldff_core.training.split import without_copies

NAMES = {"network": "network alone", "both": "network and atlas"}


def main() -> None:
    """Make atlases and judge with them where that is not done, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with zheng/ and bccd/")
    parser.add_argument("--trials", type=Path, nargs="+", required=True)
    parser.add_argument("--cache", type=Path, required=True, help="folder of trials with an atlas")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    samples = without_copies([s for name in ("zheng", "bccd") for s in open_dataset(options.data / name)])
    samples = [s for s in samples if s.split != "test"]
    pairs = {}
    for folder in options.trials:
        before = read_trial(folder)
        names = {(i.source, i.name) for i in before.images}
        after = judged_with_atlas(folder, samples, names, options.cache)
        pairs[folder.name] = (list(before.images), list(after.images))
    with written_atomically(options.out) as draft:
        draft.write_text(page(pairs, options), encoding="utf-8")


def judged_with_atlas(folder: Path, samples: list, names: set[tuple[str, str]], cache: Path) -> Trial:
    """Return how the images of a trial's fold come out with an atlas."""
    place = cache / folder.parent.name / folder.name
    if (place / JUDGED).is_file():
        return read_trial(place)
    model = load_model(folder)
    held = held_out_groups(folder, model) | set(model.training.get("validation_groups", ()))
    if not (place / ATLAS).is_file():
        place.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder.parent.parent / FOLDS, cache / FOLDS)  # so that the copy is known for a trial too
        atlas = atlas_of([s for s in samples if s.group not in held], with_engine(model))
        save_parts(replace(model, atlas=atlas), folder, place)
    knowing = with_engine(load_model(place))
    judged = [s for s in samples if (s.source, s.name) in names]
    trial = Trial(place, *map(tuple, judge_each(judged, lambda s: assess([s], knowing)[0], lambda *_: None)))
    write_trial(trial)
    return trial


def named(images: list[ImageAssessment]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of every cell that was found: whether the name is wrong, what confidence lacks to 1, and entropy."""
    cells = [cell for image in images for cell in image.classes if cell.found != MISSED]
    p = np.array([list(cell.probabilities.values()) for cell in cells])
    wrong = np.array([float(cell.found != cell.true) for cell in cells])
    return wrong, 1 - p.max(axis=1), -(p * np.log(p + 1e-12)).sum(axis=1)


def row(title: str, images: list[ImageAssessment]) -> str:
    """Return a line of the table."""
    found = summarise(images)
    wrong, unsure, entropy = named(images)
    figures = [
        f"{found.figures['accuracy']:.3f}",
        f"{found.figures['macro_f1']:.3f}",
        f"{found.figures['calibration_error']:.3f}",
        f"{int(wrong.sum())} of {len(wrong)}",
        f"{auroc(wrong, unsure):.3f}",
        f"{auroc(wrong, entropy):.3f}",
        f"{caught(wrong, entropy):.2f}",
    ]
    return f"| {title} | " + " | ".join(figures) + " |"


def page(pairs: dict[str, tuple[list[ImageAssessment], list[ImageAssessment]]], options: argparse.Namespace) -> str:
    """Return the page of results in Markdown."""
    trials = " ".join(map(str, options.trials))
    lines = [
        "# What the atlas is worth",
        "",
        f"Written by `python benchmarks/atlas.py ../shared/data --trials {trials} --cache runs/atlas --out "
        "docs/results/atlas.md`; do not edit. What it is: [An atlas of measured cells](../method/atlas.md), which says "
        "what chose it.",
        "",
        "Cells of images that neither network nor atlas learned from. A missed cell counts as wrong in accuracy. AUROC "
        "is of finding wrong names among the cells found; *caught* is the share of these that the fifth of greatest "
        "entropy holds.",
        "",
        "| | class accuracy | macro-F1 | ECE | wrong names | AUROC, confidence | AUROC, entropy | caught |",
        "| --- " * 8 + "|",
    ]
    pooled: dict[str, list[ImageAssessment]] = {key: [] for key in NAMES}
    for name, pair in pairs.items():
        for (key, title), images in zip(NAMES.items(), pair, strict=True):
            lines.append(row(f"{name}, {title}", images))
            pooled[key] += images
    if len(pairs) > 1:
        lines += [row(f"together, {title}", pooled[key]) for key, title in NAMES.items()]
    for source in sorted({i.source for i in pooled["both"]}):
        parts = {key: [i for i in images if i.source == source] for key, images in pooled.items()}
        if all(part and named(part)[0].any() for part in parts.values()):  # else there is nothing to find
            lines += [row(f"{source}, {title}", parts[key]) for key, title in NAMES.items()]
    difference = paired_difference(pooled["both"], pooled["network"])["accuracy"]
    gain = better_found(pooled["network"], pooled["both"])
    mended, broken = changed(pooled["network"], pooled["both"])
    lines += [
        "",
        f"Of all these cells the atlas mends {mended} names and breaks {broken}. Accuracy with it less that without: "
        f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f}, 95 % bootstrap over images). The "
        "names that both give and that are wrong are found by the entropy of both better than by the network's "
        f"confidence: AUROC {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}, 95 % bootstrap over cells).",
        "",
    ]
    return "\n".join(lines)


def better_found(network: list[ImageAssessment], both: list[ImageAssessment]) -> Interval:
    """Return how much better the wrong names of both are found by their entropy than by the network's confidence."""
    then = {(i.source, i.name): i.classes for i in network}
    cells = [pair for i in both for pair in zip(then[i.source, i.name], i.classes, strict=True)]
    cells = [(old, new) for old, new in cells if MISSED not in (old.found, new.found)]
    wrong = np.array([float(new.found != new.true) for _, new in cells])
    p = np.array([list(new.probabilities.values()) for _, new in cells])
    scores = np.stack([-(p * np.log(p + 1e-12)).sum(axis=1), [1 - old.confidence for old, _ in cells]], 1)
    alone = np.arange(len(cells)).astype(object)
    return bootstrap_by_group(wrong, scores, alone, lambda e, s: auroc(e, s[:, 0]) - auroc(e, s[:, 1]))


def changed(before: list[ImageAssessment], after: list[ImageAssessment]) -> tuple[int, int]:
    """Return how many names became right, and how many wrong."""
    then = {(i.source, i.name): [c.found == c.true for c in i.classes] for i in before}
    now = {(i.source, i.name): [c.found == c.true for c in i.classes] for i in after}
    both = [(a, b) for key in then.keys() & now.keys() for a, b in zip(then[key], now[key], strict=True)]
    return sum(b and not a for a, b in both), sum(a and not b for a, b in both)


if __name__ == "__main__":
    main()
