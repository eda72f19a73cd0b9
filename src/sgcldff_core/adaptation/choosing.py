"""Several ways to fit a model to a laboratory, and which of them to take, told without annotation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.adaptation.names import drawn_smears, keep_names
from sgcldff_core.adaptation.scoring import UnsupervisedScore, agreement, look_at_all, score
from sgcldff_core.adaptation.self_training import SelfTraining, between, self_train
from sgcldff_core.adaptation.stains import StainStatistics, macenko, reinhard, stain_statistics
from sgcldff_core.adaptation.statistics import (
    activation_moments,
    cell_windows,
    normalisation_layers,
    with_statistics,
)
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from sgcldff_core.adaptation.scoring import Look
    from sgcldff_core.model import Model
    from sgcldff_core.model.stain import StainTransform

__all__ = ["FEWEST_IMAGES", "FROZEN", "MOST_IMAGES", "Adaptation", "Candidate", "adapt", "choose", "known_stains"]

FEWEST_IMAGES = 3
"""Fewer images do not tell a laboratory from one odd slide."""

MOST_IMAGES = 50
"""More images take longer and tell nothing new."""

FROZEN = "frozen"
"""Name of the candidate that is the model as it came."""

_MARGIN = 0.004  # of the score, by which a candidate has to be better than the model as it came
_LARGEST_COST = 0.1  # of the outlines on images of the source; below it, a change may be a loss or a gain
_LEAST_SALIENT = 0.1  # below the model as it came: less is no better outline, but another thing that is outlined
_WEIGHTS = (1.0, 0.5, 0.25)  # of the target's statistics, and of a student: from the largest on
_LEARNING = SelfTraining()
_ROUNDS = 2  # of self-training: the first student outlines what its teacher did not find

_WAYS: dict[str, Callable[[StainStatistics, StainStatistics], StainTransform]] = {
    "macenko": macenko,
    "reinhard": reinhard,
}


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One way to fit a model, with how well it seems to do.

    Attributes
    ----------
    name : str
        Such as ``"frozen"``, ``"reinhard to zheng1"``, ``"statistics 0.5"``, ``"self-training"``.
    model : Model
        The model so fitted.
    score : UnsupervisedScore
        On the images of the laboratory.
    cost : float or None
        1 - IoU of its outlines on images of the source with those of the model as it came, which
        knows these; None where there are no such images.
    rejected : str
        Why it may not be chosen; empty where it may.
    """

    name: str
    model: Model
    score: UnsupervisedScore
    cost: float | None = None
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

    Parameters
    ----------
    model : Model
        A trained model. Its stains stand in ``training["stains"]`` of its description.

    Returns
    -------
    dict of str to StainStatistics
        By name of the data set; empty for a model that noted none.

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
    *,
    learning: SelfTraining | None = _LEARNING,
    report: Callable[[str], None] | None = None,
) -> Adaptation:
    """Try all ways to fit a model to a laboratory, and choose the one that seems best on its images.

    Changes of colour come first, each to every stain that the model knows; they leave images of
    these stains alone. Then the network itself is changed: its batch statistics, and its weights by
    self-training from the best of all that. Both may cost something on the source, so they are
    tried only where images of the source can tell how much.

    Parameters
    ----------
    model : Model
        Stays as it is; without a stain transform of its own.
    images : sequence of ndarray
        (H, W, 3) uint8 RGB each, at least `FEWEST_IMAGES`, annotated by nobody.
    stains : mapping of str to StainStatistics
        Stains that the model knows, by name; see `known_stains`.
    reference : sequence of ndarray, optional
        Images of the kind that the model was trained on, likewise without annotation.
    learning : SelfTraining, optional
        How to train on what the model is sure of, which takes minutes; None for not at all.
    report : callable, optional
        Called with what is being tried.

    Raises
    ------
    ConfigError
        If there are too few images, none shows a stain, or the model was adapted already.
    """
    if len(images) < FEWEST_IMAGES:
        few = "1 image is" if len(images) == 1 else f"{len(images)} images are"
        raise ConfigError(f"{few} too few to tell a stain; give {FEWEST_IMAGES} or more, better 5 to {MOST_IMAGES}")
    if model.stain is not None:
        raise ConfigError(f"model {model.name} was adapted already; adapt the model that it came from")
    trial = _Trial(model, images, reference, report or (lambda _what: None))
    if stains:
        trial.change_colours(stains)
    if reference and normalisation_layers(model.network):
        trial.move_statistics()
    if reference and learning is not None:
        trial.train_on_sure_cells(learning)
    return choose(trial.candidates)


