"""Ask what the fused prior owes to the masks its weights were learned from.

The seven weights of `sgcldff_core.saliency.fusion.TERMS` were learned once, from masks of three data
sets; a table that holds some of these masks back, or says that a laboratory was never seen, so
rests on a prior that knows more than it should. This learns the weights anew, the same way, from
what each such table allows, and prints how well each prior tells leukocytes from the rest::

    python benchmarks/prior_weights.py ../shared/data

Judged by AUC, mean over images, on the grid on which evidence is gathered; images that a row learned
from are left out of its own figures, except those of the weights that ship. No weight of the package is changed.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from few_labels import choose
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from sgcldff_core.evaluation.folds import read_folds
from sgcldff_core.inference.resampling import resize_labels
from sgcldff_core.saliency.fusion import TERMS, evidence
from sgcldff_core.saliency.pixels import block_mean
from sgcldff_core.saliency.scale import coarse_factor
from sgcldff_core.smear import SmearSettings, make_smear
from sgcldff_core.training import read_annotated

SOURCES = ("zheng1", "zheng2", "bccd", "all_idb2")
PAIRS = 200  # of each image
BARRIER = len(TERMS) - 1
Seen = tuple[NDArray[np.float32], NDArray[np.bool_]]


def seen(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> Seen:
    """Return the terms of an image, (7, h, w), and its mask on their grid."""
    terms, _ = evidence(block_mean(image, coarse_factor(image.shape)))
    return terms, resize_labels(mask.astype(np.int32), (terms.shape[1], terms.shape[2])) > 0


def learn(images: Iterable[Seen]) -> NDArray[np.float64]:
    """Return weights as those that ship were learned: pairs of pixels of one image, then the barrier up."""
    rng = np.random.default_rng(0)
    pairs = []
    for terms, mask in images:
        inside, outside = terms[:, mask], terms[:, ~mask]
        if inside.size and outside.size:
            draw = [values[:, rng.integers(values.shape[1], size=PAIRS)] for values in (inside, outside)]
            pairs.append((draw[0] - draw[1]).T)
    apart = np.concatenate(pairs)
    sign = np.where(np.arange(len(apart)) % 2, 1, -1)  # a regression wants both outcomes
    model = LogisticRegression(fit_intercept=False, max_iter=1000).fit(apart * sign[:, None], sign)
    weights = model.coef_[0]
    weights[BARRIER] *= 1.5
    return weights


def synthetic() -> list[Seen]:
    """Return a hundred smears that were drawn, of all stains."""
    smears = [make_smear(seed, SmearSettings(height=240, width=320, diameter=60)) for seed in range(100)]
    return [seen(np.asarray(s.image), np.asarray(s.labels) > 0) for s in smears]


def auc(weights: Sequence[float] | NDArray[np.float64], images: Iterable[Seen]) -> float:
    """Return the area under the ROC curve, mean over images."""
    return float(np.mean([roc_auc_score(m.ravel(), np.tensordot(weights, t, 1).ravel()) for t, m in images if m.any()]))


def main() -> None:
    """Print one row for each lot of masks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--folds", type=Path, default=Path("docs/recipes/folds.json"))
    options = parser.parse_args()
    samples, _ = read_annotated([options.data / name for name in ("zheng", "bccd", "all_idb2")])
    samples = [s for s in samples if s.labels is not None and s.split != "test"]
    every = {s.name: seen(s.read_image(), s.read_labels() > 0) for s in samples}
    by_source: dict[str, set[str]] = defaultdict(set)
    for sample in samples:
        by_source[sample.source].add(sample.name)
    folds = read_folds(options.folds)
    training, _ = folds.split([s for s in samples if s.source != "all_idb2"], 0)

    lots: dict[str, tuple[set[str], NDArray[np.float64]]] = {
        "as shipped": (set(), np.array(list(TERMS.values()))),
        "folds 1 to 4": _lot({s.name for s in training}, every),
        "20 images of folds 1 to 4": _lot(choose(training, 20, 0), every),
        "Zheng 1": _lot(by_source["zheng1"], every),
        "Zheng 2": _lot(by_source["zheng2"], every),
        "synthetic smears, no mask that a person drew": (set(), learn(synthetic())),
    }
    table = Table(title="AUC of the fused prior, by what its weights were learned from", title_justify="left")
    for column in ("learned from", *SOURCES, *TERMS):
        table.add_column(column)
    for name, (used, weights) in lots.items():
        left = [[every[n] for n in sorted(by_source[source] - used)] for source in SOURCES]
        figures = [f"{auc(weights, images):.4f}" if images else "" for images in left]
        table.add_row(name, *figures, *(f"{w:.2f}" for w in weights))
    Console(width=220).print(table)


def _lot(names: set[str], every: dict[str, Seen]) -> tuple[set[str], NDArray[np.float64]]:
    return names, learn(every[name] for name in sorted(names))


if __name__ == "__main__":
    main()
