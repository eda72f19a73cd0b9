"""From folders on disk to what a run needs: samples split, brought to one scale, and their origin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sgcldff_core.datasets import open_dataset
from sgcldff_core.errors import ConfigError, DataError
from sgcldff_core.smear import make_samples
from sgcldff_core.training.prepared import PreparedSample, prepare, typical_diameters
from sgcldff_core.training.pseudo_boxes import outline_boxes
from sgcldff_core.training.split import split_samples, without_copies

if TYPE_CHECKING:
    from pathlib import Path

    from sgcldff_core.sample import Sample
    from sgcldff_core.training.config import TrainingConfig
    from sgcldff_core.training.prepared import Watch

__all__ = ["TrainingData", "gather", "prepare_split", "read_annotated"]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """All that a run learns from.

    Attributes
    ----------
    training, validation : list of PreparedSample
        Synthetic smears, where asked for, are in `training` only.
    failures : list of DataError
        Images that could not be used.
    provenance : dict
        Sources, counts, typical diameters and the groups held out, for the model's description.
    """

    training: list[PreparedSample]
    validation: list[PreparedSample]
    failures: list[DataError]
    provenance: dict[str, Any]


def gather(paths: Sequence[Path | str], config: TrainingConfig, samples: Iterable[Sample] = ()) -> TrainingData:
    """Read data sets, hold out a validation split, and bring all images to one scale.

    Parameters
    ----------
    paths : sequence of Path or str
        Data sets of any format; may be empty where `samples` are given.
    config : TrainingConfig
        Classes, scale, share held out, seed, synthetic images.
    samples : iterable of Sample, optional
        More samples, such as open layers.

    Returns
    -------
    TrainingData
        With at least one training image.

    Raises
    ------
    DataError
        If a path is no data set.
    ConfigError
        If there is too little to learn from, or cells have classes of which the model has none.
    """
    everything, failures = read_annotated(paths, samples)
    training, validation = split_samples(everything, config.validation, config.seed)
    data = prepare_split(training, validation, config)
    return replace(data, failures=failures + data.failures)


def read_annotated(paths: Sequence[Path | str], samples: Iterable[Sample] = ()) -> tuple[list[Sample], list[DataError]]:
    """Read data sets and leave out copies of what others show.

    Parameters
    ----------
    paths : sequence of Path or str
        Data sets in any format that `open_dataset` reads.
    samples : iterable of Sample, optional
        Further samples, such as of layers in a viewer.

    Returns
    -------
    samples : list of Sample
        Images are not read yet.
    failures : list of DataError
        Files that could not be used.

    Raises
    ------
    DataError
        If a path is no data set.
    ConfigError
        If nothing is annotated.
    """
    datasets = [open_dataset(path) for path in paths]
    everything = without_copies([*(s for dataset in datasets for s in dataset), *samples])
    failures = [DataError(p.path, p.problem) for dataset in datasets for p in dataset.report if p.unusable]
    if not any(s.labels is not None or s.boxes or s.points or s.image_class for s in everything):
        raise ConfigError(
            "nothing to learn from: none of the images has masks, boxes, points or classes; "
            "annotate some, or check the folder with 'sgcldff datasets inspect'"
        )
    return everything, failures


def prepare_split(
    training: Sequence[Sample],
    validation: Sequence[Sample],
    config: TrainingConfig,
    watch: Watch | None = None,
) -> TrainingData:
    """Bring images to one scale, and draw the synthetic ones that the settings ask for.

    Parameters
    ----------
    training, validation : sequence of Sample
        Scales are those of the sources in `training`; a source that is held out as a whole has its own.
    config : TrainingConfig
        Classes, scale, seed, synthetic images.
    watch : callable, optional
        Called before each image; may raise `CancelledError`.

    Raises
    ------
    ConfigError
        If cells have classes of which the model has none.
    """
    failures: list[DataError] = []
    sources = {s.source for s in training}
    diameters = typical_diameters([*training, *(s for s in validation if s.source not in sources)], watch)
    if config.outline_boxes:
        training, failures = outline_boxes(training)

    def bring(chosen: Sequence[Sample], diameters: Mapping[str, float]) -> list[PreparedSample]:
        model = config.model
        prepared, failed = prepare(chosen, model.classes, model.canonical_diameter, diameters, model.prior, watch)
        failures.extend(failed)
        return prepared

    learned, held = bring(training, diameters), bring(validation, diameters)
    named = {c for s in training for c in (*(s.classes or {}).values(), s.image_class) if c}
    if named and not named & set(config.model.classes):
        raise ConfigError(
            f"cells are named {', '.join(sorted(named))}, and the model knows {', '.join(config.model.classes)}; "
            "name the classes under [model] in the settings"
        )
    provenance = {
        "images": dict(Counter(s.source for s in learned)),
        "validation_images": dict(Counter(s.source for s in held)),
        "validation_groups": sorted({s.group for s in held}),
        "typical_diameters_px": diameters,
        "synthetic_images": config.synthetic_images,
    }
    # Synthetic smears are drawn at any magnification: each has a scale of its own.
    for drawn in make_samples(config.synthetic_images, config.seed):
        learned += bring([drawn], typical_diameters([drawn]))
    return TrainingData(learned, held, failures, provenance)
