"""The training loop: one code path for a laptop, a GPU, several processes and nodes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning_fabric import Fabric
from torch import nn

from sgcldff_core.errors import ConfigError
from sgcldff_core.losses import MultiTaskLoss
from sgcldff_core.model import Model, SgcldffNetwork, build_network, load_model, save_model
from sgcldff_core.training.calibration import fit_calibration, fit_signs, with_prior_shift
from sgcldff_core.training.logs import TrainingLog
from sgcldff_core.training.schedule import (
    learning_rate_factor,
    make_optimizer,
    running_mean,
    saliency_factor,
    set_learning_rate,
)
from sgcldff_core.training.state import load_checkpoint, save_checkpoint
from sgcldff_core.training.step import TrainingStep
from sgcldff_core.training.stream import ViewStream
from sgcldff_core.training.validation import ValidationFigures, validate

if TYPE_CHECKING:
    from torch import Tensor

    from sgcldff_core.losses import Targets
    from sgcldff_core.training.config import TrainingConfig
    from sgcldff_core.training.prepared import PreparedSample

__all__ = ["Progress", "train"]

CHECKPOINT = "checkpoint.safetensors"

PRIOR_SHIFT = "log_prior_shift"
"""Under this name a model's description notes what was added to its class logits when it was kept."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run is; yielded after every step.

    Attributes
    ----------
    epoch, epochs, step, steps : int
        Counted from 1; `step` and `steps` over the whole run.
    losses : mapping of str to float
        Of this step, ``total`` and the parts.
    figures : mapping of str to float, or None
        Of a validation, where one followed this step.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    losses: Mapping[str, float]
    figures: Mapping[str, float] | None = None


def train(
    training: Sequence[PreparedSample],
    validation: Sequence[PreparedSample],
    config: TrainingConfig,
    folder: Path | str,
    *,
    resume: bool = False,
    fabric: Fabric | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Iterator[Progress]:
    """Train a network and keep the best weights in `folder` as a model.

    A generator: stop iterating to cancel (what was best so far is kept), wait between two steps to
    pause. After a kill, `resume` goes on from the last finished epoch to the same end.

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
    run = _Run(training, validation, config, folder, fabric, dict(provenance or {}))
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
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.folder, self.fabric, self.provenance = config, folder, fabric, provenance
        self.validation = validation
        self.stream = ViewStream(training, config)
        counts = self.stream.counts
        self.provenance["cells_by_class"] = dict(zip(config.model.classes, counts, strict=True))
        self.network = _starting_network(config)
        loss = MultiTaskLoss(config.loss, counts, 2 * config.model.embedding)
        step = TrainingStep(self.network, loss).to(memory_format=torch.channels_last)
        optimizer = make_optimizer(self.network, loss, config)
        self.loss = loss
        self.step, self.optimizer = fabric.setup(step, optimizer)
        self.ema = running_mean(self.network, config.ema)
        self.best = -math.inf

    def epochs(self, resume: bool) -> Iterator[Progress]:
        config, steps = self.config, self.stream.steps
        first = self._resume() if resume else 0
        log = TrainingLog(self.folder, keep_epochs=first) if self.fabric.is_global_zero else None
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
                log.epoch(epoch + 1, figures)
                self._save(epoch + 1)
            self.fabric.barrier()
            yield Progress(epoch + 1, config.epochs, (epoch + 1) * steps, config.epochs * steps, losses, figures)

    def _one_step(self, number: int, image: Tensor, prior: Tensor, targets: Targets) -> dict[str, float]:
        config, fabric = self.config, self.fabric
        progress = number / (config.epochs * self.stream.steps)
        set_learning_rate(self.optimizer, learning_rate_factor(progress, config.warmup))
        image, prior, targets = fabric.to_device(image), fabric.to_device(prior), targets.to(fabric.device)
        total, parts = self.step(image, prior, targets, saliency_factor(progress, config.saliency_warmup))
        fabric.backward(total)
        fabric.clip_gradients(self.step, self.optimizer, max_norm=config.clip, error_if_nonfinite=False)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.update_parameters(self.network)
        return {"total": total.item()} | {name: part.item() for name, part in parts.items()}

    def _validate(self) -> dict[str, float] | None:
        if not self.validation or not self.fabric.is_global_zero:
            return None
        mean = cast("SgcldffNetwork", self.ema.module)
        figures = validate(mean, self.validation, self.config.model.canonical_diameter)
        # Where held-out images tell nothing, the last weights are as good as any.
        if math.isnan(figures.score):
            self._keep(mean, figures)
        elif figures.score > self.best:
            self.best = figures.score
            self._keep(mean, figures)
        return figures.to_dict()

    def _keep(self, network: SgcldffNetwork, figures: ValidationFigures | None) -> None:
        shift = self.stream.log_prior_shift(self.loss.classification.emphasis)
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
        )
        save_model(model, self.folder)

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
        then = notes["settings"]
        changed = [k for k, v in self.config.to_dict().items() if then.get(k) != v]
        if changed:
            raise ConfigError(
                f"{path} was made with another {', '.join(changed)}; use the same settings, or no --resume"
            )
        self.best = notes["best"]
        return int(notes["epochs"])


def _starting_network(config: TrainingConfig) -> SgcldffNetwork:
    if config.start in ("imagenet", "random"):
        network = build_network(config.model, imagenet=config.start == "imagenet")
    else:
        network = _grown_from(load_model(config.start), config)
    if config.train == "heads":
        for part in (network.backbone, network.gate, network.fusion):
            if part is not None:
                part.requires_grad_(False)
    return network


def _grown_from(base: Model, config: TrainingConfig) -> SgcldffNetwork:
    """Take over another model's weights, and its class logits for classes of the same name."""
    if replace(base.config, classes=config.model.classes, dropout=config.model.dropout) != config.model:
        raise ConfigError(f"model {base.name} has another architecture than the settings' [model]; make them equal")
    network = build_network(config.model)
    fresh = network.classification.linear
    state = base.network.state_dict()
    weight, bias = fresh.weight.detach().clone(), fresh.bias.detach().clone()
    # What made up for how rarely classes were shown is added again at the end; twice would be once too often.
    learned_bias = state["classification.linear.bias"] - bias.new_tensor(base.training.get(PRIOR_SHIFT, 0.0))
    for i, name in enumerate(config.model.classes):
        if name in base.config.classes:
            j = base.config.classes.index(name)
            weight[i], bias[i] = state["classification.linear.weight"][j], learned_bias[j]
    network.load_state_dict(state | {"classification.linear.weight": weight, "classification.linear.bias": bias})
    return network
