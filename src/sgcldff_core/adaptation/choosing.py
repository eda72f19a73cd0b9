"""Several ways to fit a model to a laboratory, and which of them to take, told without annotation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.adaptation.scoring import Look, UnsupervisedScore, look_at_all, score
from sgcldff_core.adaptation.stains import StainStatistics, macenko, reinhard, stain_statistics
from sgcldff_core.adaptation.statistics import (
    activation_moments,
    cell_windows,
    normalisation_layers,
    with_statistics,
)
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from sgcldff_core.model import Model
    from sgcldff_core.model.stain import StainTransform

__all__ = ["FEWEST_IMAGES", "FROZEN", "MOST_IMAGES", "Adaptation", "Candidate", "adapt", "known_stains"]

FEWEST_IMAGES = 3
"""Fewer images do not tell a laboratory from one odd slide."""

MOST_IMAGES = 50
"""More images take longer and tell nothing new."""

FROZEN = "frozen"
"""Name of the candidate that is the model as it came."""

_MARGIN = 0.004  # of the score, by which a candidate has to be better than the model as it came
_LARGEST_DRIFT = 0.01  # of the source's outlines, as an IoU, that statistics may cost
_WEIGHTS = (1.0, 0.5, 0.25)  # of the target's statistics, tried from the largest on

_Change = Callable[[StainStatistics, StainStatistics], "StainTransform"]
Say = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One way to fit a model, with how well it seems to do.

    Attributes
    ----------
    name : str
        Such as ``"frozen"``, ``"reinhard to zheng1"``, ``"statistics 0.5"``.
    model : Model
        The model so fitted.
    score : UnsupervisedScore
        On the images of the laboratory.
    drift : float or None
        How much its outlines differ from the source model's on images of the source, as one minus
        an IoU; None where it was not measured.
    rejected : str
        Why it may not be chosen; empty where it may.
    """

    name: str
    model: Model
    score: UnsupervisedScore
    drift: float | None = None
    rejected: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Adaptation:
    """What was tried and what was chosen.

    Attributes
    ----------
    candidates : tuple of Candidate
        `FROZEN` first.
    chosen : Candidate
        One of them.
    reason : str
        In words.
    """

    candidates: tuple[Candidate, ...]
    chosen: Candidate
    reason: str


def known_stains(model: Model) -> dict[str, StainStatistics]:
    """Return the stains that a model's description says it was trained on, by source.

    Raises
    ------
    ConfigError
        If the record is damaged.
    """
    record = model.training.get("stains", {})
    if not isinstance(record, Mapping):
        raise ConfigError(f"model {model.name}: the record of its stains cannot be read; give reference images")
    return {str(source): StainStatistics.from_dict(values) for source, values in record.items()}


def adapt(
    model: Model,
    images: Sequence[NDArray[np.uint8]],
    stains: Mapping[str, StainStatistics],
    reference: Sequence[NDArray[np.uint8]] = (),
    report: Say | None = None,
) -> Adaptation:
    """Try all ways to fit a model to a laboratory, and choose the one that seems best on its images.

    Parameters
    ----------
    model : Model
        Stays as it is; without a stain transform of its own.
    images : sequence of ndarray
        (H, W, 3) uint8 RGB each, at least `FEWEST_IMAGES`, annotated by nobody.
    stains : mapping of str to StainStatistics
        Stains that the model knows, by name; see `known_stains`.
    reference : sequence of ndarray, optional
        Images of the kind that the model was trained on, likewise without annotation. Without them
        batch statistics are left alone: nothing would say what moving them costs on the source.
    report : callable, optional
        Called with what is being tried, and the share of all that is done.

    Raises
    ------
    ConfigError
        If there are too few images, none shows a stain, or the model was adapted already.
    """
    if len(images) < FEWEST_IMAGES:
        raise ConfigError(f"{len(images)} images are too few to tell a stain; give {FEWEST_IMAGES} to {MOST_IMAGES}")
    if model.stain is not None:
        raise ConfigError(f"model {model.name} was adapted already; adapt the model that it came from")
    say = report or (lambda _what, _share: None)
    plans = len(_stain_ways(stains)) + 1 + (len(_WEIGHTS) if reference else 0)
    say(FROZEN, 0.0)
    looks = look_at_all(images, model)
    candidates = [Candidate(FROZEN, model, score(looks), drift=0.0)]
    if stains:
        found = stain_statistics(images, model.config.prior)
        for name, change, wanted in _stain_ways(stains):
            say(name, len(candidates) / plans)
            changed = replace(model, stain=change(found, wanted), sha256="")
            candidates.append(Candidate(name, changed, score(look_at_all(images, changed))))
    if reference and normalisation_layers(model.network):
        candidates += _with_moved_statistics(model, images, looks, reference, say, len(candidates) / plans)
    return _choose(candidates)


def _stain_ways(stains: Mapping[str, StainStatistics]) -> list[tuple[str, _Change, StainStatistics]]:
    ways: dict[str, _Change] = {"macenko": macenko, "reinhard": reinhard}
    return [(f"{way} to {name}", change, wanted) for name, wanted in stains.items() for way, change in ways.items()]


def _with_moved_statistics(
    model: Model,
    images: Sequence[NDArray[np.uint8]],
    looks: Sequence[Look],
    reference: Sequence[NDArray[np.uint8]],
    say: Say,
    done: float,
) -> list[Candidate]:
    """Move statistics as far as the source allows: less far where outlines on its images change."""
    fill = model.network.mean
    before = look_at_all(reference, model)
    moments = activation_moments(model.network, cell_windows([look.view for look in before], fill))
    target = cell_windows([look.view for look in looks], fill)
    tried = []
    for number, weight in enumerate(_WEIGHTS):
        name = f"statistics {weight:g}"
        say(name, done + number * (1 - done) / len(_WEIGHTS))
        network = with_statistics(model.network, target, weight, moments)
        changed = replace(model, network=network, sha256="")
        drift = _drift(before, look_at_all(reference, changed))
        rejected = f"changes outlines on the source by {100 * drift:.1f} points" if drift > _LARGEST_DRIFT else ""
        tried.append(Candidate(name, changed, score(look_at_all(images, changed)), drift, rejected))
        if not rejected:
            break  # a smaller step would do less on the target and need not be asked
    return tried


def _drift(before: Sequence[Look], after: Sequence[Look]) -> float:
    shares = []
    for one, other in zip(before, after, strict=True):
        union = np.count_nonzero(one.cells | other.cells)
        shares.append(np.count_nonzero(one.cells & other.cells) / union if union else 1.0)
    return 1 - float(np.mean(shares))


def _choose(candidates: Sequence[Candidate]) -> Adaptation:
    frozen = candidates[0]
    allowed = [candidate for candidate in candidates if not candidate.rejected]
    best = max(allowed, key=lambda candidate: candidate.score.total)
    gain = best.score.total - frozen.score.total
    if best is frozen or gain < _MARGIN:
        reason = f"nothing is better than the model as it came by {_MARGIN:g} of the score or more"
        return Adaptation(tuple(candidates), frozen, reason)
    return Adaptation(tuple(candidates), best, f"its score is {gain:.3f} above that of the model as it came")
