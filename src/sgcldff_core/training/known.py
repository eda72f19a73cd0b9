"""What a model learned from, as figures that are kept with it: the stains of cells, and the looks of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from sgcldff_core.errors import ConfigError
from sgcldff_core.model.known_smears import KnownSmears, focus, image_look
from sgcldff_core.model.known_stains import COLOURS, KnownStain, KnownStains, cell_colours

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample

__all__ = ["Seen", "field_parts", "fit_known_smears", "fit_known_stains", "measure"]

_AIM = 1.15  # diameter at which prediction looks, over that of the cells: see inference.scale
_FOLDS = 5
_INSIDE_STAIN = 0.99
_OFF, _REACH = 0.95, 2.0  # a limit for looks is twice as far from the middle as what 19 of 20 stay within
_LEAST_REACH = 0.1  # images that are all alike still leave room
_ENOUGH = 2 * len(COLOURS)  # cells or images, to estimate a covariance from
_SHRUNK = 0.5  # share of correlation that is taken for chance: laboratories to come will differ more
_FLOOR = 0.05  # spread of any figure of a look, at least

_Rows = dict[str, NDArray[np.float64]]  # of each source


class Seen:
    """Colours and looks of annotated images, source by source.

    Attributes
    ----------
    colours : dict of str to list of ndarray
        For each source, (9,) of each cell with an outline and a nucleus.
    looks : dict of str to list of ndarray
        For each source, (10,) of each image whose scale is known, and of a part of it without any
        leukocyte where there is one.
    """

    def __init__(self) -> None:
        self.colours: dict[str, list[NDArray[np.float64]]] = {}
        self.looks: dict[str, list[NDArray[np.float64]]] = {}


def measure(samples: Sequence[Sample], report: Callable[[int, int], None] | None = None) -> Seen:
    """Measure the colours of outlined cells and the looks of their images.

    Parameters
    ----------
    samples : sequence of Sample
        Those that tell neither outlines nor boxes are passed over.
    report : callable, optional
        Called with samples done and in all.
    """
    seen = Seen()
    for number, sample in enumerate(samples):
        if report is not None:
            report(number, len(samples))
        labels, nucleus = sample.read_labels(), sample.read_nucleus()
        for image, diameter, whole in field_parts(sample):
            seen.looks.setdefault(sample.source, []).append(image_look(image, diameter))
            if whole and labels is not None and nucleus is not None:
                numbered = np.searchsorted(np.unique(labels[labels > 0]), labels, side="right").astype(np.int32)
                seen.colours.setdefault(sample.source, []).extend(cell_colours(image, numbered, nucleus))
    return seen


def field_parts(sample: Sample) -> Iterator[tuple[NDArray[np.uint8], float, bool]]:
    """Yield an image whose leukocytes are outlined, and a part of it without any where there is one.

    Parameters
    ----------
    sample : Sample
        One without outlines yields nothing.

    Yields
    ------
    image : ndarray
        (h, w, 3) uint8 RGB.
    diameter : float
        At which prediction would look at it, px.
    whole : bool
        Whether it is the whole image.
    """
    labels = sample.read_labels()
    if labels is None or not labels.any():
        return
    area = np.bincount(labels.ravel())[1:]
    diameter = _AIM * float(np.median(np.sqrt(4 / np.pi * area[area > 0])))
    image = sample.read_image()
    yield image, diameter, True
    for part in _without_cells(image, labels, diameter):
        yield part, diameter, False


def fit_known_stains(seen: Seen) -> KnownStains:
    """Describe the stain of each source that has enough cells.

    Parameters
    ----------
    seen : Seen
        Of the images that the model learned from.

    Raises
    ------
    ConfigError
        If no source has enough cells with outlines and nuclei.

    References
    ----------
    Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, Journal
    of Multivariate Analysis 88 (2004). Lee et al., A simple unified framework for detecting
    out-of-distribution samples, NeurIPS 2018 (Mahalanobis distance from the nearest class).
    """
    known = {name: np.array(rows) for name, rows in sorted(seen.colours.items()) if len(rows) >= _ENOUGH}
    if not known:
        raise ConfigError(f"no source has {_ENOUGH} cells with outlines and nuclei, so no stain can be described")
    apart: list[NDArray[np.float64]] = []
    for others, held_out in _folds(known):
        stains = KnownStains(tuple(_stain(name, x) for name, x in others.items()), 1.0)
        apart.extend(stains.distance(x) for x in held_out)
    unit = float(np.quantile(np.concatenate(apart), _INSIDE_STAIN))
    return KnownStains(tuple(_stain(name, x) for name, x in known.items()), unit)


def fit_known_smears(seen: Seen) -> KnownSmears:
    """Describe how smears look; every source weighs as much, however many images it has.

    Parameters
    ----------
    seen : Seen
        Of the images that the model learned from.

    Raises
    ------
    ConfigError
        If there are too few images.
    """
    known = {name: np.array(rows) for name, rows in sorted(seen.looks.items()) if len(rows) >= _FOLDS}
    if sum(map(len, known.values())) < _ENOUGH:
        raise ConfigError(f"fewer than {_ENOUGH} images tell the size of their cells, so no look can be described")
    apart: list[float] = []
    for others, held_out in _folds(known):
        mean, spread = _look(others)
        apart.extend(distance for x in held_out for distance in np.linalg.norm((x - mean) @ spread, axis=1))
    sharpness = [focus(look) for x in known.values() for look in x]
    mean, spread = _look(known)
    return KnownSmears(
        tuple(mean.tolist()),
        tuple(tuple(row) for row in spread.tolist()),
        _limit(apart),
        float(np.median(sharpness)),
        -_limit([-value for value in sharpness]),
    )


def _limit(values: Sequence[float]) -> float:
    # The outermost of some hundred images are too few to set a limit by.
    middle, off = np.quantile(values, (0.5, _OFF))
    return float(middle + max(_REACH * (off - middle), _LEAST_REACH))


def _folds(known: _Rows) -> Iterator[tuple[_Rows, list[NDArray[np.float64]]]]:
    """Yield what is described, and the rows of each source that have no part in it, until all had none once."""
    for fold in range(_FOLDS):
        held_out = np.s_[fold::_FOLDS]
        others = {name: np.delete(x, held_out, axis=0) for name, x in known.items()}
        yield others, [x[held_out] for x in known.values()]


def _stain(name: str, colours: NDArray[np.float64]) -> KnownStain:
    # Whitened first: the shrinkage is towards a ball, and glass varies less than nuclei do.
    scale = colours.std(axis=0) + 1e-3
    covariance, _ = ledoit_wolf((colours - colours.mean(axis=0)) / scale)
    spread = np.linalg.cholesky(np.linalg.inv(covariance)) / scale[:, None]
    return KnownStain(name, tuple(colours.mean(axis=0).tolist()), tuple(tuple(row) for row in spread.tolist()))


def _look(known: _Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean, and W with ``W @ W.T`` the inverse of the covariance, within sources and between them."""
    means = np.array([x.mean(axis=0) for x in known.values()])
    mean = means.mean(axis=0)
    between = (means - mean).T @ (means - mean) / len(means)
    covariance = np.mean([np.cov(x.T) for x in known.values()], axis=0) + between
    scale = np.maximum(np.sqrt(np.diag(covariance)), _FLOOR)
    correlation = (1 - _SHRUNK) * covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    return mean, np.asarray(np.linalg.cholesky(np.linalg.inv(correlation)) / scale[:, None])


def _without_cells(image: NDArray[np.uint8], labels: NDArray[np.int32], diameter: float) -> Iterator[NDArray[np.uint8]]:
    """Yield a quarter of a field that shows no leukocyte, if there is one and it is wide enough."""
    height, width = labels.shape[0] // 2, labels.shape[1] // 2
    if min(height, width) < diameter:
        return
    for y in (0, labels.shape[0] - height):
        for x in (0, labels.shape[1] - width):
            if not labels[y : y + height, x : x + width].any():
                yield image[y : y + height, x : x + width]
                return
