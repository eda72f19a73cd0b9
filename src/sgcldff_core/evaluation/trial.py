"""One trial: a network that learned from some images, judged on others, and kept on disk."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgcldff_core.errors import DataError, FormatError
from sgcldff_core.evaluation.assessment import ImageAssessment, JudgedCell, assess
from sgcldff_core.files import write_json
from sgcldff_core.model import load_model
from sgcldff_core.training import prepare_split, split_samples, train

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample
    from sgcldff_core.training import TrainingConfig

__all__ = [
    "JUDGED",
    "Trial",
    "judge_each",
    "read_trial",
    "run_trial",
    "unexpected_images",
    "write_trial",
]

JUDGED = "judged.json"
"""File in a trial's folder with how each image came out; its presence says that the trial is done."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How the images of a trial came out.

    Attributes
    ----------
    folder : Path
        Holds the model and `JUDGED`.
    images : tuple of ImageAssessment
        Each judged image.
    failures : tuple of str
        Images that could not be used, and why.
    """

    folder: Path
    images: tuple[ImageAssessment, ...]
    failures: tuple[str, ...] = ()


def run_trial(
    training: Sequence[Sample],
    judged: Sequence[Sample],
    config: TrainingConfig,
    folder: Path | str,
    *,
    diameter: float | None = None,
    flips: bool = False,
    report: Callable[[str, float], None] | None = None,
) -> Trial:
    """Train on some images and judge on others; what is done already is not done again.

    The best epoch and the calibration are chosen on a share of `training` that is held out from
    learning. Judged images choose nothing.

    Parameters
    ----------
    training, judged : sequence of Sample
        No group may be in both.
    config : TrainingConfig
        How to train.
    folder : Path or str
        Of this trial: the run, which goes on from its checkpoint after a kill, and its figures.
    diameter : float, optional
        Of a typical cell in px; estimated for each image by default.
    flips : bool
        Test-time augmentation when judging.
    report : callable, optional
        Called with what is being done and the share of it that is done.

    Returns
    -------
    Trial
        Of the judged images.
    """
    folder = Path(folder)
    if (folder / JUDGED).is_file():
        return read_trial(folder)
    say = report or (lambda _what, _share: None)
    # What a data set publishes as its validation split is for one training; here folds rule.
    learned, held = split_samples([replace(s, split=None) for s in training], config.validation, config.seed)
    data = prepare_split(learned, held, config)
    failures = [str(f) for f in data.failures]
    for at in train(data.training, data.validation, config, folder, resume=True, provenance=data.provenance):
        say("training", at.step / at.steps)
    model = load_model(str(folder))
    images, unusable = judge_each(judged, lambda s: assess([s], model, diameter=diameter, flips=flips)[0], say)
    trial = Trial(folder, tuple(images), (*failures, *unusable))
    write_trial(trial)
    return trial


def judge_each(
    samples: Sequence[Sample],
    assess_one: Callable[[Sample], ImageAssessment],
    say: Callable[[str, float], None],
) -> tuple[list[ImageAssessment], list[str]]:
    """Judge one image after the other, and go on past those that cannot be used.

    Parameters
    ----------
    samples : sequence of Sample
        To be judged.
    assess_one : callable
        Predicts and judges one of them.
    say : callable
        Called with ``"judging"`` and the share that is done.

    Returns
    -------
    images : list of ImageAssessment
        Of the samples that could be used.
    failures : list of str
        The others, and why.
    """
    images, failures = [], []
    for number, sample in enumerate(samples):
        say("judging", number / len(samples))
        try:
            images.append(assess_one(sample))
        except DataError as error:
            failures.append(str(error))
    return images, failures


def unexpected_images(trial: Trial, judged: Sequence[Sample]) -> list[str]:
    """Return the names of images that a trial judged and that are not among those that it should.

    Parameters
    ----------
    trial : Trial
        A finished trial.
    judged : sequence of Sample
        What it should have judged.
    """
    strange = {(i.source, i.name) for i in trial.images} - {(s.source, s.name) for s in judged}
    return [name for _, name in sorted(strange)]


def read_trial(folder: Path | str) -> Trial:
    """Read what a finished trial left.

    Parameters
    ----------
    folder : Path or str
        The trial's folder.

    Raises
    ------
    FormatError
        If there is none, or it is damaged.
    """
    path = Path(folder) / JUDGED
    if not path.is_file():
        remedy = "give the folder of a finished trial, such as seed0/fold0 of what 'sgcldff crossval' wrote"
        raise FormatError(folder, f"holds no {JUDGED}", remedy)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        images = tuple(_image(i) for i in content["images"])
        return Trial(Path(folder), images, tuple(content["failures"]))
    except (ValueError, KeyError, TypeError) as broken:
        raise FormatError(path, f"holds no finished trial ({broken})", "delete it, and run the trial again") from broken


def write_trial(trial: Trial) -> None:
    """Leave how the images came out in the trial's folder, which says that the trial is done.

    Parameters
    ----------
    trial : Trial
        With its folder, which exists.
    """
    content = {"images": [asdict(i) for i in trial.images], "failures": list(trial.failures)}
    write_json(trial.folder / JUDGED, content)


def _image(values: dict[str, Any]) -> ImageAssessment:
    classes = tuple(JudgedCell(**cell) for cell in values["classes"])
    boxes = None if values["boxes"] is None else tuple(values["boxes"])
    return ImageAssessment(**values | {"classes": classes, "boxes": boxes})
