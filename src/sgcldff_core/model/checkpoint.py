"""Models on disk: weights as safetensors, everything else as JSON beside them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save

from sgcldff_core import model_folders
from sgcldff_core.datasets.drafts import folder_drafted
from sgcldff_core.errors import ConfigError, CorruptModelError
from sgcldff_core.files import written_atomically
from sgcldff_core.model.atlas import ATLAS, CellAtlas, read_atlas, save_atlas
from sgcldff_core.model.config import ModelConfig
from sgcldff_core.model.known_smears import KnownSmears
from sgcldff_core.model.known_stains import KnownStains
from sgcldff_core.model.network import SgcldffNetwork, build_network
from sgcldff_core.model.review_rule import ReviewRule
from sgcldff_core.model.stain import StainTransform
from sgcldff_core.model.weights import fill_network
from sgcldff_core.model_folders import (
    DEFAULT_MODEL,
    DESCRIPTION,
    FORMAT_VERSION,
    MEMORY,
    available_models,
    describe,
    find_model,
    user_models,
)

if TYPE_CHECKING:
    from sgcldff_core.model.engine import Engine

__all__ = [
    "DEFAULT_MODEL",
    "Model",
    "add_model",
    "available_models",
    "describe",
    "find_model",
    "load_model",
    "save_model",
    "save_parts",
    "user_models",
]

_WEIGHTS, _CARD = "model.safetensors", "CARD.md"
_PARTS: dict[str, Any] = {  # of some models: keys of the description, fields of `Model`
    "stain": StainTransform,
    "known_stains": KnownStains,
    "known_smears": KnownSmears,
    "review": ReviewRule,
}


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A network with all that is needed to use it and to judge it.

    Attributes
    ----------
    name : str
        Name of its folder.
    config : ModelConfig
        Architecture, classes and canonical diameter.
    network : SgcldffNetwork
        In evaluation mode.
    calibration : mapping
        ``temperature`` divides the class logits; what else post-processing was tuned to.
    training : mapping
        Data, split and recipe it was trained with.
    metrics : mapping
        Figures, each with the split it was measured on.
    sha256 : str
        Of the weights file; empty for a model that was not saved yet.
    stain : StainTransform or None
        What brings images to the stain that the network knows, in a model that was adapted to a
        laboratory; the key ``stain`` of ``model.json``, which others have not.
    known_stains, known_smears : KnownStains or None, KnownSmears or None
        Colours of the cells, and looks of the images, that the model learned from; keys of the same
        name. A model without them cannot tell what is unlike.
    review : ReviewRule or None
        Which cells to look at; the key ``review``. A model without it falls back to a rule that was
        set by hand.
    atlas : CellAtlas or None
        Measured cells that have a say in names, of ``atlas.safetensors``, where there is one.
    engine : Engine or None
        What multiplies in place of torch, see `sgcldff_core.inference.engines`; not saved.
    """

    name: str
    config: ModelConfig
    network: SgcldffNetwork
    calibration: Mapping[str, float] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    stain: StainTransform | None = None
    known_stains: KnownStains | None = None
    known_smears: KnownSmears | None = None
    review: ReviewRule | None = None
    atlas: CellAtlas | None = None
    engine: Engine | None = None

    def in_own_stain(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return (H, W, 3) uint8 RGB as the network is to see it: changed where the model was adapted.

        Parameters
        ----------
        image : ndarray of uint8, shape (H, W, 3)
            RGB as it came from the camera.
        """
        return image if self.stain is None else self.stain.apply(image)

    @property
    def temperature(self) -> float:
        """Divisor of the class logits that makes their probabilities honest."""
        return float(self.calibration.get("temperature", 1.0))


def load_model(name_or_path: str | Path | None = None, *, device: str = "cpu") -> Model:
    """Load a model, after checking that its weights are the ones that its description names.

    Parameters
    ----------
    name_or_path : str or Path, optional
        See `find_model`.
    device : str
        Where to put the network, as torch names it.

    Returns
    -------
    Model
        With the network in evaluation mode.

    Raises
    ------
    ModelNotFoundError, CorruptModelError
        If there is no such model, or its files are damaged or do not fit each other.
    """
    folder = find_model(name_or_path)
    description = describe(folder)
    file = folder / _WEIGHTS
    try:
        raw = file.read_bytes()
    except OSError as missing:
        raise CorruptModelError(f"{file}: cannot be read ({missing}); get the model again") from missing
    digest = hashlib.sha256(raw).hexdigest()
    if digest != description.get("sha256"):
        raise CorruptModelError(
            f"{file}: its sha256 is not the one in {DESCRIPTION}; the file is damaged, get it again"
        )
    try:
        # Models from before the prior had a vote do not speak of it.
        config = ModelConfig.from_dict({"prior_vote": False} | description["config"])
        parts = {key: kind.from_dict(description[key]) for key, kind in _PARTS.items() if key in description}
        tensors = load(raw)
    except (ConfigError, KeyError, TypeError, SafetensorError) as broken:
        raise CorruptModelError(f"{folder}: {DESCRIPTION} or {_WEIGHTS} is not usable ({broken})") from broken
    network = build_network(config)
    fill_network(network, tensors, file)
    return Model(
        name=folder.name,
        config=config,
        network=network.to(device).eval(),
        calibration=description.get("calibration", {}),
        training=description.get("training", {}),
        metrics=description.get("metrics", {}),
        sha256=digest,
        **parts,
        atlas=read_atlas(folder),
    )


def save_model(model: Model, folder: Path | str, *, half: bool = True) -> Path:
    """Write a model as a folder; each file appears whole or not at all.

    Parameters
    ----------
    model : Model
        What to save.
    folder : Path or str
        Made if missing; its name is the model's name from then on.
    half : bool
        Store weights in half precision, which halves the file and moves no figure we measured.

    Returns
    -------
    Path
        The folder.
    """
    folder = Path(folder)
    state = {k: v.detach().cpu().contiguous() for k, v in model.network.state_dict().items()}
    if half:
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    raw = save(state)
    description = {
        "format": FORMAT_VERSION,
        "name": folder.name,
        "config": model.config.to_dict(),
        "calibration": dict(model.calibration),
        "training": dict(model.training),
        "metrics": dict(model.metrics),
        "sha256": hashlib.sha256(raw).hexdigest(),
    }
    description |= {key: part.to_dict() for key in _PARTS if (part := getattr(model, key)) is not None}
    with written_atomically(folder / _WEIGHTS) as draft:
        draft.write_bytes(raw)
    with written_atomically(folder / DESCRIPTION) as draft:
        draft.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    save_atlas(model.atlas, folder)
    return folder


def save_parts(model: Model, source: Path | str, folder: Path | str) -> Path:
    """Write what came to a model that is on disk already; its weights, memory and card stay what they are.

    Parameters
    ----------
    model : Model
        As it was loaded from `source`, but for known stains, known smears, review, atlas and what `training` notes.
    source : Path or str
        Its folder.
    folder : Path or str
        Where to write; may be the same.

    Raises
    ------
    ConfigError
        If `source` holds other weights.
    """
    source, folder = Path(source), Path(folder)
    description = describe(source)
    if description.get("sha256") != model.sha256:
        raise ConfigError(f"{source} holds other weights than model {model.name}; load the model from there")
    parts: dict[str, Any] = {key: part.to_dict() for key in _PARTS if (part := getattr(model, key)) is not None}
    parts["training"] = dict(model.training)
    if folder.resolve() != source.resolve():
        folder.mkdir(parents=True, exist_ok=True)
        for file in (_WEIGHTS, MEMORY, _CARD):
            if (source / file).is_file():
                with written_atomically(folder / file) as draft:
                    shutil.copyfile(source / file, draft)
    with written_atomically(folder / DESCRIPTION) as draft:
        draft.write_text(json.dumps(description | parts | {"name": folder.name}, indent=2) + "\n", encoding="utf-8")
    save_atlas(model.atlas, folder)
    return folder


def add_model(source: Path | str, name: str | None = None, *, overwrite: bool = False) -> Path:
    """Copy a model into the user's folder after checking that it loads.

    Parameters
    ----------
    source : Path or str
        A model folder.
    name : str, optional
        Name to give it; by default the folder's.
    overwrite : bool
        Whether a model of that name in the user's folder is replaced; a shipped one never is.

    Returns
    -------
    Path
        Where it is now.

    Raises
    ------
    ConfigError
        If the name is taken, or is not a plain folder name.
    ModelNotFoundError, CorruptModelError
        If the source is no usable model.
    """
    folder = find_model(source)
    load_model(folder)
    name = name or folder.name
    target = model_folders.user_models() / name
    if Path(name).name != name or name.startswith(".") or not name.strip():
        raise ConfigError(f"{name!r} is no name for a model; use a plain folder name")
    if name in available_models() and not (overwrite and (target / DESCRIPTION).is_file()):
        raise ConfigError(f"there is a model {name!r} already; choose another name")
    with folder_drafted(target, mark=DESCRIPTION, overwrite=overwrite) as draft:
        for file in (_WEIGHTS, MEMORY, ATLAS, DESCRIPTION):
            if file in (_WEIGHTS, DESCRIPTION) or (folder / file).is_file():
                shutil.copyfile(folder / file, draft / file)
    return target
