"""How good a network is on held-out images while it trains: quick figures at the canonical scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from sgcldff_core.losses import UNKNOWN
from sgcldff_core.model import STRIDE, NetworkOutput, SgcldffNetwork
from sgcldff_core.training.prepared import MARGIN, PreparedSample, Watch
from sgcldff_core.training.step import pooling_nuclei
from sgcldff_core.training.targets import collate, make_targets
from sgcldff_core.training.views import Placement, View, render_view

__all__ = ["Outlined", "ValidationFigures", "validate", "whole_view"]


@dataclass(frozen=True, slots=True, eq=False)
class Outlined:
    """A held-out image as a network sees it just now, to be looked at.

    Attributes
    ----------
    name : str
        Of the sample.
    image : ndarray
        (H, W, 3) uint8 at the canonical scale.
    annotated : ndarray or None
        (H, W) bool, the leukocytes; None where nobody drew them.
    found : ndarray
        (H, W) bool, the leukocytes that the network finds.
    """

    name: str
    image: NDArray[np.uint8]
    annotated: NDArray[np.bool_] | None
    found: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ValidationFigures:
    """Figures on held-out images.

    Attributes
    ----------
    iou : dict of str to float
        Mean over images of the leukocyte mask's IoU, for each source.
    nucleus_iou : float
        Mean over images that have a nucleus mask; NaN without any.
    accuracy, macro_f1 : float
        Of the class over cells pooled by their annotated mask; NaN without classes.
    logits : ndarray
        (N, classes) of those cells.
    classes : ndarray
        (N,) their classes.
    signs : ndarray
        (M, 3) of annotated cells, known class or not: mean probability of their pixels, share of
        their area that is seen as nucleus, largest value of the distance map.
    outlined : tuple of Outlined
        The first images, as many as were asked for.
    """

    iou: dict[str, float]
    nucleus_iou: float
    accuracy: float
    macro_f1: float
    logits: NDArray[np.float32]
    classes: NDArray[np.int64]
    signs: NDArray[np.float32]
    outlined: tuple[Outlined, ...] = ()

    @property
    def score(self) -> float:
        """What the best weights are chosen by: mean of IoU over sources, accuracy and macro-F1.

        NaN where held-out images have neither masks nor classes, so that nothing can be chosen by them.
        """
        iou = sum(self.iou.values()) / len(self.iou) if self.iou else math.nan
        known = [v for v in (iou, self.accuracy, self.macro_f1) if not math.isnan(v)]
        return sum(known) / len(known) if known else math.nan

    @property
    def doubt(self) -> float:
        """Standard error of a share over these cells at its widest; a few cells cannot tell two epochs apart.

        The learning rate falls, so later weights are the riper ones: they are taken unless they are
        worse by more than chance.
        """
        return 0.5 / math.sqrt(len(self.classes)) if len(self.classes) else 0.0

    def to_dict(self) -> dict[str, float]:
        """Return the figures that are known by name, for logs."""
        named = {f"iou_{source}": value for source, value in self.iou.items()}
        rest = {"nucleus_iou": self.nucleus_iou, "accuracy": self.accuracy, "macro_f1": self.macro_f1}
        figures = named | rest | {"score": self.score}
        return {k: float(v) for k, v in figures.items() if not math.isnan(v)}


@torch.inference_mode()
def validate(
    network: SgcldffNetwork,
    samples: Sequence[PreparedSample],
    canonical_diameter: float,
    *,
    show: int = 0,
    watch: Watch | None = None,
) -> ValidationFigures:
    """Run a network over held-out samples, each as a whole.

    Parameters
    ----------
    network : SgcldffNetwork
        Left in the mode in which it came.
    samples : sequence of PreparedSample
        Held out.
    canonical_diameter : float
        Of the model, in px.
    show : int
        Of so many samples the outlines are returned too.
    watch : callable, optional
        Called before each sample; may raise `CancelledError`.

    Returns
    -------
    ValidationFigures
        Of all samples.
    """
    mode = network.training
    network.eval()
    device = next(network.parameters()).device
    ious: dict[str, list[float]] = {}
    nuclei: list[float] = []
    logits, classes, signs = [], [], []
    outlined: list[Outlined] = []
    for number, sample in enumerate(samples):
        if watch is not None:
            watch("validating", number, len(samples))
        view = whole_view(sample)
        image, prior = collate([view])
        targets = make_targets([view], [1.0] * 64, canonical_diameter).to(device)
        output = network(image.to(device), prior.to(device))
        known = targets.cell_weight > 0
        if len(outlined) < show:
            outlined.append(_outlined(sample, view, output.cell))
        if sample.labels is not None:
            signs.extend(_signs(output, view))
            ious.setdefault(sample.source, []).append(_iou(output.cell, targets.cell, known))
        if sample.nucleus is not None and bool(sample.nucleus.any()):
            nuclei.append(_iou(output.nucleus, targets.nucleus, known))
        named = targets.class_of_cell != UNKNOWN
        if named.any():
            own = pooling_nuclei(output, targets.pool_cell, targets.image_of_cell)
            cell_logits, _ = network.classify(output.fused, targets.pool_cell, own, targets.image_of_cell)
            logits.append(cell_logits[named].cpu().numpy())
            classes.append(targets.class_of_cell[named].cpu().numpy())
    network.train(mode)
    all_logits = np.concatenate(logits) if logits else np.zeros((0, 1), np.float32)
    all_classes = np.concatenate(classes) if classes else np.zeros(0, np.int64)
    guess = all_logits.argmax(1)
    return ValidationFigures(
        iou={source: float(np.mean(values)) for source, values in sorted(ious.items())},
        nucleus_iou=float(np.mean(nuclei)) if nuclei else float("nan"),
        accuracy=float((guess == all_classes).mean()) if len(guess) else float("nan"),
        macro_f1=float(f1_score(all_classes, guess, labels=np.unique(all_classes), average="macro", zero_division=0))
        if len(guess)
        else float("nan"),
        logits=all_logits,
        classes=all_classes,
        signs=np.array(signs, np.float32).reshape(-1, 3),
        outlined=tuple(outlined),
    )


def whole_view(sample: PreparedSample) -> View:
    """Show a prepared image as a whole at the canonical scale, in a square view.

    Parameters
    ----------
    sample : PreparedSample
        With its margin all around.
    """
    height, width = sample.image.shape[:2]
    size = int(np.ceil(max(height, width) / MARGIN / STRIDE)) * STRIDE
    return render_view(sample, Placement((height / 2, width / 2), 1 / MARGIN, 0.0, False), size)


def _signs(output: NetworkOutput, view: View) -> list[tuple[float, float, float]]:
    """Measure what `sgcldff_core.inference.instances.separate_cells` tells cells from debris by."""
    if view.labels is None:
        return []
    cell, distance = output.cell[0, 0].sigmoid().cpu(), output.distance[0, 0].sigmoid().cpu()
    nucleus = (output.nucleus[0, 0] > 0).float().cpu()
    masks = [view.labels == label for label in view.labels.unique().tolist() if label > 0]
    return [(cell[m].mean().item(), nucleus[m].mean().item(), distance[m].max().item()) for m in masks]


def _outlined(sample: PreparedSample, view: View, cell: torch.Tensor) -> Outlined:
    rows, columns = view.inside.any(1), view.inside.any(0)  # the view is square, the image need not be
    image = (255 * view.image[:, rows][:, :, columns]).round().clamp(0, 255).byte().permute(1, 2, 0)
    labels = None if view.labels is None else (view.labels > 0)[rows][:, columns].numpy()
    found = (cell[0, 0] > 0).cpu()[rows][:, columns].numpy()
    return Outlined(sample.name, np.ascontiguousarray(image.numpy()), labels, found)


def _iou(logits: torch.Tensor, target: torch.Tensor, known: torch.Tensor) -> float:
    guess, truth = (logits > 0) & known, (target > 0.5) & known
    union = (guess | truth).sum().item()
    return (guess & truth).sum().item() / union if union else 1.0
