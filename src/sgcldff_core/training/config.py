"""How a network is trained, as data that a TOML file can hold."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from sgcldff_core.errors import ConfigError, FormatError
from sgcldff_core.losses import LossConfig
from sgcldff_core.model import ModelConfig
from sgcldff_core.model.config import refuse_wrong_types

__all__ = ["AugmentationConfig", "TrainingConfig", "read_training_config"]


@dataclass(frozen=True, slots=True)
class AugmentationConfig:
    """How far training views depart from the images.

    Attributes
    ----------
    scale : tuple of float
        Smallest and largest factor on the canonical scale, drawn log-uniformly.
    shift : float
        How far a cell may lie from the centre of its view, as a share of the view's size. Large,
        since crops in public data sets are centred and a network would learn that.
    elsewhere : float
        Probability of a view at a random place of the image instead of around a cell.
    stain : float
        Half-width of the jitter of each stain's strength (haematoxylin, eosin, residual).
    colour : float
        Strength of brightness, contrast and saturation jitter.
    restain : float
        Probability of taking on the colour statistics of another training image (Reinhard).
    blur : float
        Probability of defocus.
    paste : float
        Probability of pasting a leukocyte from another image into the view; after one, of a second,
        and of a third.
    prior_dropout : float
        Probability of a view without its prior, so that the network does not lean on it alone.
    synthetic : float
        Share of synthetic smears among the views.
    """

    scale: tuple[float, float] = (0.7, 1.4)
    shift: float = 0.35
    elsewhere: float = 0.15
    stain: float = 0.2
    colour: float = 0.2
    restain: float = 0.15
    blur: float = 0.2
    paste: float = 0.3
    prior_dropout: float = 0.1
    synthetic: float = 0.0

    def __post_init__(self) -> None:
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1]:
            raise ConfigError(f"scale must be two factors above 0, the smaller first; got {self.scale}")
        for name in ("elsewhere", "restain", "blur", "paste", "prior_dropout", "synthetic"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"augmentation {name} is a probability, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """One training run.

    Attributes
    ----------
    epochs : int
        Passes of `views` views each.
    views : int
        Views in one epoch; 0 for as many as there are training images.
    batch : int
        Views in one step over all processes together.
    synthetic_images : int
        Synthetic smears drawn to learn from beside the images; see ``augmentation.synthetic``.
    size : int
        Side of a view in px at the canonical scale; a multiple of 32.
    start : {"imagenet", "random"} or a model's name or folder
        Where the weights come from.
    learning_rate : float
        At its highest, for new layers; one-cycle with cosine decay.
    backbone_rate : float
        Factor on it for the pretrained encoder.
    weight_decay : float
        Of AdamW.
    anchor : float
        Decay towards the weights of the start, in the place of a decay towards zero: what few new
        cells do not speak of stays as it was (L2-SP). 0 for none.
    warmup : float
        Share of all steps in which the learning rate rises.
    saliency_warmup : float
        Share of all steps over which the saliency losses come in, after none for as long.
    clip : float
        Largest norm of the gradient.
    ema : float
        Decay of the running mean of the weights, which is what is evaluated and kept.
    class_power : float
        How far sampling evens out classes: 0 not at all, 1 entirely.
    source_power : float
        Likewise for data sets of different size.
    masked_share : float
        Least share of the real images' views that show images with masks that a person drew, where
        only some have them: a few careful outlines are not to drown among many boxes or
        pseudo-labels. 0: as they come.
    outline_boxes : bool
        Outline what boxes show by its colours before training, see `outline_boxes`; boxes then teach
        as outlines do, but for a rim that is left open.
    validation : float
        Share of groups held out where the data sets name no validation split; 0 to learn from
        everything, validation splits too, and keep the last weights.
    validate_every : int
        Epochs between validations.
    temperature, prior_shift : float
        Calibration where fewer than ten held-out cells can tell it, as cross-validation found it; see
        `calibration.fit_calibration`.
    workers : int
        Processes that draw views beside the one that learns; 0 to draw them in that one.
    seed : int
        Of everything drawn at random.
    train : {"all", "heads"}
        What is trained; with heads only, what makes features stays as it is: backbone, fusion and the
        embedding of cells. Only then can cells that the start remembers be recalled.
    precision : str
        As Lightning Fabric names it.
    model : ModelConfig
        Architecture.
    loss : LossConfig
        Weights of the losses.
    augmentation : AugmentationConfig
        Views.
    """

    epochs: int = 60
    views: int = 0
    batch: int = 8
    synthetic_images: int = 0
    size: int = 128
    start: str = "imagenet"
    learning_rate: float = 2e-3
    backbone_rate: float = 0.25
    weight_decay: float = 0.02
    anchor: float = 0.0
    warmup: float = 0.08
    saliency_warmup: float = 0.1
    clip: float = 2.0
    ema: float = 0.995
    class_power: float = 0.5
    source_power: float = 0.5
    masked_share: float = 0.0
    outline_boxes: bool = False
    validation: float = 0.2
    validate_every: int = 2
    temperature: float = 1.0
    prior_shift: float = 0.0
    workers: int = 1
    seed: int = 0
    train: str = "all"
    precision: str = "32-true"
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "validate_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("views", "workers", "synthetic_images", "seed", "weight_decay", "anchor", "saliency_warmup"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("learning_rate", "backbone_rate", "clip", "temperature"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("ema", "warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        if not 0 <= self.masked_share <= 1:
            raise ConfigError(f"masked_share must be in [0, 1], got {self.masked_share}")
        if self.size < 64 or self.size % 32:
            raise ConfigError(f"size must be a multiple of 32 of at least 64, got {self.size}")
        if self.train not in ("all", "heads"):
            raise ConfigError(f"train must be 'all' or 'heads', got {self.train!r}")
        if self.start == "random" and self.model.frozen_statistics:
            raise ConfigError("a random start has no statistics to keep; set model.frozen_statistics = false")
        if bool(self.synthetic_images) != bool(self.augmentation.synthetic):
            raise ConfigError(
                "synthetic_images and augmentation.synthetic go together: how many are drawn, and their share of views"
            )
        if not 0 <= self.validation < 1:
            raise ConfigError(f"validation is the share held out, from 0 to below 1, got {self.validation}")
        if not 0 <= self.prior_shift <= 1:
            raise ConfigError(f"prior_shift is a share between 0 and 1, got {self.prior_shift}")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON types."""
        plain = asdict(self) | {"model": self.model.to_dict()}
        plain["augmentation"]["scale"] = list(self.augmentation.scale)
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """Build from plain types; unknown names are refused.

        Parameters
        ----------
        values : mapping of str to object
            Settings by name, with the sections ``model``, ``loss`` and ``augmentation`` as mappings.

        Raises
        ------
        ConfigError
            For an unknown setting or a value out of range.
        """
        _refuse_unknown(cls, values, "training")
        settings = dict(values)
        sections = {"model": dict, "loss": dict, "augmentation": dict}
        for name in sections.keys() & settings.keys():
            if not isinstance(settings[name], Mapping):
                raise ConfigError(f"{name} is a section of settings, got {settings[name]!r}")
        refuse_wrong_types(cls(), {k: v for k, v in settings.items() if k not in sections}, "training")
        if "model" in settings:
            settings["model"] = ModelConfig.from_dict(settings["model"])
        for name, kind in (("loss", LossConfig), ("augmentation", AugmentationConfig)):
            if name in settings:
                _refuse_unknown(kind, settings[name], name)
                refuse_wrong_types(kind(), settings[name], name)
                part = dict(settings[name])
                if "scale" in part:
                    part["scale"] = tuple(part["scale"])
                settings[name] = kind(**part)
        return cls(**settings)


def read_training_config(path: Path | str) -> TrainingConfig:
    """Read a TOML file of training settings; what it does not name keeps its default.

    Parameters
    ----------
    path : Path or str
        In UTF-8.

    Raises
    ------
    FormatError
        If it is no TOML.
    ConfigError
        For an unknown setting or a value out of range.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as missing:
        raise FormatError(path, "there is no such file", "check the path given to --config") from missing
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as broken:
        raise FormatError(path, f"is not valid TOML ({broken})", "mend the line it names") from broken
    return TrainingConfig.from_dict(values)


def _refuse_unknown(kind: type, values: Mapping[str, Any], section: str) -> None:
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(f"unknown {section} setting {', '.join(unknown)}; known are {', '.join(sorted(known))}")
