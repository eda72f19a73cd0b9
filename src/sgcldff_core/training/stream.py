"""The endless stream of training views, each determined by seed, epoch and number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from sgcldff_core.errors import ConfigError
from sgcldff_core.training.calibration import log_prior_shift
from sgcldff_core.training.pasting import paste_cell
from sgcldff_core.training.prepared import UNSURE
from sgcldff_core.training.staining import colour_statistics, jitter_colours, take_on_colours
from sgcldff_core.training.targets import collate, make_targets
from sgcldff_core.training.views import Placement, View, draw_placement, render_view

if TYPE_CHECKING:
    from torch import Tensor

    from sgcldff_core.losses import Targets
    from sgcldff_core.training.config import TrainingConfig
    from sgcldff_core.training.prepared import PreparedSample

__all__ = ["SYNTHETIC", "ViewStream", "class_counts"]

SYNTHETIC = "synthetic"
"""Source of synthetic samples, whose share among the views is set on its own."""


_MOST_PASTED = 3


def class_counts(samples: Sequence[PreparedSample], classes: int) -> list[int]:
    """Count cells of each class; beside real ones, synthetic cells do not make a class less rare.

    Parameters
    ----------
    samples : sequence of PreparedSample
        Real and synthetic.
    classes : int
        How many classes there are.
    """
    real = [s for s in samples if s.source != SYNTHETIC] or samples
    counts = Counter(c for s in real for c in s.classes)
    return [counts[c] for c in range(classes)]


class ViewStream:
    """Draws batches of views; the same seed gives the same views, however often it is resumed.

    Parameters
    ----------
    samples : sequence of PreparedSample
        At least one.
    config : TrainingConfig
        Batch, size, balance and augmentation.

    Raises
    ------
    ConfigError
        If there are no samples.
    """

    def __init__(self, samples: Sequence[PreparedSample], config: TrainingConfig) -> None:
        if not samples:
            raise ConfigError("there is no image to learn from")
        self.samples = list(samples)
        self.config = config
        self.views = config.views or len(self.samples)
        self.steps = max(1, self.views // config.batch)
        self.counts = counts = class_counts(samples, len(config.model.classes))
        self.chances = _chances(self.samples, counts, config)
        class_aware = config.loss.balance != "none"
        self.class_weights = _mask_weights(counts) if class_aware else [1.0] * len(counts)
        self.statistics = [colour_statistics(s.image) for s in self.samples]
        self.donors = _donors(self.samples, counts, config.class_power)

    def batch(self, epoch: int, step: int, rank: int = 0, world: int = 1) -> tuple[Tensor, Tensor, Targets]:
        """Return this process's part of one batch.

        Parameters
        ----------
        epoch, step : int
            Which batch.
        rank, world : int
            This process and how many there are; the parts make up the batch of a single process.

        Returns
        -------
        image, prior, targets
            (B, 3, S, S), (B, 1, S, S) and their annotation.
        """
        config = self.config
        local = config.batch // world
        views, with_prior = [], []
        for i in range(rank * local, (rank + 1) * local):
            rng = np.random.default_rng([config.seed, epoch, step, i])
            views.append(self.view(rng))
            with_prior.append(rng.random() >= config.augmentation.prior_dropout)
        images, priors = collate(views)
        # Only the network goes without the prior: targets of weak annotation are made from it.
        shown = priors * torch.tensor(with_prior, dtype=priors.dtype)[:, None, None, None]
        return images, shown, make_targets(views, self.class_weights, config.model.canonical_diameter)

    def batches(self, epoch: int, rank: int = 0, world: int = 1) -> Iterator[tuple[Tensor, Tensor, Targets]]:
        """Yield this process's parts of all batches of an epoch, drawn ahead by worker processes.

        Parameters
        ----------
        epoch : int
            From 0; the same epoch brings the same views.
        rank, world : int
            Number of this process, and how many there are.
        """
        numbered = _NumberedBatches(self, epoch, rank, world)
        yield from DataLoader(numbered, batch_size=None, num_workers=self.config.workers)

    def log_prior_shift(self, class_weights: Sequence[float]) -> NDArray[np.float64]:
        """Return what turns logits of classes as they are shown into logits of classes as they occur.

        Parameters
        ----------
        class_weights : sequence of float
            How much a cell of each class weighs in the loss.

        Returns
        -------
        ndarray
            (classes,) see `calibration.log_prior_shift`. Only real images tell how often classes occur.
        """
        classes = len(self.counts)
        shown = np.zeros(classes)
        for sample, chance in zip(self.samples, self.chances, strict=True):
            shown += chance * np.bincount(np.array(sample.classes, int), minlength=classes)
        paste = self.config.augmentation.paste
        pasted = sum(paste**n for n in range(1, _MOST_PASTED + 1))
        for (number, label), chance in zip(*self.donors, strict=True):
            shown[self.samples[number].class_of_label[label]] += pasted * chance
        return log_prior_shift(self.counts, shown * np.asarray(class_weights))

    def view(self, rng: np.random.Generator) -> View:
        """Draw one view.

        Parameters
        ----------
        rng : Generator
            Where chance comes from.
        """
        size, augmentation = self.config.size, self.config.augmentation
        sample = self.samples[rng.choice(len(self.samples), p=self.chances)]
        view = render_view(sample, draw_placement(sample, rng, size, augmentation), size)
        for _ in range(_MOST_PASTED):
            if view.labels is None or not self.donors[0] or rng.random() >= augmentation.paste:
                break
            view = self._with_pasted_cell(view, rng)
        image = view.image
        if rng.random() < augmentation.restain:
            image = take_on_colours(image, self.statistics[rng.integers(len(self.samples))])
        image = jitter_colours(image, rng, augmentation)
        outside = ~view.inside
        image[:, outside] = view.image[:, outside]
        return replace(view, image=image)

    def _with_pasted_cell(self, view: View, rng: np.random.Generator) -> View:
        donors, chances = self.donors
        number, label = donors[rng.choice(len(donors), p=chances)]
        donor = self.samples[number]
        rows, columns = np.nonzero(np.asarray(donor.labels == label))
        # The donor is looked at so that its cell comes to lie at a random place of the view.
        size = self.config.size
        placement = draw_placement(donor, rng, size, self.config.augmentation)
        at = Placement((float(rows.mean()), float(columns.mean())), placement.zoom, placement.angle, placement.mirror)
        away = at.matrix @ rng.uniform(-size / 2, size / 2, 2)
        at = Placement((at.centre[0] - away[0], at.centre[1] - away[1]), at.zoom, at.angle, at.mirror)
        return paste_cell(view, render_view(donor, at, size), label, rng)


@dataclass(frozen=True, slots=True)
class _NumberedBatches(Dataset[Any]):
    """Batches of one epoch by number, in the form in which torch's loader takes them."""

    stream: ViewStream
    epoch: int
    rank: int
    world: int

    def __len__(self) -> int:
        return self.stream.steps

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor, Targets]:
        if step >= self.stream.steps:
            raise IndexError(step)
        return self.stream.batch(self.epoch, step, self.rank, self.world)


