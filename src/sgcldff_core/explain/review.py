"""Which cells a person should look at, and why, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.model.review_rule import DOUBTS, doubts_of

if TYPE_CHECKING:
    import pandas as pd

    from sgcldff_core.explain.consistency import Agreement
    from sgcldff_core.model.review_rule import ReviewRule

__all__ = ["UNLIKE_THE_STAIN", "reasons_by_rule", "review_reasons"]

UNLIKE_THE_STAIN = "unlike the training stain"

# Set by hand, for models without a fitted rule; the last two lines count for those with one as well.
_LEAST_CONFIDENCE = 0.7
_LEAST_LEAD = 0.25  # of the first class over the second, in probability
_LEAST_ENERGY = 0.2
_LEAST_CONSISTENCY = 0.6
_LEAST_STABILITY = 0.85
_LEAST_NUCLEUS = 0.08  # share of the cell's area
_SMALLEST, _LARGEST = 0.5, 1.7  # diameters over that of a typical cell
_SMALLER, _LARGER = 0.8, 1.25  # in between, it is rather the typical cell that is not known well
_FAR = 6.0  # units of distance from the stains known: further than the cells of any laboratory measured

_LOOKS_AWAY, _INCONSISTENT, _UNSTABLE = "looks outside the cell", "explanation inconsistent", "mask unstable"
_NO_NUCLEUS, _AT_BORDER, _SHAPE = "no nucleus found", "touches the border", "unusual outline"
_SMALL, _LARGE, _SCALE = "unusually small", "unusually large, perhaps two cells", "scale uncertain"


def review_reasons(
    classes: Sequence[str],
    probabilities: NDArray[np.float32],
    agreement: Agreement,
    stability: NDArray[np.float32],
    consistency: NDArray[np.float32],
    relative_diameter: NDArray[np.floating],
    nucleus_share: NDArray[np.floating],
    at_border: NDArray[np.bool_],
) -> list[str]:
    """Say for each of N cells why a person should look at it.

    Parameters
    ----------
    classes : sequence of str
        Of the model.
    probabilities : ndarray
        (N, classes) float32, calibrated.
    agreement : Agreement
        Of class activation and outline.
    stability : ndarray
        (N,) float32 in [0, 1], of the outline when the image is mirrored.
    consistency : ndarray
        (N,) float32 in [0, 1], see `sgcldff_core.explain.consistency.saliency_consistency`.
    relative_diameter : ndarray
        (N,) float, equivalent diameter over that of a typical cell.
    nucleus_share : ndarray
        (N,) float in [0, 1], of the cell's area.
    at_border : ndarray
        (N,) bool, whether the image's border cuts the cell.

    Returns
    -------
    list of str
        Reasons joined by ``"; "``, the gravest first; empty where there is none.
    """
    found = []
    for i, p in enumerate(probabilities):
        second, first = np.argsort(p)[-2:]
        looks_away = agreement.energy[i] < _LEAST_ENERGY or not agreement.pointing[i]
        reasons = {
            f"two classes close: {classes[first]} or {classes[second]}": p[first] - p[second] < _LEAST_LEAD,
            "class uncertain": p[first] < _LEAST_CONFIDENCE and p[first] - p[second] >= _LEAST_LEAD,
            _LOOKS_AWAY: looks_away,
            _INCONSISTENT: consistency[i] < _LEAST_CONSISTENCY and not looks_away,
            _UNSTABLE: stability[i] < _LEAST_STABILITY,
            _NO_NUCLEUS: nucleus_share[i] < _LEAST_NUCLEUS,
            _SMALL: relative_diameter[i] < _SMALLEST and not at_border[i],
            _LARGE: relative_diameter[i] > _LARGEST,
            _AT_BORDER: at_border[i],
        }
        found.append("; ".join(reason for reason, holds in reasons.items() if holds))
    return found


def reasons_by_rule(
    rule: ReviewRule, classes: Sequence[str], probabilities: NDArray[np.float32], evidence: pd.DataFrame
) -> list[str]:
    """Say for each of N cells why a person should look at it, by a rule that was fitted to errors.

    A cell is to be looked at if its risk reaches the rule's cut-off, or if it is far from every
    stain known, has no nucleus, or is of no size that a cell has. Its reasons are what is unusual
    about it; if nothing by itself is, what adds most to its risk.

    Parameters
    ----------
    rule : ReviewRule
        Of the model.
    classes : sequence of str
        Of the model.
    probabilities : ndarray
        (N, classes) float32, calibrated.
    evidence : DataFrame
        (N, columns) from `sgcldff_core.explain.cell_evidence`.

    Returns
    -------
    list of str
        Reasons joined by ``"; "``, the gravest first; empty where there is none.
    """
    columns = {str(name): evidence[name].to_numpy(np.float64) for name in evidence}  # a table's own are slow to take
    risk, doubts = rule.risk(columns), doubts_of(columns)
    shares = [score.shares(columns) for score in (rule.wrong_class, rule.bad_mask)]
    added = {name: np.maximum(*(share[name] for share in shares)) for name in DOUBTS}
    found = []
    for i, (p, *values) in enumerate(zip(probabilities, *columns.values(), strict=True)):
        cell = dict(zip(columns, values, strict=True))
        grave = _grave(cell)
        if risk[i] < rule.cutoff and not grave:
            found.append("")
            continue
        words = _words(classes, p, cell)
        unusual = [name for name in DOUBTS if doubts[name][i] > rule.usual[name]]
        if not unusual and not grave:
            unusual = [max(DOUBTS, key=lambda name: float(added[name][i]))]
        named = {words[name] for name in unusual} | grave
        found.append("; ".join(reason for reason in _in_order(words, grave) if reason in named))
    return found


def _grave(cell: Mapping[str, float]) -> set[str]:
    """Return what asks for a look whatever the risk."""
    at_border = bool(cell["border"])
    facts = {
        UNLIKE_THE_STAIN: cell["stain"] > _FAR,
        _NO_NUCLEUS: cell["nucleus"] < _LEAST_NUCLEUS,
        _SMALL: cell["size"] < _SMALLEST and not at_border,
        _LARGE: cell["size"] > _LARGEST,
    }
    return {reason for reason, holds in facts.items() if holds}


def _words(classes: Sequence[str], probabilities: NDArray[np.float32], cell: Mapping[str, float]) -> dict[str, str]:
    """Return what to say of each doubt of a cell, the gravest first."""
    second, first = np.argsort(probabilities)[-2:]
    close = probabilities[first] - probabilities[second] < _LEAST_LEAD
    name = f"two classes close: {classes[first]} or {classes[second]}" if close else "class uncertain"
    small = _AT_BORDER if cell["border"] else _SMALL
    large = "unusually large" if cell["size"] <= _LARGEST else _LARGE
    size = small if cell["size"] < _SMALLER else large if cell["size"] > _LARGER else _SCALE
    return {
        **dict.fromkeys(("lead", "confidence", "entropy"), name),
        **dict.fromkeys(("energy", "pointing"), _LOOKS_AWAY),
        **dict.fromkeys(("overlap", "rank"), _INCONSISTENT),
        **dict.fromkeys(("stability", "firmness"), _UNSTABLE),
        "nucleus": _NO_NUCLEUS if cell["nucleus"] < _LEAST_NUCLEUS else "little nucleus",
        "size": size,
        "solidity": _SHAPE,
        "stain": UNLIKE_THE_STAIN,
        "border": _AT_BORDER,
    }


def _in_order(words: dict[str, str], grave: set[str]) -> list[str]:
    return list(dict.fromkeys([*words.values(), *sorted(grave)]))
