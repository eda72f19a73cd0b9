"""Do maps depend on the labels? Retrain the last layers on shuffled labels, and see whether the maps notice."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.agreement import match_labels
from sgcldff_core.evaluation.map_similarity import Similarity, compare_maps
from sgcldff_core.explain import explain_subject
from sgcldff_core.inference import predict_image
from sgcldff_core.inference.cell_subjects import cell_subjects
from sgcldff_core.inference.encoded_part import EncodedPart, parts_with_cells
from sgcldff_core.inference.forward import evaluating
from sgcldff_core.inference.neighbourhood import LabelledField

if TYPE_CHECKING:
    from sgcldff_core.model import Model, SgcldffNetwork
    from sgcldff_core.sample import Sample

__all__ = ["LabelCheck", "check_labels"]

_LEAST_CELLS = 10
_MOST_STEPS = 2000
_FITTED = 0.95  # of the cells that it was taught, as in the paper
_RATE = 3e-3


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """Maps of heads that were taught the same labels, and of one that was taught shuffled ones.

    Attributes
    ----------
    cells : int
        That the heads were taught and explained on.
    fitted : tuple of float
        Share of its labels that each head has learned: true labels, true labels from another start, shuffled labels.
    true_labels : tuple of Similarity
        Of each cell: map of the first head against the second's.
    shuffled_labels : tuple of Similarity
        Of each cell: map of the first head against the third's.
    """

    cells: int
    fitted: tuple[float, float, float]
    true_labels: tuple[Similarity, ...]
    shuffled_labels: tuple[Similarity, ...]


def check_labels(
    samples: Iterable[Sample], model: Model, *, method: str = "gradcam", level: int | None = None, seed: int = 0
) -> LabelCheck:
    """Teach the last layers of the classification head true and shuffled labels, and compare the maps.

    Three heads start from random last layers (norm and linear) on the trained network's features:
    two learn the true labels, the third the same labels shuffled among the cells, until each has
    learned 95 % of what it was taught. Each explains the class that it was taught for a cell.
    A map that tells what a head has learned differs more between true and shuffled labels than
    between two heads that learned the same.

    Parameters
    ----------
    samples : iterable of Sample
        With instance labels and classes.
    model : Model
        Not changed.
    method, level
        See `sgcldff_core.inference.explain_field.explain_field`.
    seed : int
        Of starts and shuffle.

    Returns
    -------
    LabelCheck
        Of the cells that were found.

    Raises
    ------
    ConfigError
        If fewer than 10 cells or fewer than two classes are there to learn from.

    References
    ----------
    Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018 (data randomisation), with the last
    layers instead of the whole network.
    """
    network = copy.deepcopy(model.network)
    with evaluating(network):
        parts = [p for sample in samples for p in _parts(sample, model, network)]
        features = torch.cat([p.features for p in parts]) if parts else torch.zeros(0, 1)
        true = torch.tensor([kind for p in parts for kind in p.kinds.values()], dtype=torch.long)
        if len(true) < _LEAST_CELLS or len(true.unique()) < 2:
            raise ConfigError(f"{len(true)} cells of {len(true.unique())} classes are too few to learn from")
        shuffled = true[torch.randperm(len(true), generator=torch.Generator().manual_seed(seed))]
        maps, fitted = [], []
        for start, labels in enumerate((true, true, shuffled)):
            fitted.append(_teach(network, features, labels, seed + start))
            maps.append(_maps(parts, labels, method, level))
    inside = [mask for p in parts for mask in p.inside(level)]
    alike = [
        tuple(compare_maps(a, b, mask) for a, b, mask in zip(maps[0], other, inside, strict=True)) for other in maps[1:]
    ]
    return LabelCheck(len(true), (fitted[0], fitted[1], fitted[2]), alike[0], alike[1])


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A part of a field, its cells of known class, and what the last layers see of them."""

    part: EncodedPart
    kinds: dict[int, int]
    features: Tensor

    def inside(self, level: int | None) -> list[NDArray[np.bool_]]:
        labels = self.part.labels.cpu().numpy()
        found = {}
        top, left = (side.start for side in self.part.window)
        for some in cell_subjects(self.part, list(self.kinds), level=level, classes=self.kinds):
            for cell, (rows, columns) in zip(some.cells, some.windows, strict=True):
                own = labels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
                found[cell] = own == cell
        return [found[cell] for cell in self.kinds]


def _parts(sample: Sample, model: Model, network: SgcldffNetwork) -> list[_Part]:
    truth, classes = sample.read_labels(), sample.classes or {}
    if truth is None:
        return []
    image = sample.read_image()
    prediction = predict_image(image, model)
    named = {
        found: model.config.classes.index(classes[true])
        for found, true, _ in match_labels(prediction.labels, truth)
        if classes.get(true) in model.config.classes
    }
    if not named:
        return []
    field = LabelledField.of(image, prediction.labels, model, prediction.diameter)
    parts = []
    for window, cells in parts_with_cells(field, sorted(named)):
        part = EncodedPart.of(network, field, window)
        kinds = {cell: named[int(field.numbers[cell - 1])] for cell in cells}
        parts.append(_Part(part, kinds, _features(part, list(kinds))))
    return parts


def _features(part: EncodedPart, cells: list[int]) -> Tensor:
    """Return (N, 2 * embedding) pooled features before the norm, in the order of `cells`."""
    head, taken = part.network.classification, []
    hook = head.norm.register_forward_pre_hook(lambda _, given: taken.append(given[0].detach()))
    order: list[int] = []
    try:
        with torch.no_grad():
            for some in cell_subjects(part, cells, classes=dict.fromkeys(cells, 0)):
                some.subject.score(some.subject.activation, some.subject.rows())
                order += some.cells
    finally:
        hook.remove()
    return torch.cat(taken)[[order.index(cell) for cell in cells]]


def _teach(network: SgcldffNetwork, features: Tensor, labels: Tensor, seed: int) -> float:
    """Train new last layers in place; return the share of the labels that they learned."""
    head = network.classification
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        head.norm.weight.fill_(1.0)
        head.norm.bias.zero_()
        head.linear.weight.copy_(torch.randn(head.linear.weight.shape, generator=drawn) * 0.01)
        head.linear.bias.zero_()
    last: list[Tensor] = [head.norm.weight, head.norm.bias, head.linear.weight, head.linear.bias]
    optimiser = torch.optim.Adam(last, lr=_RATE)
    labels = labels.to(features.device)
    right = 0.0
    for _ in range(_MOST_STEPS):
        with torch.enable_grad():
            logits = head.linear(head.norm(features))
            loss = F.cross_entropy(logits, labels)
            optimiser.zero_grad()
            loss.backward()
        right = float((logits.argmax(1) == labels).float().mean())
        if right >= _FITTED:
            break
        optimiser.step()
    network.zero_grad()
    return right


def _maps(parts: list[_Part], labels: Tensor, method: str, level: int | None) -> list[NDArray[np.float32]]:
    kinds, maps = iter(labels.tolist()), []
    for p in parts:
        asked = {cell: next(kinds) for cell in p.kinds}
        found: dict[int, NDArray[np.float32]] = {}
        for some in cell_subjects(p.part, list(asked), level=level, classes=asked):
            shown = explain_subject(some.subject, method).float()[:, None]
            full = F.interpolate(shown, scale_factor=float(some.stride), mode="bilinear")[:, 0].cpu().numpy()
            found |= dict(zip(some.cells, full, strict=True))
        maps += [found[cell] for cell in p.kinds]
    return maps
