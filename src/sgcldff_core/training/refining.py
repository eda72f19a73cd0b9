"""Going on from a model that is good already: with few cells, quickly, and without forgetting."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.datasets.kinds import NOT_LEUKOCYTES, UNNAMED
from sgcldff_core.errors import ConfigError
from sgcldff_core.model import find_model
from sgcldff_core.sample import Raster
from sgcldff_core.training.config import AugmentationConfig, TrainingConfig
from sgcldff_core.training.memory import MEMORY

if TYPE_CHECKING:
    from sgcldff_core.model import Model
    from sgcldff_core.model.stain import StainTransform
    from sgcldff_core.sample import Sample

__all__ = ["fresh_settings", "in_stain_of", "named_classes", "refining_settings"]

_FIRM, _LOOSE = 200.0, 10.0  # anchors: of masks alone where cells are recalled, else of classes too
_REHEARSED, _REHEARSAL = 48, 0.4  # synthetic smears, and their share among the views
_VIEWS_PER_IMAGE, _FEWEST_VIEWS, _MOST_VIEWS = 5, 64, 640


def refining_settings(
    base: Model,
    start: str,
    classes: Sequence[str],
    images: int,
    *,
    train: str = "heads",
    epochs: int = 8,
    validation: float = 0.2,
    learning_rate: float | None = None,
    views: int = 0,
    anchor: float | None = None,
    rehearsal: float | None = None,
    seed: int = 0,
) -> TrainingConfig:
    """Return the settings of a run that goes on from a model.

    Classes that the model has not are added behind its own, and it keeps those that the new images
    do not show. The weights are anchored to the model's, so that it does not forget what they do
    not speak of.

    Parameters
    ----------
    base : Model
        To go on from.
    start : str
        Its name or folder.
    classes : sequence of str
        That the new images name, see `named_classes`.
    images : int
        How many there are, by which the views of an epoch are chosen.
    train : {"heads", "all"}
        Heads alone take a fraction of the time and forget less; all weights can learn more.
    epochs : int
        Passes.
    validation : float
        Share of images held out.
    learning_rate : float, optional
        At its highest; by default 3e-3 for heads alone, 4e-4 for all.
    views : int
        Of one epoch; 0 for five of each image, from 64 to 640.
    anchor : float
        See `TrainingConfig`; by default firm where cells are recalled and it holds the masks alone.
    rehearsal : float
        Share of synthetic smears among the views: they show the classes that the new images do not.
        By default none where the model remembers cells of its own that the heads can be shown, else 0.4.
    seed : int
        Of the draw.
    """
    heads = train == "heads"
    recalls = heads and (find_model(start) / MEMORY).is_file()
    anchor = (_FIRM if recalls else _LOOSE) if anchor is None else anchor
    if rehearsal is None:
        rehearsal = 0.0 if recalls else _REHEARSAL
    added = [name for name in classes if name not in base.config.classes]
    settings = TrainingConfig()
    # What says where the fused map should be active teaches heads alone nothing.
    loss = replace(settings.loss, alignment=0.0, suppression=0.0) if heads else settings.loss
    return replace(
        settings,
        epochs=epochs,
        views=views or min(max(_VIEWS_PER_IMAGE * images, _FEWEST_VIEWS), _MOST_VIEWS),
        start=start,
        learning_rate=learning_rate or (3e-3 if heads else 4e-4),
        weight_decay=0.0 if anchor else settings.weight_decay,
        anchor=anchor,
        saliency_warmup=0.0,
        ema=0.9,
        validation=validation,
        validate_every=1,
        temperature=base.temperature,
        workers=0,
        seed=seed,
        train=train,
        model=replace(base.config, classes=(*base.config.classes, *added)),
        loss=loss,
        synthetic_images=_REHEARSED if rehearsal else 0,
        augmentation=AugmentationConfig(scale=(0.8, 1.25), synthetic=rehearsal),
    )


def fresh_settings(
    start: str,
    classes: Sequence[str],
    images: int,
    *,
    epochs: int = 30,
    validation: float = 0.2,
    learning_rate: float | None = None,
    views: int = 0,
    seed: int = 0,
) -> TrainingConfig:
    """Return the settings of a run that starts from ImageNet weights or at random.

    Parameters
    ----------
    start : {"imagenet", "random"}
        Where the encoder's weights come from.
    classes, images, epochs, validation, learning_rate, views, seed
        As in `refining_settings`; the classes are all that the model will know.

    Raises
    ------
    ConfigError
        If there are fewer than two classes.
    """
    if len(classes) < 2:
        named = f"only {classes[0]!r} is" if classes else "no class is"
        raise ConfigError(
            f"a new model needs cells of at least two classes, and {named} named in the data; "
            "name the cells, or go on from an existing model"
        )
    settings = TrainingConfig()
    return replace(
        settings,
        epochs=epochs,
        views=views or min(max(_VIEWS_PER_IMAGE * images, _FEWEST_VIEWS), _MOST_VIEWS),
        start=start,
        learning_rate=learning_rate or settings.learning_rate,
        ema=0.98,
        validation=validation,
        workers=0,
        seed=seed,
        model=replace(settings.model, classes=tuple(classes), frozen_statistics=start == "imagenet"),
    )


def named_classes(samples: Iterable[Sample]) -> tuple[str, ...]:
    """Return every class that samples name, the taxonomy's first and in its order.

    Parameters
    ----------
    samples : iterable of Sample
        Cells, boxes, points and whole images may name classes.
    """
    from sgcldff_core.datasets.writing import in_order

    found: list[str] = []
    for sample in samples:
        found += (sample.classes or {}).values()
        found += [box.kind for box in sample.boxes or ()]
        found += [point.kind for point in sample.points or ()]
        found += [sample.image_class] if sample.image_class else []
    return in_order(name for name in found if name not in NOT_LEUKOCYTES and name != UNNAMED)


def in_stain_of(samples: Sequence[Sample], stain: StainTransform | None) -> list[Sample]:
    """Return samples whose images come in the stain that an adapted model knows.

    Parameters
    ----------
    samples : sequence of Sample
        As they are on disk.
    stain : StainTransform or None
        Of the model; None leaves everything as it is.
    """
    if stain is None:
        return list(samples)
    return [replace(s, image=Raster(partial(_restained, raster=s.image, stain=stain), s.image.path)) for s in samples]


def _restained(path: Any, raster: Raster, stain: StainTransform) -> NDArray[np.uint8]:
    shown: NDArray[np.uint8] = stain.apply(raster.read())
    return shown
