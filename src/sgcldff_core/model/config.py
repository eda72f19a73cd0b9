"""What a network is made of, as data: each switch is one row of the ablation table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from sgcldff_core.errors import ConfigError
from sgcldff_core.taxonomy import LEUKOCYTES

__all__ = ["ModelConfig", "refuse_wrong_types"]

# Far beyond what is of use: a description from elsewhere must not make the network take all memory
# before its weights are seen not to fit.
_MOST = {"classes": 1000, "swin_depth": 32, "window": 64, "width": 512, "detail": 512, "embedding": 4096}


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Architecture of one SG-CLDFF network.

    Attributes
    ----------
    classes : tuple of str
        Cell classes in the order of the logits; at least two, no repeats.
    canonical_diameter : float
        Diameter in px that a typical cell has in the network's input.
    prior : str
        Name of the saliency prior that guides the network.
    prior_channel : bool
        Feed the prior as a fourth channel of the stem.
    gating : bool
        Gate each level by the prior, ``F * (1 + alpha * S)``.
    prior_vote : bool
        Add the prior to the logits of the leukocyte mask, ``beta * (S - tau)``.
    fusion : bool
        Cross-layer fusion; off, only the deepest level goes on through a plain decoder.
    swin : bool
        Shifted-window transformer blocks at strides 16 and 32.
    swin_depth : int
        Blocks at each of these strides; even, since windows shift in every second one.
    window : int
        Side of an attention window in tokens.
    frozen_statistics : bool
        Keep the batch statistics that the encoder starts with. Right for ImageNet weights, since
        statistics of small batches of one stain do not carry to the next laboratory; a random start
        has none to keep.
    architecture : str
        Name of a registered architecture, see `sgcldff_core.model.architectures`; what builds another
        one than ours says which of the settings it heeds.
    deepest : int
        Stride at which the backbone ends, 32 or 16. Two thirds of the encoder's weights lie beyond
        16: without them the network is small.
    width : int
        Channels of the fused map; a multiple of 8, and times the number of levels of `cardinality`.
    cardinality : int
        Groups of the aggregated transformation (ResNeXt).
    detail : int
        Channels of the segmentation head at stride 2.
    embedding : int
        Channels that the classification head pools.
    dropout : float
        Before the last linear layer of the classification head, 0 to below 1.
    """

    classes: tuple[str, ...] = tuple(c.name for c in LEUKOCYTES)
    canonical_diameter: float = 80.0
    prior: str = "fused"
    prior_channel: bool = True
    gating: bool = True
    prior_vote: bool = True
    fusion: bool = True
    swin: bool = True
    swin_depth: int = 2
    window: int = 5
    frozen_statistics: bool = True
    architecture: str = "sgcldff"
    deepest: int = 32
    width: int = 64
    cardinality: int = 32
    detail: int = 24
    embedding: int = 192
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise ConfigError(f"a model needs at least two different classes, got {list(self.classes)}")
        if self.window < 1 or self.cardinality < 1 or self.embedding < 1 or self.detail < 1:
            raise ConfigError("window, cardinality, embedding and detail must be at least 1")
        for name, most in _MOST.items():
            if (size := len(self.classes) if name == "classes" else getattr(self, name)) > most:
                raise ConfigError(f"{name} of a model must be at most {most}, got {size}")
        if not self.canonical_diameter > 0:
            raise ConfigError(f"canonical_diameter must be above 0 px, got {self.canonical_diameter}")
        if self.swin and (self.swin_depth < 2 or self.swin_depth % 2):
            raise ConfigError(f"swin_depth must be an even number of at least 2, got {self.swin_depth}")
        if self.deepest not in (16, 32):
            raise ConfigError(f"deepest must be 16 or 32, the stride at which the backbone ends; got {self.deepest}")
        levels = 4 if self.deepest == 32 else 3
        if self.width % 8 or (levels * self.width) % self.cardinality:
            raise ConfigError(
                f"width must be a multiple of 8, and {levels} x width of cardinality; "
                f"got {self.width} and {self.cardinality}"
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout must be in [0, 1), got {self.dropout}")

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON types."""
        return asdict(self) | {"classes": list(self.classes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Build from plain types, refusing names that are not fields.

        Parameters
        ----------
        values : mapping of str to object
            Fields by name; what is not named keeps its default.

        Raises
        ------
        ConfigError
            For an unknown field, or values that contradict each other.
        """
        known = {f.name for f in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(f"unknown model setting {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        settings = dict(values)
        refuse_wrong_types(cls(), settings, "model")
        if "classes" in settings:
            settings["classes"] = tuple(settings["classes"])
        return cls(**settings)


def refuse_wrong_types(defaults: object, values: Mapping[str, Any], section: str) -> None:
    """Refuse settings of another type than their default has.

    Parameters
    ----------
    defaults : dataclass instance
        Tells the types; a whole number will do where a fraction is asked for.
    values : mapping
        By names of its fields; where the default is a tuple, a list will do.
    section : str
        Of the settings, for the message.

    Raises
    ------
    ConfigError
        Naming the setting and the type it should have.
    """
    for name, value in values.items():
        wanted = type(getattr(defaults, name))
        fits = {float: (int, float), tuple: (list, tuple)}.get(wanted, (wanted,))
        if not isinstance(value, fits) or (isinstance(value, bool) and wanted is not bool):
            raise ConfigError(f"{section} setting {name} must be of type {wanted.__name__}, got {value!r}")
