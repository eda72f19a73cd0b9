"""The training loop: one code path for a laptop, a GPU, several processes and nodes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from sgcldff_core.errors import ConfigError
from sgcldff_core.losses import MultiTaskLoss
from sgcldff_core.model import Model, SgcldffNetwork, find_model, load_model, save_model
from sgcldff_core.model.checkpoint import describe
from sgcldff_core.training.anchor import Anchor
from sgcldff_core.training.calibration import fit_calibration, fit_signs, with_prior_shift
from sgcldff_core.training.config import TrainingConfig
from sgcldff_core.training.logs import TrainingLog
from sgcldff_core.training.memory import Memory, load_memory, remember, save_memory
from sgcldff_core.training.recall import Recall
from sgcldff_core.training.schedule import (
    ROBUST_FROM,
    learning_rate_factor,
    make_optimizer,
    rising_factor,
    running_mean,
    set_learning_rate,
)
from sgcldff_core.training.starting import PRIOR_SHIFT, SCRATCH, starting_network
from sgcldff_core.training.state import load_checkpoint, save_checkpoint
from sgcldff_core.training.step import Handed, TrainingStep
from sgcldff_core.training.stream import SYNTHETIC, ViewStream
from sgcldff_core.training.validation import Outlined, ValidationFigures, validate

if TYPE_CHECKING:
    from torch import Tensor

    from sgcldff_core.losses import Targets
    from sgcldff_core.training.prepared import PreparedSample, Watch

__all__ = ["Progress", "train"]

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is; yielded after every step, and before the first where the start is judged too.

    Attributes
    ----------
    epoch, epochs, step, steps : int
        Counted from 1; `step` and `steps` over the whole run.
    losses : mapping of str to float
        Of this step, ``total`` and the parts.
    figures : mapping of str to float, or None
        Of a validation, where one followed this step.
    outlined : tuple of Outlined
        With `figures`: the first held-out images as the network sees them now, where asked for.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    losses: Mapping[str, float]
    figures: Mapping[str, float] | None = None
    outlined: tuple[Outlined, ...] = ()


def train(
    training: Sequence[PreparedSample],
    validation: Sequence[PreparedSample],
    config: TrainingConfig,
    folder: Path | str,
    *,
    resume: bool = False,
    fabric: Fabric | None = None,
    provenance: Mapping[str, Any] | None = None,
    show: int = 0,
    watch: Watch | None = None,
) -> Iterator[Progress]:
    """Train a network and keep the best weights in `folder` as a model.

    A generator: stop iterating to cancel (what was best so far is kept), wait between two steps to
    pause. After a kill, `resume` goes on from the last finished epoch to the same end. A run that
    starts from a model judges that first and keeps it until something is better.

    Parameters
    ----------
    training, validation : sequence of PreparedSample
        What to learn from, and what to choose the best weights by.
    config : TrainingConfig
        How to train.
    folder : Path or str
        Gets ``model.safetensors``, ``model.json``, ``checkpoint.safetensors``, ``log.csv`` and
        ``curves.png``.
    resume : bool
        Go on from the checkpoint in `folder` if there is one.
    fabric : Fabric, optional
        A launched Fabric; by default one process on the CPU.
    provenance : mapping, optional
        Goes into the model's description: data, split.
    show : int
        Of so many held-out images the outlines are yielded with each validation.
    watch : callable, optional
        Called before each image of a validation; may raise `CancelledError`.

    Yields
    ------
    Progress
        After every step.

    Raises
    ------
    ConfigError
        If there is nothing to learn from, the batch cannot be shared out, or a checkpoint was made
        with other settings.
    """
    folder = Path(folder)
    fabric = fabric or Fabric(accelerator="cpu", devices=1, precision=config.precision)  # type: ignore[arg-type]
    if config.batch % fabric.world_size:
        raise ConfigError(f"a batch of {config.batch} cannot be shared by {fabric.world_size} processes evenly")
    run = _Run(training, validation, config, folder, fabric, dict(provenance or {}), show, watch)
    yield from run.epochs(resume)


class _Run:
    """State of one run; `epochs` is the loop, the rest are its steps."""

    def __init__(
        self,
        training: Sequence[PreparedSample],
        validation: Sequence[PreparedSample],
        config: TrainingConfig,
        folder: Path,
        fabric: Fabric,
        provenance: dict[str, Any],
        show: int = 0,
        watch: Watch | None = None,
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.folder, self.fabric, self.provenance = config, folder, fabric, provenance
        self.validation, self.show, self.watch = validation, show, watch
        self.stream = ViewStream(training, config)
        counts = self.stream.counts
        self.provenance["cells_by_class"] = dict(zip(config.model.classes, counts, strict=True))
        self.base = None if config.start in SCRATCH else load_model(config.start)
        self.network = starting_network(config, self.base)
        self.memory, recall = self._recalled(training)
        # Where cells are recalled, they keep the classes; an anchor would only keep them from new ones.
        self.anchor = Anchor(self.network.segmentation if recall else self.network, config.anchor)
        loss = MultiTaskLoss(config.loss, counts, 2 * config.model.embedding)
        step = TrainingStep(self.network, loss, recall).to(memory_format=torch.channels_last)
        optimizer = make_optimizer(self.network, loss, config)
        self.loss = loss
        self.step, self.optimizer = fabric.setup(step, optimizer)
        self.ema = running_mean(self.network, config.ema)
        self.best = -math.inf

    def epochs(self, resume: bool) -> Iterator[Progress]:
        first = self._resume() if resume else 0
        log = TrainingLog(self.folder, keep_epochs=first) if self.fabric.is_global_zero else None
        try:
            yield from self._epochs_from(first, log)
        finally:
            if log:
                log.close()

    def _epochs_from(self, first: int, log: TrainingLog | None) -> Iterator[Progress]:
        config, steps = self.config, self.stream.steps
        if not first and self.base is not None and (figures := self._validate()) is not None:
            if log:
                log.epoch(0, figures.to_dict())
            yield Progress(0, config.epochs, 0, config.epochs * steps, {}, figures.to_dict(), figures.outlined)
        for epoch in range(first, config.epochs):
            # Each epoch has chance of its own, so that a resumed run draws what an unbroken one would.
            torch.manual_seed(config.seed * 100_003 + epoch)
            self.step.train()
            losses: dict[str, float] = {}
            batches = self.stream.batches(epoch, self.fabric.global_rank, self.fabric.world_size)
            for i, (image, prior, targets) in enumerate(batches):
                losses = self._one_step(epoch * steps + i, image, prior, targets)
                if log:
                    log.step(epoch * steps + i + 1, losses)
                if i + 1 < steps:
                    yield Progress(epoch + 1, config.epochs, epoch * steps + i + 1, config.epochs * steps, losses)
            figures = None
            if (epoch + 1) % config.validate_every == 0 or epoch + 1 == config.epochs:
                figures = self._validate()
            if log:
                # The log first: rows that the checkpoint does not know of yet are dropped on resume.
                log.epoch(epoch + 1, figures.to_dict() if figures else None)
                self._save(epoch + 1)
                if epoch + 1 == config.epochs and self.memory is None:
                    self._remember()
            self.fabric.barrier()
            told = (figures.to_dict(), figures.outlined) if figures else (None, ())
            yield Progress(epoch + 1, config.epochs, (epoch + 1) * steps, config.epochs * steps, losses, *told)

    def _one_step(self, number: int, image: Tensor, prior: Tensor, targets: Targets) -> dict[str, float]:
        config, fabric = self.config, self.fabric
        done = number / (config.epochs * self.stream.steps)
        set_learning_rate(self.optimizer, learning_rate_factor(done, config.warmup))
        seen = fabric.to_device(image), fabric.to_device(prior), Handed(targets.to(fabric.device))
        total, parts = self.step(*seen, rising_factor(done, config.saliency_warmup), rising_factor(done, ROBUST_FROM))
        fabric.backward(total)
        fabric.clip_gradients(self.step, self.optimizer, max_norm=config.clip, error_if_nonfinite=False)
        self.optimizer.step()
        self.anchor.pull(self.optimizer)
        self.optimizer.zero_grad()
        self.ema.update_parameters(self.network)
        return {"total": total.item()} | {name: part.item() for name, part in parts.items()}

    def _validate(self) -> ValidationFigures | None:
        if not self.validation or not self.fabric.is_global_zero:
            return None
        mean = cast("SgcldffNetwork", self.ema.module)
        diameter = self.config.model.canonical_diameter
        figures = validate(mean, self.validation, diameter, show=self.show, watch=self.watch)
        # Where held-out images tell nothing, the last weights are as good as any.
        if math.isnan(figures.score):
            self._keep(mean, figures)
        elif figures.score > self.best - figures.doubt:
            self.best = max(figures.score, self.best)
            self._keep(mean, figures)
        return figures

    def _keep(self, network: SgcldffNetwork, figures: ValidationFigures | None) -> None:
        shift = self.stream.log_prior_shift(self.loss.classification.emphasis)
        if self.config.anchor:  # corrected cells are chosen, and do not tell how often classes occur
            shift = np.zeros_like(shift)
        known = (self.config.temperature, self.config.prior_shift)
        temperature, share = fit_calibration(figures.logits, figures.classes, shift, known) if figures else known
        signs = fit_signs(figures.signs) if figures else {}
        model = Model(
            name=self.folder.name,
            config=self.config.model,
            network=with_prior_shift(network, share * shift),
            calibration={"temperature": temperature, "prior_shift": share} | signs,
            training=self.provenance | {PRIOR_SHIFT: (share * shift).tolist(), "settings": self.config.to_dict()},
            metrics={"validation during training, at the canonical scale": figures.to_dict()} if figures else {},
            stain=self.base.stain if self.base else None,
            atlas=self.base.atlas if self.base else None,
        )
        save_model(model, self.folder)
        if self.memory is not None:
            save_memory(self.memory, self.folder, describe(self.folder)["sha256"])

    def _recalled(self, training: Sequence[PreparedSample]) -> tuple[Memory | None, Recall | None]:
        """Return what the new model will remember, and the loss over what the base remembers now.

        With the heads alone trained, features stay what they are, and so do memories of them.
        """
        config = self.config
        old = load_memory(find_model(config.start), self.base.sha256) if self.base else None
        if old is None or config.train != "heads":
            return None, None
        classes = config.model.classes
        new = remember(self.network, training, classes, config.model.canonical_diameter, watch=self.watch)
        return old.joined(new), Recall(old, classes, config.loss.smoothing)

    def _remember(self) -> None:
        """Give the best model, which was trained as a whole, a memory of what it learned from."""
        best = load_model(self.folder)
        real = [s for s in self.stream.samples if s.source != SYNTHETIC]
        chosen = [real[i] for i in np.random.default_rng(self.config.seed).permutation(len(real))]
        network, diameter = best.network.to(self.fabric.device), best.config.canonical_diameter
        memory = remember(network, chosen, best.config.classes, diameter, watch=self.watch)
        if set(memory.classes) == set(best.config.classes):  # else what is missing would be forgotten the sooner
            save_memory(memory, self.folder, best.sha256)

    def _modules(self) -> dict[str, nn.Module]:
        return {"network": self.network, "mean": self.ema, "loss": self.loss}

    def _save(self, epochs: int) -> None:
        if not self.validation:
            self._keep(cast("SgcldffNetwork", self.ema.module), None)
        notes = {"epochs": epochs, "best": self.best, "settings": self.config.to_dict()}
        save_checkpoint(self.folder / CHECKPOINT, self._modules(), self.optimizer, notes)

    def _resume(self) -> int:
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return 0
        notes = load_checkpoint(path, self._modules(), self.optimizer)
        then = TrainingConfig().to_dict() | notes["settings"]  # settings that came later were as by default
        changed = [k for k, v in self.config.to_dict().items() if then.get(k) != v]
        if changed:
            raise ConfigError(
                f"{path} was made with another {', '.join(changed)}; use the same settings, or no --resume"
            )
        self.best = notes["best"]
        return int(notes["epochs"])