def _chances(samples: Sequence[PreparedSample], counts: Sequence[int], config: TrainingConfig) -> NDArray[np.float64]:
    of_source = Counter(s.source for s in samples)
    weight = np.array([of_source[s.source] ** -config.source_power for s in samples])
    rarity = np.maximum(counts, 1) ** -config.class_power
    usual = float(np.median(rarity[np.array(counts) > 0])) if any(counts) else 1.0
    weight = weight * [max((rarity[c] for c in s.classes), default=usual) for s in samples]
    synthetic = np.array([s.source == SYNTHETIC for s in samples])
    masked = ~synthetic & np.array([s.labels is not None and int(s.labels.min()) != UNSURE for s in samples])
    weak = ~synthetic & ~masked
    if weak.any() and weight[masked].sum() < config.masked_share * weight[~synthetic].sum():
        _share_out(weight, masked, weak, config.masked_share)
    if synthetic.any() and not synthetic.all():
        _share_out(weight, synthetic, ~synthetic, config.augmentation.synthetic)
    return np.asarray(weight / weight.sum())


def _share_out(weight: NDArray[np.float64], some: NDArray[np.bool_], others: NDArray[np.bool_], share: float) -> None:
    """Give `some` their share of the weight of both, in place; nothing changes where one has none."""
    if some.any() and others.any():
        both = weight[some | others].sum()
        weight[some] *= share * both / weight[some].sum()
        weight[others] *= (1 - share) * both / weight[others].sum()


def _mask_weights(counts: Sequence[int]) -> list[float]:
    """Gentle weights for outlines of rare classes, one on average: shape depends little on class."""
    n = np.maximum(np.array(counts, float), 1)
    weights = (n.mean() / n) ** 0.25
    return [float(w) for w in np.clip(weights, 0.5, 2)]


def _donors(
    samples: Sequence[PreparedSample], counts: Sequence[int], power: float
) -> tuple[list[tuple[int, int]], NDArray[np.float64]]:
    """Cells that lie whole within their image, and the chance of each to be pasted."""
    cells, weights = [], []
    for number, sample in enumerate(samples):
        if sample.labels is None:
            continue
        labels = sample.labels
        cut = set(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]).tolist())
        for label, cell_class in sample.class_of_label.items():
            if label not in cut and (labels == label).any():
                cells.append((number, label))
                weights.append(max(counts[cell_class], 1) ** -power)
    chances = np.array(weights)
    return cells, chances / chances.sum() if len(cells) else chances
