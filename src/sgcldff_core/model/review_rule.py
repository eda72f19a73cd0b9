"""How probable it is that a cell's name, or its outline, is wrong: two small regressions, kept with a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError
from sgcldff_core.model.kept_figures import figures, require_fields

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DOUBTS", "ReviewRule", "RiskScore", "doubts_of"]

_VERSION = 2
_NO_MORE = ("disagreement", "kinship")  # doubts of version 1, which found no errors on cells held out
_MOST = 1e4

DOUBTS = {
    "confidence": "1 - p",
    "lead": "-ln(p1 / p2)",
    "entropy": "H / ln(classes)",
    "energy": "-energy",
    "pointing": "1 where it points elsewhere",
    "overlap": "-overlap",
    "rank": "-rank",
    "stability": "ln(1.01 - stability)",
    "firmness": "ln(1.01 - firmness)",
    "solidity": "ln(1.01 - solidity)",
    "nucleus": "-min(share, 0.3)",
    "size": "|ln(relative diameter)|",
    "border": "1 where the border cuts it",
    "stain": "ln(distance), from 0.05 on",
}
"""What becomes of each piece of evidence, so that more of it is always worse."""

_FULL_NUCLEUS = 0.3  # share of the cell from which on more nucleus is no better: cells differ
_NEAR = 0.05  # of a stain's unit: nearer is no better


def doubts_of(evidence: Mapping[str, Any] | pd.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Turn evidence so that more is always worse.

    Parameters
    ----------
    evidence : mapping of str to array
        Such as the table of `sgcldff_core.explain.cell_evidence`; (N,) each.

    Returns
    -------
    dict of str to ndarray
        (N,) float64 for each of `DOUBTS`; NaN where the evidence is.
    """
    seen = {name: np.asarray(evidence[name], np.float64) for name in DOUBTS}
    return {
        "confidence": 1 - seen["confidence"],
        **{name: -seen[name] for name in ("lead", "energy", "overlap", "rank")},
        **{name: seen[name] for name in ("entropy", "border")},
        "pointing": 1 - seen["pointing"],
        **{name: np.log(1.01 - np.clip(seen[name], 0, 1)) for name in ("stability", "firmness", "solidity")},
        "nucleus": -np.minimum(seen["nucleus"], _FULL_NUCLEUS),
        "size": np.abs(np.log(np.maximum(seen["size"], 1e-3))),
        "stain": np.log(np.maximum(seen["stain"], _NEAR)),
    }


@dataclass(frozen=True, slots=True)
class RiskScore:
    """A logistic regression on doubts, none of which can make a cell safer.

    ``p = 1 / (1 + exp(-(bias + sum over k of weight_k (x_k - centre_k) / scale_k)))``

    Attributes
    ----------
    centre, scale, weight : mapping of str to float
        For each of `DOUBTS`; scales above 0, weights not below.
    bias : float
        Logit of a cell whose doubts are all at the centre.
    """

    centre: Mapping[str, float]
    scale: Mapping[str, float]
    weight: Mapping[str, float]
    bias: float

    def __post_init__(self) -> None:
        for name in ("centre", "scale", "weight"):
            part = getattr(self, name)
            require_fields(part, DOUBTS, f"the {name} of a risk score")
            figures(list(part.values()), (len(DOUBTS),), f"the {name} of a risk score", _MOST)
        figures(self.bias, (), "the bias of a risk score", _MOST)
        if min(self.scale.values()) <= 0 or min(self.weight.values()) < 0:
            raise ConfigError("a risk score needs scales above 0 and weights not below 0")

    def shares(self, evidence: Mapping[str, Any] | pd.DataFrame) -> dict[str, NDArray[np.float64]]:
        """Return what each doubt adds to the logit, (N,) float64; nothing where it is not known.

        Parameters
        ----------
        evidence : mapping of str to array
            As for `doubts_of`.
        """
        doubts = doubts_of(evidence)
        return {
            name: np.nan_to_num(self.weight[name] * (doubts[name] - self.centre[name]) / self.scale[name])
            for name in DOUBTS
        }

    def probability(self, evidence: Mapping[str, Any] | pd.DataFrame) -> NDArray[np.float64]:
        """Return (N,) float64 in [0, 1].

        Parameters
        ----------
        evidence : mapping of str to array
            As for `doubts_of`; what is not known, NaN, speaks neither way.
        """
        logit = self.bias + np.sum(list(self.shares(evidence).values()), axis=0)
        return np.asarray(1 / (1 + np.exp(-np.clip(logit, -50, 50))), np.float64)


@dataclass(frozen=True, slots=True)
class ReviewRule:
    """Which cells a person should look at, as errors on images that were held out have taught it.

    Attributes
    ----------
    wrong_class, bad_mask : RiskScore
        Of the name being wrong, and of the outline's IoU with the true one being below 0.8.
    cutoff : float
        In [0, 1]: risk from which on a cell is to be looked at.
    usual : mapping of str to float
        For each of `DOUBTS`: more than that is more than 19 of 20 cells without fault have, and is
        named as a reason.
    fitted_on : mapping
        Cells, networks, data and share flagged, for the record.

    References
    ----------
    Geifman and El-Yaniv, Selective classification for deep neural networks, NeurIPS 2017.
    """

    wrong_class: RiskScore
    bad_mask: RiskScore
    cutoff: float
    usual: Mapping[str, float]
    fitted_on: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_fields(self.usual, DOUBTS, "what is usual by a review rule")
        figures(list(self.usual.values()), (len(DOUBTS),), "what is usual by a review rule", _MOST)
        figures(self.cutoff, (), "the cut-off of a review rule", _MOST)
        if not 0 <= self.cutoff <= 1:
            raise ConfigError(f"the cut-off of a review rule is a probability, got {self.cutoff!r}")

    def risk(self, evidence: Mapping[str, Any] | pd.DataFrame) -> NDArray[np.float64]:
        """Return how probable it is that anything is wrong, (N,) float64 in [0, 1].

        The two errors are taken for independent: ``1 - (1 - p) (1 - q)``.

        Parameters
        ----------
        evidence : mapping of str to array
            As for `doubts_of`.
        """
        sound = (1 - self.wrong_class.probability(evidence)) * (1 - self.bad_mask.probability(evidence))
        return np.asarray(1 - sound, np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"version": _VERSION, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ReviewRule:
        """Build from what `to_dict` returned.

        Parameters
        ----------
        values : mapping
            Plain JSON types, not trusted.

        Raises
        ------
        ConfigError
            If the version is unknown, or something is missing, too much or out of range.
        """
        require_fields(values, ["version", *(one.name for one in fields(cls))], "a review rule")
        if values["version"] not in (1, _VERSION):
            raise ConfigError(f"review rule of version {values['version']!r}; this release reads 1 and {_VERSION}")
        if values["version"] == 1:
            values = _as_if_never_known(_NO_MORE, values)
        for name in ("wrong_class", "bad_mask"):
            require_fields(values[name], [one.name for one in fields(RiskScore)], "a risk score")
        wrong, bad = (RiskScore(**values[name]) for name in ("wrong_class", "bad_mask"))
        return cls(wrong, bad, values["cutoff"], values["usual"], values["fitted_on"])


def _as_if_never_known(names: tuple[str, ...], rule: Any) -> Any:
    """Leave doubts out, which is to judge as if they were not known of any cell."""
    if not isinstance(rule, Mapping):
        return rule
    return {key: _as_if_never_known(names, part) for key, part in rule.items() if key not in names}
