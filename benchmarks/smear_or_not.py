"""Tell whether images that are no smear are told from smears.

Writes a table::

    python benchmarks/smear_or_not.py ../shared/data --out docs/results/smears.md --cache runs/looks.csv

Nothing is fitted to images that are no smears: the figures of `known_smears` describe smears alone. Those of Zheng
and BCCD are judged by figures to which their own fifth of the images did not contribute; ALL-IDB2, drawn smears and
blurred ones by figures of all of Zheng and BCCD.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from not_smears import looked_at_before, never_looked_at
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from sgcldff_core.datasets import open_dataset
from sgcldff_core.evaluation.degrading import blurred
from sgcldff_core.files import written_atomically
from sgcldff_core.inference.scale import find_scale
from sgcldff_core.inference.tiling import DEFAULT_TILE
from sgcldff_core.model import load_model
from sgcldff_core.model.known_smears import LOOK, KnownSmears, image_look
from sgcldff_core.smear import SmearSettings, make_smear
from sgcldff_core.training.known import Seen, field_parts, fit_known_smears
from sgcldff_core.training.split import without_copies

_LEARNED, _NEW = ("zheng", "bccd"), ("all_idb2",)
_SMEARS = ("smear", "smear without leukocytes")
_DRAWN = 30
_BLURS = (0.05, 0.1, 0.2)  # sigma over the diameter of a cell
_EVERY = 5  # of the fields of Zheng and BCCD is blurred


def main() -> None:
    """Measure what is not measured yet, judge, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with zheng/, bccd/ and all_idb2/")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True, help="CSV of looks, written and read again")
    options = parser.parse_args()
    if not options.cache.is_file():
        rows = [*_smears(options.data), *_drawn(), *_not_smears()]
        with written_atomically(options.cache) as draft:
            pd.DataFrame(rows).to_csv(draft, index=False)
    table = judged(pd.read_csv(options.cache))
    with written_atomically(options.out) as draft:
        draft.write_text(page(table), encoding="utf-8")


def _row(kind: str, part: str, name: str, group: str, look: np.ndarray) -> dict[str, object]:
    return {"kind": kind, "part": part, "name": name, "group": group, **dict(zip(LOOK, look, strict=True))}


def _smears(data: Path) -> Iterator[dict[str, object]]:
    """Yield looks of annotated images, whole, without leukocytes, and blurred."""
    for folder in (*_LEARNED, *_NEW):
        for number, sample in enumerate(without_copies(list(open_dataset(data / folder)))):
            for image, diameter, whole in field_parts(sample):
                kind = "smear" if whole else "smear without leukocytes"
                yield _row(kind, sample.source, sample.name, sample.group, image_look(image, diameter))
                if whole and folder in _LEARNED and number % _EVERY == 0:
                    for sigma in _BLURS:
                        soft = image_look(blurred(image, sigma * diameter), diameter)
                        yield _row(f"smear blurred by {sigma:g} of a cell", sample.source, sample.name, "blurred", soft)


def _drawn() -> Iterator[dict[str, object]]:
    for seed in range(_DRAWN):
        settings = SmearSettings(height=400, width=480, diameter=80, leukocytes=seed % 4)
        kind = "smear" if seed % 4 else "smear without leukocytes"
        yield _row(kind, "drawn", f"drawn {seed}", "drawn", image_look(make_smear(1000 + seed, settings).image, 92))


def _not_smears() -> Iterator[dict[str, object]]:
    model = load_model("leukocytes-small")
    for part, images in (("looked at before", looked_at_before()), ("never looked at", never_looked_at())):
        for number, (kind, image) in enumerate(images):
            diameter = find_scale(image, model, tile=DEFAULT_TILE).diameter
            yield _row(kind, part, f"{kind} {number}", "none", image_look(image, diameter))


def judged(looks: pd.DataFrame) -> pd.DataFrame:
    """Return the looks with their distance, each by figures that it had no part in."""
    learned = looks["part"].isin(("zheng1", "zheng2", "bccd")) & looks["kind"].isin(
        ("smear", "smear without leukocytes")
    )
    distance = np.full(len(looks), np.nan)
    distance[~learned] = _distances(_fitted(looks[learned]), looks[~learned])
    own = np.flatnonzero(learned)
    for others, rows in GroupKFold(5).split(own, groups=looks["group"].iloc[own]):
        distance[own[rows]] = _distances(_fitted(looks.iloc[own[others]]), looks.iloc[own[rows]])
    return looks.assign(distance=distance)


def _fitted(looks: pd.DataFrame) -> KnownSmears:
    seen = Seen()
    for source, rows in looks.groupby("part"):
        seen.looks[str(source)] = list(rows[list(LOOK)].to_numpy(float))
    return fit_known_smears(seen)


def _distances(smears: KnownSmears, looks: pd.DataFrame) -> list[float]:
    return [smears.distance_of_look(look) for look in looks[list(LOOK)].to_numpy(float)]


def page(table: pd.DataFrame) -> str:
    """Return the page of results in Markdown."""
    smear = table["kind"].isin(_SMEARS)
    blur = table["kind"].str.startswith("smear blurred")
    lines = [
        "# Smear or not",
        "",
        "Written by `python benchmarks/smear_or_not.py ../shared/data --out docs/results/smears.md --cache "
        "runs/looks.csv`; do not edit.",
        "",
        "Distance is `KnownSmears.distance`, above 1 is flagged. AUROC: each kind against all smears. The figures "
        "were fitted to smears of Zheng and BCCD alone. What is measured, and how far the limit is, was decided with "
        "the kinds *looked at before*, the blurred smears and smears of all sets in view, ALL-IDB2 included; the "
        "kinds *never looked at* chose nothing. Smears that are drawn almost without red cells look like glass: in "
        "prediction, the surroundings of the largest cell are judged instead of such a field, here the whole field.",
        "",
        "| smears, none of which its own figures know | images | median | 99th percentile | flagged |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (part, kind), rows in table[smear].groupby(["part", "kind"], sort=True):
        x = rows["distance"]
        lines.append(
            f"| {part}{'' if kind == 'smear' else ', without leukocytes'} | {len(x)} | {x.median():.2f} | "
            f"{x.quantile(0.99):.2f} | {int((x > 1).sum())} |"
        )
    lines += [
        "",
        "| no smears, or out of focus | images | least | median | flagged | AUROC |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    known = table.loc[smear, "distance"].to_numpy()
    groups = [
        *((f"{kind} ({part})", rows) for (part, kind), rows in table[~smear & ~blur].groupby(["part", "kind"])),
        *((str(kind), rows) for kind, rows in table[blur].groupby("kind")),
        ("**all never looked at**", table[table["part"] == "never looked at"]),
        ("**the same, with smears blurred by 0.1 and 0.2**", table[_strange(table)]),
    ]
    for name, rows in groups:
        x = rows["distance"].to_numpy()
        area = roc_auc_score(np.r_[np.zeros(len(known)), np.ones(len(x))], np.r_[known, x])
        lines.append(f"| {name} | {len(x)} | {x.min():.2f} | {np.median(x):.2f} | {int((x > 1).sum())} | {area:.4f} |")
    return "\n".join([*lines, ""])


def _strange(table: pd.DataFrame) -> pd.Series:
    blurs = [f"smear blurred by {sigma:g} of a cell" for sigma in _BLURS[1:]]
    return (table["part"] == "never looked at") | table["kind"].isin(blurs)


if __name__ == "__main__":
    main()
