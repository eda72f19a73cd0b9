"""Measure how a model does on the stain of a laboratory that it never saw, without and with adaptation.

Trains one model on Zheng 1 with the boxes of BCCD (its masks and classes of cells are left out), and
one on Zheng 2 with the same boxes; adapts each to some images of the other set, as ``sgcldff adapt``
does, without their annotation; and judges every way of adapting on the other images of that set,
and on a fifth of the source that was held out from training::

    python benchmarks/cross_stain.py ../shared/data --out runs/cross

What is done is kept in the folder and not done again; training goes on from its checkpoint.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sgcldff_core.adaptation import Adaptation, adapt, keep, stain_statistics
from sgcldff_core.evaluation.assessment import assess, summarise
from sgcldff_core.evaluation.trial import run_trial
from sgcldff_core.files import written_atomically
from sgcldff_core.model import Model, load_model
from sgcldff_core.training import read_annotated, read_training_config, split_samples

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

DIRECTIONS = (("zheng1", "zheng2"), ("zheng2", "zheng1"))
RECIPE = Path(__file__).resolve().parents[1] / "docs" / "recipes" / "crossval.toml"

Figures = dict[str, dict[str, float]]
"""IoU of each image by name, for ``"source"`` and ``"target"``."""


def read(folder: Path) -> dict[str, list[Sample]]:
    """Return samples by source, with no more than boxes of BCCD."""
    samples, _ = read_annotated([folder / "zheng", folder / "bccd"])
    found: dict[str, list[Sample]] = {}
    for sample in sorted((replace(s, split=None) for s in samples if s.split != "test"), key=lambda s: s.name):
        bare = replace(sample, labels=None, nucleus=None, classes=None) if sample.source == "bccd" else sample
        found.setdefault(sample.source, []).append(bare)
    return found


def draw(samples: Sequence[Sample], number: int) -> tuple[list[Sample], list[Sample]]:
    """Draw some samples, and return them and the rest."""
    chosen = set(np.random.default_rng(0).permutation(len(samples))[:number].tolist())
    return [s for i, s in enumerate(samples) if i in chosen], [s for i, s in enumerate(samples) if i not in chosen]


def judge(model: Model, held: Sequence[Sample], target: Sequence[Sample]) -> Figures:
    """Return the IoU of every image."""
    return {
        name: {i.name: float(i.iou) for i in assess(samples, model) if i.iou is not None}
        for name, samples in (("source", held), ("target", target))
    }


def measure(
    data: dict[str, list[Sample]], source: str, target: str, options: argparse.Namespace
) -> tuple[dict[str, Figures], str]:
    """Return the figures of every way in one direction, and the name of the one that was chosen."""
    folder = options.out / f"{source}_to_{target}"
    config = read_training_config(options.recipe)
    config = replace(config, epochs=options.epochs, views=options.views, synthetic_images=options.synthetic)
    learned, held = split_samples(data[source], 0.2, 0)
    unlabelled, judged = draw(data[target], options.images)
    if options.judged:
        judged, _ = draw(judged, options.judged)
    kept = folder / "figures.json"
    if kept.is_file():
        if options.names:
            print(f"{source} to {target}, {len(judged)} images\n{named(folder, judged)}")  # noqa: T201
        content = json.loads(kept.read_text(encoding="utf-8"))
        return content["ways"], content["chosen"]

    run_trial([*learned, *data["bccd"]], [], config, folder / "model", report=_say(f"{source} to {target}"))
    model = load_model(folder / "model")
    own, boxed = (_some(samples, options.images) for samples in (learned, data["bccd"]))
    stains = {source: stain_statistics(own), "bccd": stain_statistics(boxed)}
    half = options.images // 2
    say = _say(f"{source} to {target}")
    adaptation = adapt(
        model,
        [s.read_image() for s in unlabelled],
        stains,
        [*own[:half], *boxed[: options.images - half]],
        report=lambda what: say(what, 0.0),
    )
    ways = {
        _row(c.name, source): _judged(folder / "ways", c.name, c.model, held, judged) for c in adaptation.candidates
    }
    if not (folder / "adapted" / "model.json").exists():
        keep(adaptation, model, folder / "adapted", [s.name for s in unlabelled])
    _print_scores(adaptation, ways, source)
    chosen = _row(adaptation.chosen.name, source)
    with written_atomically(kept) as draft:
        draft.write_text(json.dumps({"chosen": chosen, "ways": ways}, indent=1), encoding="utf-8")
    return ways, chosen


def named(folder: Path, judged: Sequence[Sample]) -> str:
    """Return how many cells of the target are named right, as the model was and as it was adapted."""
    lines = []
    for name in ("model", "adapted"):
        figures = summarise(assess(judged, load_model(folder / name))).figures
        lines.append(f"{name}: class accuracy {figures['accuracy']:.3f}, macro-F1 {figures['macro_f1']:.3f}")
    return "\n".join(lines)


def _row(name: str, source: str) -> str:
    """Name a way alike in both directions."""
    return name.split(" from ")[0].replace(source, "the source")


def _some(samples: Sequence[Sample], number: int) -> list[np.ndarray]:
    return [s.read_image() for s in draw(samples, number)[0]]


def _judged(folder: Path, name: str, model: Model, held: Sequence[Sample], judged: Sequence[Sample]) -> Figures:
    file = folder / f"{name.replace(' ', '_')}.json"
    if not file.is_file():
        figures = judge(model, held, judged)
        with written_atomically(file) as draft:
            draft.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def _say(direction: str):
    shown = {"": -1.0}

    def report(what: str, share: float) -> None:
        if share >= shown.get(what, -1.0) + 0.05:
            shown[what] = share
            print(f"{direction}: {what} {share:.0%}", flush=True)  # noqa: T201

    return report


def _print_scores(adaptation: Adaptation, ways: dict[str, Figures], source: str) -> None:
    for c in adaptation.candidates:
        signs = (
            f"found {c.score.found:.2f} firm {c.score.firm:.3f} sure {c.score.sure:.3f} salient {c.score.salient:.3f}"
        )
        iou = np.mean(list(ways[_row(c.name, source)]["target"].values()))
        cost = "" if c.cost is None else f", cost on source {c.cost:.3f} {c.rejected}"
        print(f"  {c.name}: score {c.score.total:.3f} ({signs}){cost}; IoU {iou:.3f}", flush=True)  # noqa: T201


def table(results: dict[str, tuple[dict[str, Figures], str]]) -> str:
    """Return one Markdown table: a row for every way, two columns for every direction."""
    heads = [f"{direction}, IoU | change on source, points" for direction in results]
    lines = [f"| | {' | '.join(heads)} |", f"|---|{'---:|---:|' * len(results)}"]
    names = dict.fromkeys(name for ways, _ in results.values() for name in ways)
    rows = {name: [ways.get(name) for ways, _ in results.values()] for name in names}
    rows["chosen"] = [ways[chosen] for ways, chosen in results.values()]
    for name, row in rows.items():
        cells = []
        for figures, (ways, chosen) in zip(row, results.values(), strict=True):
            if figures is None:
                cells += ["", ""]
                continue
            before, after = (np.mean(list(f["source"].values())) for f in (ways["frozen"], figures))
            iou = np.mean(list(figures["target"].values()))
            cells += [f"{iou:.3f}" + (f" ({chosen})" if name == "chosen" else ""), f"{100 * (after - before):+.1f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Train, adapt, judge, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, default=RECIPE, help="settings of training, as TOML")
    parser.add_argument("--images", type=int, default=20, help="unlabelled images of the target, and of the source")
    parser.add_argument("--judged", type=int, default=0, help="images of the target to judge on; 0 for all others")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--views", type=int, default=240)
    parser.add_argument("--synthetic", type=int, default=240)
    parser.add_argument("--names", action="store_true", help="of a finished run: how cells are named, too")
    parser.add_argument("--only", choices=["zheng1", "zheng2"], help="only the direction from this source")
    options = parser.parse_args()
    data = read(options.data)
    results = {}
    for source, target in DIRECTIONS:
        if options.only in (None, source):
            results[f"{source} to {target}"] = measure(data, source, target, options)
    print(table(results))  # noqa: T201


if __name__ == "__main__":
    main()
