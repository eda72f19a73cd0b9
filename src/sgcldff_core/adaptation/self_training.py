"""Learning from one's own sure outlines: what is left to do where colours alone do not help."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from sgcldff_core.errors import ConfigError
from sgcldff_core.inference.classification import classify_cells
from sgcldff_core.inference.instances import rim
from sgcldff_core.inference.resampling import resize_labels, resize_map
from sgcldff_core.model import load_model, save_model
from sgcldff_core.sample import Raster, Sample
from sgcldff_core.training.config import AugmentationConfig, TrainingConfig
from sgcldff_core.training.gathering import prepare_split
from sgcldff_core.training.loop import train
from sgcldff_core.training.prepared import UNSURE

if TYPE_CHECKING:
    from sgcldff_core.adaptation.scoring import Look
    from sgcldff_core.model import Model, SgcldffNetwork

__all__ = ["SelfTraining", "between", "outline_sure_cells", "self_train"]


@dataclass(frozen=True, slots=True)
class SelfTraining:
    """How a model learns from what it is sure of.

    Attributes
    ----------
    steps : int
        Of eight views each.
    learning_rate : float
        At its highest: low, since the weights are to move a little.
    synthetic : int
        Synthetic smears, whose outlines are exact, among the views.
    low, high : float
        Probability of a leukocyte below which a pixel is background and above which it is cell;
        between the two nothing is learned.
    salient : float
        Least saliency of a pixel of a cell: where prior and network disagree nothing is learned.
    nucleus : float
        Least share of nucleus in a cell; red cells have none.
    bare : float
        Largest share of nucleus in what stands alone and is certainly no cell.
    smallest : float
        Least area of a cell, over that of a typical one.
    named : float
        Confidence from which a class is believed.

    Raises
    ------
    ConfigError
        If one is out of range.
    """

    steps: int = 200
    learning_rate: float = 5e-4
    synthetic: int = 40
    low: float = 0.25
    high: float = 0.75
    salient: float = 0.25
    nucleus: float = 0.12
    bare: float = 0.01
    smallest: float = 0.18
    named: float = 0.9

    def __post_init__(self) -> None:
        if self.steps < 1 or self.synthetic < 1 or not self.learning_rate > 0:
            raise ConfigError("steps, learning_rate and synthetic of self-training must be above 0")
        if not 0 < self.low <= self.high < 1:
            raise ConfigError(f"low and high part pixels: 0 < low <= high < 1, got {self.low} and {self.high}")


def self_train(
    teacher: Model,
    looks: Sequence[tuple[NDArray[np.uint8], Look]],
    reference: Sequence[tuple[NDArray[np.uint8], Look]],
    settings: SelfTraining = SelfTraining(),
    report: Callable[[float], None] | None = None,
) -> Model:
    """Return a model that learned from the sure outlines of its teacher.

    Parameters
    ----------
    teacher : Model
        Stays as it is; its stain transform is the student's too.
    looks : sequence of tuple of ndarray and Look
        Images of the laboratory, and how the teacher sees them.
    reference : sequence of tuple of ndarray and Look
        Images of the source, and how the source model sees them, so that it is not forgotten.
    settings : SelfTraining
        How.
    report : callable, optional
        Called with the share of steps that is done.

    Raises
    ------
    ConfigError
        If there is nothing that the teacher is sure of.
    """
    samples = [
        sample
        for source, seen in (("laboratory", looks), ("reference", reference))
        for number, (image, look) in enumerate(seen)
        if (sample := outline_sure_cells(f"{source}{number}", source, image, look, teacher, settings)) is not None
    ]
    if not any(sample.source == "laboratory" for sample in samples):
        raise ConfigError("in none of the images is there a cell of which the model is sure")
    with tempfile.TemporaryDirectory() as temporary:
        start, folder = Path(temporary) / "teacher", Path(temporary) / "student"
        save_model(teacher, start)
        config = TrainingConfig(
            epochs=1,
            views=8 * settings.steps,
            synthetic_images=settings.synthetic,
            start=str(start),
            learning_rate=settings.learning_rate,
            saliency_warmup=0.0,
            workers=0,
            model=teacher.config,
            augmentation=AugmentationConfig(synthetic=0.2, elsewhere=0.25),
        )
        for at in train(prepare_split(samples, [], config).training, [], config, folder):
            if report:
                report(at.step / at.steps)
        student = load_model(str(folder))
    # The class odds and their temperature are the teacher's still: few classes were learned from.
    return replace(teacher, network=student.network.to(teacher.network.mean.device), sha256="")


def outline_sure_cells(
    name: str, source: str, image: NDArray[np.uint8], look: Look, model: Model, settings: SelfTraining
) -> Sample | None:
    """Return what is sure of an image as a sample to learn from, or None where no cell is.

    Parameters
    ----------
    name, source : str
        Of the sample.
    image : ndarray
        (H, W, 3) uint8 RGB as it came.
    look : Look
        How a model sees it.
    model : Model
        Names the cells.
    settings : SelfTraining
        How sure it has to be.
    """
    shown = model.in_own_stain(image)
    shape = (image.shape[0], image.shape[1])
    view = look.view
    cell, nucleus = (resize_map(plane, shape) for plane in torch.sigmoid(view.maps.logits[:2]).cpu().numpy())
    sure = (cell >= settings.high) & (resize_map(view.prior, shape) >= settings.salient)
    owner = resize_labels(view.labels, shape)
    loose, _ = ndimage.label(sure & (owner == 0))  # what inference took for debris may be a cell still
    pieces = np.where(owner > 0, owner, np.where(loose > 0, loose + owner.max(initial=0), 0)) * sure
    area = np.bincount(pieces.ravel())
    kernel = np.bincount(pieces.ravel(), (nucleus > 0.5).ravel())
    real = (area >= settings.smallest * np.pi / 4 * view.diameter**2) & (kernel >= settings.nucleus * area)
    real[0] = False
    if not real.any():
        return None
    background = (cell <= settings.low) | _bare(cell > settings.low, nucleus > 0.5, settings.bare)
    labels = np.where(real[pieces], pieces, np.where(background, 0, UNSURE)).astype(np.int32)
    classes = {}
    named = classify_cells(model, view.image, view.maps, view.labels)
    for label, odds in enumerate(named.probabilities, start=1):
        if label < len(real) and real[label] and odds.max() >= settings.named:
            classes[label] = model.config.classes[int(odds.argmax())]
    return Sample(
        name=name,
        image=Raster.of(shown),
        source=source,
        group=name,
        labels=Raster.of(labels),
        nucleus=Raster.of((nucleus > 0.5) & (labels > 0)),
        classes=classes or None,
    )


def _bare(likely: NDArray[np.bool_], nucleus: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """Return what stands alone, whole, and has no nucleus: red cells, whatever the network takes them for."""
    pieces, _ = ndimage.label(likely)
    area, kernel = np.bincount(pieces.ravel()), np.bincount(pieces.ravel(), nucleus.ravel())
    bare = kernel <= share * area
    bare[rim(pieces)] = False
    bare[0] = False
    return np.asarray(bare[pieces])


def between(one: SgcldffNetwork, other: SgcldffNetwork, share: float) -> SgcldffNetwork:
    """Return a network whose weights lie between those of two: 0 is `one`, 1 is `other`.

    Parameters
    ----------
    one, other : SgcldffNetwork
        Two networks of one configuration; neither is changed.
    share : float
        How far to go from `one` to `other`, in [0, 1].

    Returns
    -------
    SgcldffNetwork
        A third network. Counters, which are no numbers with a fraction, are those of `one`.

    References
    ----------
    Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022.
    """
    mixed = copy.deepcopy(one)
    theirs = other.state_dict()
    state = {k: v.lerp(theirs[k].to(v), share) if v.is_floating_point() else v for k, v in one.state_dict().items()}
    mixed.load_state_dict(state)
    return mixed
