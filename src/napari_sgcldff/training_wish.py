"""What a person asks a training for, made into data on disk and settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from napari_sgcldff.layer_samples import LayerPair
    from sgcldff_core.model import Model
    from sgcldff_core.sample import Sample
    from sgcldff_core.training import TrainingConfig

__all__ = ["SCRATCH", "Wish", "settings_for", "write_notes"]

SCRATCH = ("imagenet", "random")
"""Starts that are no model."""

_ALIKE = 1.5  # a layer's median cell is at most so many times that of another at the same magnification


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """What a person asks for.

    Attributes
    ----------
    paths : tuple of str
        Data sets of any format.
    pairs : tuple of LayerPair
        Open layers.
    start : str
        Name or folder of a model, empty for the shipped one; ``"imagenet"`` or ``"random"``.
    heads : bool
        Train the heads alone, where there is a model to go on from.
    epochs : int
        How long.
    validation : float
        Share of images held out; 0 for none.
    learning_rate : float or None
        At its highest; None for what suits the start.
    views : int
        Of one epoch; 0 for what suits the number of images.
    """

    paths: tuple[str, ...]
    pairs: tuple[LayerPair, ...]
    start: str = ""
    heads: bool = True
    epochs: int = 8
    validation: float = 0.2
    learning_rate: float | None = None
    views: int = 0


def write_notes(wish: Wish, folder: Path, report: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Make the folder of a run, and keep what is learned from layers in it, or it could not go on later.

    Parameters
    ----------
    wish : Wish
        What is asked for.
    folder : Path
        Of the run.
    report : callable
        Called with stage, layers copied and their number.

    Returns
    -------
    dict
        ``paths`` of all data sets, ``start`` and when it was ``begun``.

    Raises
    ------
    ConfigError
        If there is nothing but layers, and these have no labels.
    """
    from sgcldff_core.datasets.curated_writer import write_curated
    from sgcldff_core.datasets.history import Change, Provenance

    paths = [str(Path(path).absolute()) for path in wish.paths]
    samples: list[Sample] = []
    for number, pair in enumerate(wish.pairs):
        report("copying layers", number, len(wish.pairs))
        samples += pair.samples()
    if wish.pairs and not samples and not paths:
        raise ConfigError("the chosen layers have no labels yet; outline some cells first")
    if samples:
        origin = Provenance("layers", "open layers in napari", (Change.now("napari-sgcldff", "copied to train on"),))
        write_curated(_named_apart(_by_magnification(samples)), folder / "layers", provenance=origin)
        paths.append(str(folder / "layers"))
    folder.mkdir(parents=True, exist_ok=True)
    return {"paths": paths, "start": wish.start, "begun": datetime.now().isoformat(timespec="seconds")}


def settings_for(wish: Wish, base: Model | None, samples: Sequence[Sample]) -> TrainingConfig:
    """Return the settings of the training that is asked for.

    Parameters
    ----------
    wish : Wish
        What is asked for.
    base : Model or None
        The model to go on from.
    samples : sequence of Sample
        All that there is to learn from.
    """
    from sgcldff_core.model import DEFAULT_MODEL
    from sgcldff_core.training.refining import fresh_settings, named_classes, refining_settings

    classes, images = named_classes(samples), len(samples)
    given: dict[str, Any] = {
        "epochs": wish.epochs,
        "validation": wish.validation,
        "learning_rate": wish.learning_rate,
        "views": wish.views,
    }
    if base is None:
        return fresh_settings(wish.start, classes, images, **given)
    train = "heads" if wish.heads else "all"
    return refining_settings(base, wish.start or DEFAULT_MODEL, classes, images, train=train, **given)


def _by_magnification(samples: Sequence[Sample]) -> list[Sample]:
    """Let layers of one magnification be one source, in which the size of a cell tells what it is."""
    from sgcldff_core.training import typical_diameters

    found = typical_diameters(samples)
    kinds: dict[str, float] = {}
    kind_of: dict[str, str] = {}
    for source, diameter in sorted(found.items(), key=lambda item: item[1]):
        alike = [kind for kind, least in kinds.items() if diameter < _ALIKE * least]
        kind = alike[0] if alike else f"layers_{round(diameter)}px"
        kinds.setdefault(kind, diameter)
        kind_of[source] = kind
    return [replace(s, source=kind_of.get(s.source, s.source)) for s in samples]


def _named_apart(samples: Sequence[Sample]) -> list[Sample]:
    """Tell samples of one name apart: two layers may have the same."""
    seen: dict[str, int] = {}
    apart = []
    for sample in samples:
        number = seen[sample.name] = seen.get(sample.name, 0) + 1
        name = sample.name if number == 1 else f"{sample.name}_{number}"
        apart.append(sample if number == 1 else replace(sample, name=name, group=f"{sample.source}/{name}"))
    return apart
