"""What a model remembers of the cells that it learned from: their features, class by class.

A few corrected cells show one or two classes, and a classification head that sees only these soon
calls everything so. Shown the features of other cells between them it keeps what it knew, without
a single image of theirs: the memory of a model is about a hundred kilobytes.

References
----------
Rebuffi et al., iCaRL: incremental classifier and representation learning, CVPR 2017 (exemplars);
Hayes et al., REMIND your neural network to prevent catastrophic forgetting, ECCV 2020 (of features).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sgcldff_core.errors import CorruptModelError
from sgcldff_core.files import written_atomically
from sgcldff_core.losses import UNKNOWN
from sgcldff_core.model_folders import MEMORY
from sgcldff_core.training.step import pooling_nuclei
from sgcldff_core.training.targets import collate, make_targets
from sgcldff_core.training.validation import whole_view

if TYPE_CHECKING:
    from sgcldff_core.model import SgcldffNetwork
    from sgcldff_core.training.prepared import PreparedSample, Watch

__all__ = ["MEMORY", "Memory", "load_memory", "remember", "save_memory"]

PER_CLASS = 40
"""Cells of each class that are remembered at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """Features of cells whose class is known.

    Attributes
    ----------
    features : Tensor
        (N, F) float, what the classification head's last layer is given.
    classes : tuple of str
        (N,) what these cells are.
    """

    features: Tensor
    classes: tuple[str, ...]

    def joined(self, newer: Memory, per_class: int = PER_CLASS) -> Memory:
        """Return both, of each class the newest `per_class`.

        Parameters
        ----------
        newer : Memory
            Features of the same network, met later.
        per_class : int
            How many of one class are kept at most.
        """
        names = (*newer.classes, *self.classes)
        features = torch.cat([newer.features, self.features])
        kept: list[int] = []
        for name in dict.fromkeys(names):
            kept += [i for i, other in enumerate(names) if other == name][:per_class]
        return Memory(features[kept], tuple(names[i] for i in kept))


@torch.inference_mode()
def remember(
    network: SgcldffNetwork,
    samples: Sequence[PreparedSample],
    classes: Sequence[str],
    canonical_diameter: float,
    *,
    per_class: int = PER_CLASS,
    watch: Watch | None = None,
) -> Memory:
    """Return the features of cells as they are at inference.

    Parameters
    ----------
    network : SgcldffNetwork
        Left in the mode in which it came.
    samples : sequence of PreparedSample
        In the order in which they are looked at, until there are enough cells of every class in them.
    classes : sequence of str
        Of the network, in the order of its logits.
    canonical_diameter : float
        Of the model, in px.
    per_class : int
        Cells of each class.
    watch : callable, optional
        Called before each sample; may raise `CancelledError`.
    """
    mode = network.training
    network.eval()
    device = next(network.parameters()).device
    found: list[Tensor] = []
    names: list[str] = []
    for number, sample in enumerate(samples):
        if watch is not None:
            watch("remembering cells", number, len(samples))
        wanted = {c for c in sample.classes if names.count(classes[c]) < per_class}
        if not wanted:
            continue
        view = whole_view(sample)
        image, prior = collate([view])
        targets = make_targets([view], [1.0] * len(classes), canonical_diameter).to(device)
        output = network(image.to(device), prior.to(device))
        own = pooling_nuclei(output, targets.pool_cell, targets.image_of_cell)
        _, features = network.classify(output.fused, targets.pool_cell, own, targets.image_of_cell)
        for row, number_of_class in zip(features, targets.class_of_cell.tolist(), strict=True):
            if number_of_class != UNKNOWN and names.count(classes[number_of_class]) < per_class:
                found.append(row.float().cpu())
                names.append(classes[number_of_class])
    network.train(mode)
    width = network.classification.linear.in_features
    # Cloned, since what is made in inference mode cannot be learned from.
    return Memory(torch.stack(found).clone() if found else torch.zeros(0, width), tuple(names))


def save_memory(memory: Memory, folder: Path, sha256: str) -> None:
    """Write a memory beside the weights that it belongs to.

    Parameters
    ----------
    memory : Memory
        Stored in half precision.
    folder : Path
        Of the model.
    sha256 : str
        Of the weights: features mean nothing to others.
    """
    notes = {"sha256": sha256, "classes": list(memory.classes)}
    with written_atomically(folder / MEMORY) as draft:
        save_file({"features": memory.features.half().contiguous()}, draft, metadata={"notes": json.dumps(notes)})


def load_memory(folder: Path, sha256: str) -> Memory | None:
    """Return the memory of a model, None where it has none.

    Parameters
    ----------
    folder : Path
        Of the model.
    sha256 : str
        Of its weights; a memory of other weights counts as none.

    Raises
    ------
    CorruptModelError
        If the file is damaged.
    """
    path = folder / MEMORY
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            notes = json.loads(file.metadata()["notes"])
            features = file.get_tensor("features").float()
            classes, stale = tuple(map(str, notes["classes"])), notes["sha256"] != sha256
        if features.shape[:1] != (len(classes),):
            raise ValueError(f"{len(classes)} classes for features of shape {tuple(features.shape)}")
    except (SafetensorError, KeyError, TypeError, ValueError) as broken:
        raise CorruptModelError(
            f"{path}: is no memory of a model ({broken}); delete it, or get the model again"
        ) from broken
    return None if stale or not classes else Memory(features, classes)
