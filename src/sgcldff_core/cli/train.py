"""``sgcldff train``: learn from data sets of any format."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sgcldff_core.cli.console import progress_bar, say_error, stderr, stdout
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from sgcldff_core.training import TrainingConfig

__all__ = ["train"]


def train(
    datasets: Annotated[list[Path], typer.Argument(metavar="DATASET...", help="Folders or COCO files to learn from.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The model's folder; made if missing.")],
    config: Annotated[
        Path | None, typer.Option("--config", metavar="TOML", help="Settings; unnamed ones keep their default.")
    ] = None,
    init: Annotated[str | None, typer.Option("--init", metavar="MODEL", help="Start from this model.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in DIR.")] = False,
    epochs: Annotated[
        int | None, typer.Option("--epochs", metavar="N", help="Instead of the settings' epochs.")
    ] = None,
    device: Annotated[str, typer.Option("--device", metavar="D", help="cpu, cuda, mps or auto.")] = "auto",
    devices: Annotated[int, typer.Option("--devices", metavar="N", help="Processes, one on each device.")] = 1,
) -> None:
    """Train a network, and keep the weights that did best on held-out images.

    DIR gets model.safetensors and model.json (use it with --model DIR), checkpoint.safetensors for
    --resume, log.csv, curves.png and TensorBoard events. Ctrl-C stops; what was best so far is kept.

    Exit code 0: all well; 1: some images could not be used, and are named.
    """
    from sgcldff_core.training import gather
    from sgcldff_core.training import train as run

    settings = _settings(config, init, epochs)
    _refuse_to_overwrite(out, resume)
    fabric = _launch(settings, device, devices)
    stderr.print("reading images ...")
    data = gather(datasets, settings)
    if fabric.is_global_zero:
        counts = ", ".join(f"{n} {source}" for source, n in data.provenance["images"].items())
        held = ", ".join(f"{n} {source}" for source, n in data.provenance["validation_images"].items())
        stdout.print(f"learning from {counts}; held out {held}", soft_wrap=True)
    with progress_bar() as bar:
        task = bar.add_task("training", total=None)
        for at in run(
            data.training, data.validation, settings, out, resume=resume, fabric=fabric, provenance=data.provenance
        ):
            doing = f"epoch {at.epoch}, loss {at.losses['total']:.3f}" if at.losses else "judging the start"
            bar.update(task, total=at.steps, completed=at.step, description=doing)
            if at.figures:
                shown = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in at.figures.items())
                stdout.print(f"epoch {at.epoch}: {shown}", soft_wrap=True)
    if fabric.is_global_zero:
        _enlarge_atlas(out, datasets, settings, data.provenance)
    for failure in data.failures:
        say_error(str(failure))
    if fabric.is_global_zero:
        stdout.print(f"the best weights are in {out}", soft_wrap=True)
    raise typer.Exit(1 if data.failures else 0)


def _enlarge_atlas(out: Path, datasets: list[Path], settings: TrainingConfig, provenance: dict[str, Any]) -> None:
    from sgcldff_core.evaluation.atlas_cells import enlarge_atlas
    from sgcldff_core.model import load_model
    from sgcldff_core.training import read_annotated
    from sgcldff_core.training.starting import SCRATCH

    if settings.start in SCRATCH or (base := load_model(settings.start)).atlas is None:
        return
    stderr.print("measuring cells ...")
    samples, _ = read_annotated(datasets)
    held = set(provenance["validation_groups"])
    enlarge_atlas(out, base, [s for s in samples if s.group not in held])


def _settings(config: Path | None, init: str | None, epochs: int | None) -> TrainingConfig:
    from sgcldff_core.model import load_model
    from sgcldff_core.training import TrainingConfig, read_training_config

    settings = read_training_config(config) if config else TrainingConfig()
    if init is not None:
        # The architecture comes with the weights; only the classes may be the settings' own.
        base = load_model(init).config
        classes = settings.model.classes if config else base.classes
        settings = replace(settings, start=init, model=replace(base, classes=classes))
    return settings if epochs is None else replace(settings, epochs=epochs)


def _refuse_to_overwrite(out: Path, resume: bool) -> None:
    checkpoint = (out / "checkpoint.safetensors").exists()
    if not resume and (checkpoint or (out / "model.json").exists()):
        raise ConfigError(f"{out} holds a run already; go on with --resume, or choose another --out")
    if resume and not checkpoint:
        raise ConfigError(f"{out} holds no checkpoint to go on from; leave out --resume")


def _launch(settings: TrainingConfig, device: str, devices: int) -> Fabric:
    from lightning_fabric import Fabric

    processes, nodes = _launched_from_outside(devices)
    try:
        fabric = Fabric(
            accelerator=device,
            devices=processes,
            num_nodes=nodes,
            strategy="ddp" if processes * nodes > 1 else "auto",
            precision=settings.precision,  # type: ignore[arg-type]
        )
    except (TypeError, ValueError, RuntimeError) as refused:
        raise ConfigError(f"device {device!r} x {processes}, precision {settings.precision!r}: {refused}") from refused
    if os.environ.get("LT_CLI_USED", "0") == "0":  # ``fabric run`` has launched it, and refuses to be asked again
        fabric.launch()
    return fabric


def _launched_from_outside(devices: int) -> tuple[int, int]:
    """Return processes a node and nodes: those of torchrun or ``fabric run`` where one of them runs this."""
    here, everywhere = (os.environ.get(name) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE"))
    if here is None or everywhere is None:
        return devices, 1
    if devices not in (1, int(here)):
        raise ConfigError(f"--devices {devices} contradicts the {here} processes that run this; leave it out")
    return int(here), int(everywhere) // int(here)
