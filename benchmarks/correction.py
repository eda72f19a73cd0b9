"""Measure what a quick training on a few corrected cells gains, and what it forgets.

A laboratory has cells of which the shipped model knows nothing: those of ALL-IDB2, in another stain
and on another microscope, which it calls ``blast`` or ``healthy``. Ten of each are annotated, and the
heads are trained on these twenty. Old and new model are held against other images of the laboratory,
and against all images that the model's own training held out, as ``sgcldff evaluate --split val``
does. There it must not lose a point::

    python benchmarks/correction.py ../shared/data/all_idb2 --own ../shared/data/zheng ../shared/data/bccd

``--seeds`` draws other cells; ``--without-memory`` shows what is forgotten without it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from sgcldff_core.evaluation.assessment import ImageAssessment, assess, summarise
from sgcldff_core.evaluation.atlas_cells import enlarge_atlas
from sgcldff_core.evaluation.before_after import compare_before_after
from sgcldff_core.model import load_model, save_model
from sgcldff_core.training import prepare_split, read_annotated, split_samples, train
from sgcldff_core.training.refining import named_classes, refining_settings

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample


def drawn(samples: Sequence[Sample], count: int, judged: int, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Return as many cells of either name to learn from, and images to judge by."""
    piles: dict[str, list[Sample]] = {}
    for i in np.random.default_rng(seed).permutation(len(samples)):
        for name in set((samples[i].classes or {}).values()):
            piles.setdefault(name, []).append(replace(samples[i], image_class=None))
    learned = [s for pile in piles.values() for s in pile[: count // len(piles)]]
    rest = [s for pile in piles.values() for s in pile[count // len(piles) :][: judged // len(piles)]]
    return learned, rest


def figures(images: Sequence[ImageAssessment]) -> dict[str, float]:
    """Return the figures that may not fall."""
    names = ("iou", "nucleus_iou", "box_f1", "accuracy", "macro_f1")
    return {name: value for name, value in summarise(images).figures.items() if name in names}


def main() -> None:
    """Print one block of lines for each draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("laboratory", type=Path, help="ALL-IDB2 with masks")
    parser.add_argument("--own", nargs="+", type=Path, required=True, help="data sets of the model's training")
    parser.add_argument("--base", default="leukocytes")
    parser.add_argument("--cells", type=int, default=20)
    parser.add_argument("--judged", type=int, default=80, help="images of the laboratory to judge by")
    parser.add_argument("--elsewhere", type=int, default=0, help="held-out images to judge by; 0 for all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--train", choices=("heads", "all"), default="heads")
    parser.add_argument("--without-memory", action="store_true")
    parser.add_argument("--rate", type=float, help="learning rate")
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)

    base = load_model(options.base)
    laboratory = [s for s in read_annotated([options.laboratory])[0] if s.labels is not None and s.classes]
    held = set(base.training["validation_groups"])
    elsewhere = [s for s in read_annotated(options.own)[0] if s.group in held and s.kinds]
    if options.elsewhere:
        keep = np.random.default_rng(0).permutation(len(elsewhere))[: options.elsewhere]
        elsewhere = [elsewhere[i] for i in keep]
    before = figures(assess(elsewhere, base))
    for seed in options.seeds:
        learned, judged = drawn(laboratory, options.cells, options.judged, seed)
        with tempfile.TemporaryDirectory() as folder:
            start = options.base
            if options.without_memory:
                start = str(save_model(base, Path(folder) / "start"))
            wall, spent = time.perf_counter(), time.process_time()
            settings = refining_settings(
                base,
                start,
                named_classes(learned),
                len(learned),
                train=options.train,
                epochs=options.epochs,
                learning_rate=options.rate,
                rehearsal=0.0 if options.without_memory else None,
                seed=seed,
            )
            training, validation = split_samples(learned, settings.validation, seed)
            data = prepare_split(training, validation, settings)
            steps = train(data.training, data.validation, settings, Path(folder) / "new")
            scores = [p.figures["score"] for p in steps if p.figures]
            enlarge_atlas(Path(folder) / "new", base, training)  # as the widget and the command do
            wall, spent = time.perf_counter() - wall, time.process_time() - spent
            new = load_model(Path(folder) / "new")
        _say(f"seed {seed}: {len(training)} images learned, {len(validation)} held out")
        _say(f"  time {wall:.0f} s, of the processor {spent:.0f} s; score by epoch", *(f"{x:.3f}" for x in scores))
        result = compare_before_after(judged, base, new)
        _line(f"laboratory ({result.images}), before", result.before)
        _line(f"laboratory ({result.images}), after", result.after)
        after = figures(assess(elsewhere, new))
        _line(f"elsewhere ({len(elsewhere)}), before", before)
        _line(f"elsewhere ({len(elsewhere)}), after", after)
        _line("elsewhere, change in points", {k: 100 * (after[k] - before[k]) for k in before}, digits=2)


def _say(*words: str) -> None:
    print(*words, flush=True)  # noqa: T201


def _line(title: str, values: Mapping[str, float], digits: int = 4) -> None:
    _say(f"  {title:28}" + "  ".join(f"{k} {v:.{digits}f}" for k, v in values.items()))


if __name__ == "__main__":
    main()
