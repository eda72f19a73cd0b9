"""Side by side with what a user would pick instead: same images, folds, augmentation and budget."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgcldff_core.errors import ConfigError
from sgcldff_core.evaluation.assessment import assess_prediction
from sgcldff_core.evaluation.baselines import FROM_IMAGENET
from sgcldff_core.evaluation.classical import fit_classical
from sgcldff_core.evaluation.run_settings import changed_settings
from sgcldff_core.evaluation.trial import (
    JUDGED,
    Trial,
    judge_each,
    read_trial,
    run_trial,
    unexpected_images,
    write_trial,
)
from sgcldff_core.model.checkpoint import describe

if TYPE_CHECKING:
    from sgcldff_core.evaluation.ablation_plan import Part
    from sgcldff_core.training import TrainingConfig

__all__ = [
    "CLASSICAL",
    "METHODS",
    "OURS",
    "SMALL",
    "Method",
    "finished_trial",
    "method_config",
    "run_method",
    "trials_of",
]

OURS, SMALL, CLASSICAL = "sgcldff", "sgcldff-small", "classical"


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the comparison.

    Attributes
    ----------
    title : str
        In tables.
    explanation : str
        What it is, and where its recipe departs from ours.
    """

    title: str
    explanation: str


_SAME = "Its loss has no saliency terms, and it does not see the prior; all else is our recipe"

METHODS: Mapping[str, Method] = {
    OURS: Method("SG-CLDFF", "Ours, with the recipe as given."),
    SMALL: Method(
        "SG-CLDFF small", "Ours for live use: the backbone ends at stride 16, cells are looked at 0.8 times as large."
    ),
    "unet-resnet34": Method("U-Net, ResNet-34", f"From random weights, with batch statistics learned. {_SAME}."),
    "deeplabv3plus-mobilenetv2": Method(
        "DeepLabV3+, MobileNetV2", f"From random weights, with batch statistics learned. {_SAME}."
    ),
    "unet-efficientnet-lite0": Method("U-Net, EfficientNet-Lite0", f"From the same ImageNet weights as ours. {_SAME}."),
    "swin-tiny": Method(
        "Swin-T, FPN",
        f"From random weights, at a quarter of the learning rate, lower as is usual for attention. {_SAME}.",
    ),
    CLASSICAL: Method(
        "Otsu, watershed, random forest", "No network: scikit-image and scikit-learn, fitted on the same images."
    ),
}
"""All methods by name, ours first."""

_SWIN_RATE = 0.25


