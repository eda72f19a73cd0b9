"""An adapted model on disk: like every other, with what it came from and why it was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sgcldff_core.errors import ConfigError
from sgcldff_core.model import available_models, save_model
from sgcldff_core.model.checkpoint import user_models

if TYPE_CHECKING:
    from sgcldff_core.adaptation.choosing import Adaptation
    from sgcldff_core.model import Model

__all__ = ["keep", "place_for"]


def place_for(name: str) -> Path:
    """Return the folder of a model that is about to be made.

    Parameters
    ----------
    name : str
        A plain name for the user's own folder of models, or a path.

    Raises
    ------
    ConfigError
        If there is a model of that name or in that folder already.
    """
    if name in ("", ".", ".."):
        raise ConfigError(f"{name!r} is no name for a model; use a plain name or a new folder")
    folder = user_models() / name if Path(name).name == name else Path(name).expanduser()
    if name in available_models() or (folder / "model.json").exists():
        raise ConfigError(f"there is a model {name!r} already, and it stays as it is; choose another name with --out")
    return folder


def keep(adaptation: Adaptation, source: Model, folder: Path, images: Sequence[str]) -> Path:
    """Write the chosen model under its new name.

    Parameters
    ----------
    adaptation : Adaptation
        From `sgcldff_core.adaptation.choosing.adapt`.
    source : Model
        What was adapted; it stays as it is.
    folder : Path
        From `place_for`.
    images : sequence of str
        Names of the images of the laboratory, for the record.

    Returns
    -------
    Path
        The folder.
    """
    record = {
        "from": source.name,
        "from_sha256": source.sha256,
        "images": list(images),
        "chosen": adaptation.chosen.name,
        "reason": adaptation.reason,
        "scores": {c.name: asdict(c.score) | {"total": c.score.total} for c in adaptation.candidates},
        "costs_on_source": {c.name: c.cost for c in adaptation.candidates if c.cost is not None},
        "rejected": {c.name: c.rejected for c in adaptation.candidates if c.rejected},
    }
    chosen = adaptation.chosen.model
    adapted = replace(
        chosen,
        name=folder.name,
        training={**source.training, "adapted": record},
        # Those figures are the source model's: they are not claimed for this one.
        metrics={f"before adaptation: {split}": figures for split, figures in source.metrics.items()},
    )
    return save_model(adapted, folder)
