"""Tell whether more looks at a cell find wrong classes better than plain confidence.

Writes a table::

    python benchmarks/review_looks.py ../shared/data --sister runs/fold/seed0/fold1 --cache runs/review \
        --out docs/results/review-looks.md

Run `review.py` with the same sister and cache first: its tables tell which cells have a wrong class. Each cell is seen
directly, in a mirror, turned by a quarter, a half and three quarters, and turned by a quarter in the mirror. Nothing is
fitted.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from review import auroc_with_gain

from sgcldff_core.datasets import open_dataset
from sgcldff_core.evaluation.degrading import HARD, MILD
from sgcldff_core.evaluation.trust import held_out_groups
from sgcldff_core.files import written_atomically
from sgcldff_core.inference import predict_image
from sgcldff_core.inference.classification import classify_cells
from sgcldff_core.inference.forward import FieldMaps, evaluating, network_input
from sgcldff_core.inference.neighbourhood import LabelledField
from sgcldff_core.model import Model, load_model
from sgcldff_core.training.split import without_copies

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

_KINDS = {"as-it-is": None, "mild": MILD, "hard": HARD}
_TURNS = ((0, ()), (0, (-1,)), (1, ()), (2, ()), (3, ()), (1, (-1,)))  # quarters, then the mirror
_AIM = 1.15  # as gather_cells takes the scale of degraded images
_SCORES = {
    "confidence": "confidence, as `predict` gives it: the mean of two looks",
    "entropy": "entropy of the same",
    "mean of six": "confidence, mean of six looks",
    "entropy of six": "entropy, mean of six looks",
    "six apart": "how far the six looks are from their mean",
}


def main() -> None:
    """Look at all cells of the sister, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with zheng/ and bccd/")
    parser.add_argument("--sister", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="tables of review.py; those of looks come beside")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = replace(load_model(options.sister), atlas=None)  # its looks are those of the network
    held = held_out_groups(options.sister, model)
    samples = without_copies([s for name in ("zheng", "bccd") for s in open_dataset(options.data / name)])
    judged = [s for s in samples if s.group in held and s.split != "test"]
    tables = {}
    for kind in _KINDS:
        file = options.cache / f"looks-{kind}.csv"
        if not file.is_file():
            rows = [row for sample in judged for row in looked_at(sample, model, kind)]
            with written_atomically(file) as draft:
                pd.DataFrame(rows).to_csv(draft, index=False)
        cells = pd.read_csv(options.cache / f"sister-{kind}.csv")
        table = cells.merge(pd.read_csv(file), on=["image", "label"], validate="one_to_one")
        tables[kind] = table[table["wrong"].notna()].assign(unsure=1 - table["confidence"])
    with written_atomically(options.out) as draft:
        draft.write_text(page(tables, options), encoding="utf-8")


def looked_at(sample: Sample, model: Model, kind: str) -> list[dict[str, object]]:
    """Return what six looks say of each cell that was found in a sample."""
    truth = sample.read_labels()
    if truth is None or not truth.any():
        return []
    image, worsen, diameter = sample.read_image(), _KINDS[kind], None
    if worsen is not None:
        area = np.bincount(truth.ravel())[1:]
        size = float(np.median(np.sqrt(4 / np.pi * area[area > 0])))
        image, diameter = worsen.apply(image, size, sample.name), _AIM * size
    found = predict_image(image, model, diameter=diameter)
    if not found.labels.any():
        return []
    field = LabelledField.of(image, found.labels, model, found.diameter)
    looks = np.stack([look(model, field, quarters, mirrored) for quarters, mirrored in _TURNS])
    mean = looks.mean(axis=0)
    apart = np.abs(looks - mean).sum(axis=2).mean(axis=0) / 2
    entropy = -(mean * np.log(mean + 1e-9)).sum(axis=1)
    return [
        {"image": sample.name, "label": number, "mean of six": 1 - p.max(), "entropy of six": h, "six apart": a}
        for number, p, h, a in zip(field.numbers.tolist(), mean, entropy, apart, strict=True)
    ]


def look(model: Model, field: LabelledField, quarters: int, mirrored: tuple[int, ...]) -> np.ndarray:
    """Return (N, classes) probabilities of the cells of a field that was turned."""
    image, prior = network_input(model.network, field.image, field.prior)
    labels = np.zeros(image.shape[-2:], np.int32)
    labels[: field.labels.shape[0], : field.labels.shape[1]] = field.labels
    with torch.no_grad(), evaluating(model.network):
        seen = model.network(*(torch.rot90(x, quarters, (-2, -1)).flip(mirrored) for x in (image, prior)))
    shown = (seen.logits, seen.fused)
    back = [torch.rot90(x.flip(mirrored), -quarters, (-2, -1))[0].float().contiguous() for x in shown]
    return classify_cells(model, field.image, FieldMaps(*back), labels).probabilities


def page(tables: dict[str, pd.DataFrame], options: argparse.Namespace) -> str:
    """Return the page of results in Markdown."""
    lines = [
        "# More looks",
        "",
        f"Written by `python benchmarks/review_looks.py ../shared/data --sister {options.sister} --cache runs/review "
        "--out docs/results/review-looks.md`; do not edit.",
        "",
        "AUROC of single figures for a wrong class, and in brackets by how much it is above that of confidence, with "
        "the 95 % interval of a bootstrap over groups of images on the same draws. The cells of [Review](review.md); "
        "nothing was fitted. Six looks are one direct, one in a mirror, and four turned by quarters.",
        "",
        "| figure | " + " | ".join(f"{k}: {int(t['wrong'].sum())} of {len(t)}" for k, t in tables.items()) + " |",
        "| --- " * (1 + len(tables)) + "|",
    ]
    for name, title in _SCORES.items():
        column = "unsure" if name == "confidence" else name
        lines.append(f"| {title} | " + " | ".join(auroc_with_gain(table, column) for table in tables.values()) + " |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