def method_config(method: str, recipe: TrainingConfig) -> TrainingConfig | None:
    """Return how a method is trained.

    Parameters
    ----------
    method : str
        A key of `METHODS`.
    recipe : TrainingConfig
        Ours.

    Returns
    -------
    TrainingConfig or None
        None for the classical pipeline.

    Raises
    ------
    ConfigError
        If there is no such method, or the recipe is not of our architecture or starts from a model,
        which no baseline could do.
    """
    if method not in METHODS:
        raise ConfigError(f"unknown method {method!r}; known are {', '.join(METHODS)}")
    if recipe.start not in ("imagenet", "random"):
        raise ConfigError(f"the recipe starts from {recipe.start}; to compare, start from 'imagenet' or 'random'")
    if recipe.model.architecture != OURS:
        raise ConfigError(
            f"the recipe is of architecture {recipe.model.architecture}; it is to be that of ours, {OURS}"
        )
    if method == CLASSICAL:
        return None
    if method == OURS:
        return recipe
    model = recipe.model
    if method == SMALL:
        width = max(8, 3 * model.width // 4 // 8 * 8)
        diameter = 0.8 * model.canonical_diameter
        return replace(
            recipe, model=replace(model, deepest=16, canonical_diameter=diameter, width=width, cardinality=width // 2)
        )
    imagenet = method in FROM_IMAGENET and recipe.start == "imagenet"
    return replace(
        recipe,
        start="imagenet" if imagenet else "random",
        learning_rate=recipe.learning_rate * (_SWIN_RATE if method == "swin-tiny" else 1),
        loss=replace(recipe.loss, alignment=0.0, suppression=0.0, cam=0.0),
        model=replace(
            model,
            architecture=method,
            prior_channel=False,
            gating=False,
            prior_vote=False,
            frozen_statistics=imagenet and model.frozen_statistics,
        ),
    )


def run_method(
    method: str,
    part: Part,
    recipe: TrainingConfig,
    out: Path,
    *,
    report: Callable[[str, float], None] | None = None,
) -> Trial:
    """Train one method on one part and judge it; what is done already is not done again.

    Parameters
    ----------
    method : str
        A key of `METHODS`.
    part : Part
        Images to learn from and to judge.
    recipe : TrainingConfig
        Ours.
    out : Path
        The comparison's folder; the trial is in ``<method>/<part>``.
    report : callable, optional
        Called with what is being done and the share of it that is done.

    Raises
    ------
    ConfigError
        If there is no such method, or the folder holds a trial of other settings or images.
    """
    config = method_config(method, recipe)
    done = finished_trial(method, part, recipe, out)
    if done is not None:
        return done
    folder = out / method / part.name
    if config is not None:
        return run_trial(part.learned, part.judged, config, folder, report=report)
    return _run_classical(part, recipe, folder, report or (lambda _what, _share: None))


def finished_trial(method: str, part: Part, recipe: TrainingConfig, out: Path) -> Trial | None:
    """Return a trial that is done, or None.

    Parameters
    ----------
    method : str
        A key of `METHODS`.
    part : Part
        What it learned from and what it judged.
    recipe : TrainingConfig
        The settings that all methods share.
    out : Path
        The comparison's folder.

    Raises
    ------
    ConfigError
        If it was trained with other settings, or judged other images.
    """
    folder = out / method / part.name
    if not (folder / JUDGED).is_file():
        return None
    config, trial = method_config(method, recipe), read_trial(folder)
    if config is not None:
        wanted = _comparable(config.to_dict())
        then = _comparable(dict(describe(folder)["training"].get("settings", {})))
        changed = changed_settings(then, wanted)
        if changed:
            raise ConfigError(
                f"{folder} holds a network trained with another {', '.join(changed)}; choose another --out"
            )
    strange = unexpected_images(trial, part.judged)
    if strange:
        raise ConfigError(
            f"{folder} judged {len(strange)} images that are not to be judged now, such as {strange[0]}; "
            "give the same data and folds, or choose another --out"
        )
    return trial


def _comparable(settings: dict[str, Any]) -> dict[str, Any]:
    # How many processes draw views does not matter, and may differ between machines.
    plain: dict[str, Any] = json.loads(json.dumps({k: v for k, v in settings.items() if k != "workers"}))
    return plain


def _run_classical(part: Part, recipe: TrainingConfig, folder: Path, say: Callable[[str, float], None]) -> Trial:
    pipeline = fit_classical(
        part.learned, recipe.model.classes, seed=recipe.seed, report=lambda share: say("training", share)
    )
    images, unusable = judge_each(
        part.judged, lambda s: assess_prediction(s, pipeline.predict(s.read_image(), s.name)), say
    )
    trial = Trial(folder, tuple(images), (*pipeline.failures, *unusable))
    write_trial(trial)
    return trial


def trials_of(method: str, parts: Sequence[Part], recipe: TrainingConfig, out: Path) -> list[Trial]:
    """Return those trials of a method that are done, in the order of `parts`.

    Parameters
    ----------
    method : str
        A key of `METHODS`.
    parts : sequence of Part
        What each trial learned from and judged.
    recipe : TrainingConfig
        The settings that all methods share.
    out : Path
        The comparison's folder.
    """
    return [t for part in parts if (t := finished_trial(method, part, recipe, out)) is not None]
