"""Measure what a quick training on a few corrected cells gains, and what it forgets.

A laboratory has cells of which the shipped model knows nothing: the lymphoblasts of ALL-IDB2, in
another stain and on another microscope. Twenty of its cells are corrected: outlined, ten of them
named ``blast``, the other ten left with the name that the model gave them. The heads are trained on
these, and old and new model are held against the laboratory's other images, and against the images
that the model's own training held out (what ``sgcldff evaluate --split val`` looks at)::

    python benchmarks/correction.py ../shared/data/all_idb2 --own ../shared/data/zheng ../shared/data/bccd

With ``--seeds`` other draws of the twenty; ``--anchor 0`` shows what is forgotten without an anchor.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from sgcldff_core.evaluation.agreement import match_labels
from sgcldff_core.evaluation.assessment import ImageAssessment, assess, summarise
from sgcldff_core.inference import predict_image
from sgcldff_core.model import Model, load_model
from sgcldff_core.taxonomy import BLAST
from sgcldff_core.training import prepare_split, read_annotated, split_samples, train
from sgcldff_core.training.refining import named_classes, refining_settings

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample


def corrected(samples: Sequence[Sample], base: Model, count: int, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Return cells as a person corrects them, half of them blasts, and the images that are left."""
    masked = [s for s in samples if s.labels is not None and s.classes]
    drawn = [masked[i] for i in np.random.default_rng(seed).permutation(len(masked))]
    blasts = [s for s in drawn if BLAST.name in (s.classes or {}).values()][: count // 2]
    others = [s for s in drawn if BLAST.name not in (s.classes or {}).values()][: count - len(blasts)]
    chosen = blasts + [replace(s, classes=_own_names(s, base)) for s in others]
    taken = {s.group for s in chosen}
    return chosen, [s for s in masked if s.group not in taken]


def _own_names(sample: Sample, base: Model) -> dict[int, str]:
    """Name annotated cells as the model does."""
    prediction, truth = predict_image(sample.read_image(), base), sample.read_labels()
    names = dict(zip(prediction.cells["label"], prediction.cells["class"], strict=True))
    return {int(true): str(names[label]) for label, true, _ in match_labels(prediction.labels, truth)}


def blasts_told(samples: Sequence[Sample], model: Model) -> tuple[float, float]:
    """Return the share of blasts that are called so, and of the other cells that are not."""
    told: dict[bool, list[bool]] = {True: [], False: []}
    for sample in samples:
        prediction, truth = predict_image(sample.read_image(), model), sample.read_labels()
        found = {true: label for label, true, _ in match_labels(prediction.labels, truth)}
        names = dict(zip(prediction.cells["label"], prediction.cells["class"], strict=True))
        for label, name in (sample.classes or {}).items():
            called = names.get(found.get(label, -1)) == BLAST.name
            told[name == BLAST.name].append(called == (name == BLAST.name))
    return float(np.mean(told[True])), float(np.mean(told[False]))


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
    parser.add_argument("--anchor", type=float)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--epochs", type=int)
    options = parser.parse_args()
    torch.set_num_threads(1)

    base = load_model(options.base)
    laboratory, _ = read_annotated([options.laboratory])
    held = set(base.training["validation_groups"])
    elsewhere = [s for s in read_annotated(options.own)[0] if s.group in held and s.kinds]
    if options.elsewhere:
        keep = np.random.default_rng(0).permutation(len(elsewhere))[: options.elsewhere]
        elsewhere = [elsewhere[i] for i in keep]
    before = figures(assess(elsewhere, base))
    _line("elsewhere, before", before)
    given = {k: v for k in ("anchor", "epochs") if (v := getattr(options, k)) is not None}
    for seed in options.seeds:
        chosen, rest = corrected(laboratory, base, options.cells, seed)
        judged = [rest[i] for i in np.random.default_rng(seed).permutation(len(rest))[: options.judged]]
        wall, spent = time.perf_counter(), time.process_time()
        settings = refining_settings(
            base,
            options.base,
            named_classes(chosen),
            len(chosen),
            train=options.train,
            learning_rate=options.rate,
            seed=seed,
            **given,
        )
        training, validation = split_samples(chosen, settings.validation, seed)
        data = prepare_split(training, validation, settings)
        with tempfile.TemporaryDirectory() as folder:
            told = [p.figures for p in train(data.training, data.validation, settings, folder) if p.figures]
            new = load_model(folder)
        wall, spent = time.perf_counter() - wall, time.process_time() - spent
        print(
            f"seed {seed}: {len(training)} images learned, {len(validation)} held out, {wall:.0f} s ({spent:.0f} s CPU)"
        )
        print("  score by epoch: " + " ".join(f"{f['score']:.3f}" for f in told))
        for name, model in (("before", base), ("after", new)):
            known = [replace(s, classes=None) for s in judged]
            sensitive, specific = blasts_told(judged, model)
            _line(f"laboratory, {name}", figures(assess(known, model)) | {"blasts": sensitive, "others": specific})
        after = figures(assess(elsewhere, new))
        _line("elsewhere, after", after)
        _line("elsewhere, change in points", {k: 100 * (after[k] - before[k]) for k in before}, digits=2)


def _line(title: str, values: dict[str, float], digits: int = 4) -> None:
    print(f"  {title:28}" + "  ".join(f"{k} {v:.{digits}f}" for k, v in values.items()), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