def choose(candidates: Sequence[Candidate]) -> Adaptation:
    """Take the best candidate that may be taken, or the first where none is clearly better.

    Parameters
    ----------
    candidates : sequence of Candidate
        The model as it came first.
    """
    frozen, best = candidates[0], _best(candidates)
    gain = best.score.total - frozen.score.total
    if best is frozen or gain < _MARGIN:
        reason = f"nothing is better than the model as it came by {_MARGIN:g} of the score or more"
        return Adaptation(tuple(candidates), frozen, reason)
    return Adaptation(tuple(candidates), best, f"its score is {gain:.3f} above that of the model as it came")


def _best(candidates: Sequence[Candidate]) -> Candidate:
    return max((c for c in candidates if not c.rejected), key=lambda candidate: candidate.score.total)


class _Trial:
    """All that was tried with one laboratory; each method tries one kind of change."""

    def __init__(
        self,
        model: Model,
        images: Sequence[NDArray[np.uint8]],
        reference: Sequence[NDArray[np.uint8]],
        say: Callable[[str], None],
    ) -> None:
        self.model, self.images, self.reference, self.say = model, images, reference, say
        say(FROZEN)
        self.looks = {FROZEN: look_at_all(images, model)}
        self.before = look_at_all(reference, model) if reference else []
        self.candidates = [Candidate(FROZEN, model, score(self.looks[FROZEN]), 0.0 if reference else None)]

    @cached_property
    def drawn(self) -> list[Look]:
        """How the model sees synthetic smears; drawn when a network is first changed."""
        return look_at_all(drawn_smears(), self.model)

    def change_colours(self, stains: Mapping[str, StainStatistics]) -> None:
        found = stain_statistics(self.images, self.model.config.prior)
        own = tuple(tuple(row) for wanted in stains.values() for row in wanted.palettes.tolist())
        for name, wanted in stains.items():
            for way, change in _WAYS.items():
                transform = replace(change(found, wanted), own=own)
                self._try(f"{way} to {name}", replace(self.model, stain=transform, sha256=""))

    def move_statistics(self) -> None:
        fill = self.model.network.mean
        moments = activation_moments(self.model.network, cell_windows([look.view for look in self.before], fill))
        # After the best change of colours too: what a linear map cannot undo is left for them.
        for start in dict.fromkeys((self.candidates[0], _best(self.candidates))):
            target = cell_windows([look.view for look in self.looks[start.name]], fill)
            after = "" if start.name == FROZEN else f" after {start.name}"
            for weight in _WEIGHTS:
                network = with_statistics(self.model.network, target, weight, moments)
                changed = self._named_as_before(replace(start.model, network=network, sha256=""), start)
                if self._try(f"statistics {weight:g}{after}", changed):
                    break  # a smaller step would do less on the target and need not be asked

    def train_on_sure_cells(self, learning: SelfTraining) -> None:
        teacher = _best(self.candidates)
        known = list(zip(self.reference, self.before, strict=True))
        student, looks = teacher.model, self.looks[teacher.name]
        for number in range(_ROUNDS):
            self.say(f"self-training {number + 1} of {_ROUNDS}")
            try:
                student = self_train(student, list(zip(self.images, looks, strict=True)), known, learning)
            except ConfigError:
                return  # nothing is sure: there is nothing to learn from
            looks = look_at_all(self.images, student) if number + 1 < _ROUNDS else []
        for weight in _WEIGHTS:
            network = between(teacher.model.network, student.network, weight)
            name = f"self-training {weight:g} from {teacher.name}"
            changed = self._named_as_before(replace(student, network=network, sha256=""), teacher)
            if self._try(name, changed, teacher.score):
                break

    def _named_as_before(self, changed: Model, start: Candidate) -> Model:
        """Let a changed network name the cells of all images as the one did that it came from."""
        own = (start.model.network, self.looks[start.name])
        return keep_names(changed, [own, (self.model.network, [*self.before, *self.drawn])])

    def _try(self, name: str, changed: Model, teacher: UnsupervisedScore | None = None) -> bool:
        """Score a candidate on the laboratory and on the source; tell whether it may be chosen."""
        self.say(name)
        self.looks[name] = look_at_all(self.images, changed)
        signs, cost = score(self.looks[name]), self._cost(changed)
        if teacher is not None:  # a student was taught to be sure: that it is says nothing for it
            signs = replace(signs, sure=min(signs.sure, teacher.sure))
        rejected = ""
        if cost is not None and cost > _LARGEST_COST:
            rejected = f"outlines {cost:.1%} otherwise on the source"
        elif signs.salient < self.candidates[0].score.salient - _LEAST_SALIENT:
            rejected = "leaves what is salient"
        self.candidates.append(Candidate(name, changed, signs, cost, rejected))
        return not rejected

    def _cost(self, changed: Model) -> float | None:
        if not self.reference:
            return None
        same_weights = changed.network is self.model.network
        if same_weights and changed.stain and not any(map(changed.stain.concerns, self.reference)):
            return 0.0  # what is looked at in the same way is seen in the same way
        return 1 - agreement(self.before, look_at_all(self.reference, changed))
