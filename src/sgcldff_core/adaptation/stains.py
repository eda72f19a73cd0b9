"""What a laboratory's stain is, as numbers, and how to bring one stain to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.adaptation.spread import spread_evenly
from sgcldff_core.errors import ConfigError
from sgcldff_core.model.stain import StainTransform, palette, to_space
from sgcldff_core.saliency import compute_prior
from sgcldff_core.saliency.optical_density import background_colour, estimate_stains, optical_density
from sgcldff_core.saliency.pixels import unit_rgb

__all__ = ["StainStatistics", "macenko", "reinhard", "stain_statistics"]

_PALETTES = 24  # images that stand for a laboratory when an image is to be told from another's
_PIXELS = 20_000  # of each image: more tell nothing new
_SALIENT = 0.5
_FEWEST = 50  # px of cells and of glass, else an image says nothing
_STRENGTH = 0.99  # quantile of a stain's amount that counts as its strength (Macenko)
_LARGEST_CHANGE = 4.0  # of a stain's strength or a channel's spread: beyond, the statistics are at fault


@dataclass(frozen=True, slots=True, eq=False)
class StainStatistics:
    """Colours of the images of one laboratory, all images together.

    Attributes
    ----------
    images : int
        How many told it.
    background : ndarray
        (3,) RGB in (0, 1], of the empty slide.
    stains : ndarray
        (2, 3) unit vectors of optical density: nuclear stain, eosin.
    strengths : ndarray
        (2,) amounts of them where there is much of them.
    lab_mean, lab_std : ndarray
        (3,) of CIE L*a*b* over as much leukocyte as empty slide, so that it does not matter how
        much of an image is background.
    palettes : ndarray
        (N, 6) of at most 24 images, see `sgcldff_core.model.stain.palette`.
    """

    images: int
    background: NDArray[np.float64]
    stains: NDArray[np.float64]
    strengths: NDArray[np.float64]
    lab_mean: NDArray[np.float64]
    lab_std: NDArray[np.float64]
    palettes: NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        arrays = {f.name: np.round(getattr(self, f.name), 5).tolist() for f in fields(self) if f.name != "images"}
        return {"images": self.images} | arrays

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StainStatistics:
        """Build from what `to_dict` returned.

        Parameters
        ----------
        values : mapping of str to object
            Every field by name; arrays as nested lists.

        Raises
        ------
        ConfigError
            If something is missing, too much, or of another shape.
        """
        shapes = {"background": (3,), "stains": (2, 3), "strengths": (2,), "lab_mean": (3,), "lab_std": (3,)}
        try:
            arrays = {f.name: np.array(values[f.name], np.float64) for f in fields(cls) if f.name != "images"}
            fits = all(arrays[name].shape == shape for name, shape in shapes.items())
            fits &= arrays["palettes"].shape[1:] == (6,) and set(values) == {*arrays, "images"}
            if fits and all(np.isfinite(a).all() for a in arrays.values()):
                return cls(int(values["images"]), **arrays)
        except (KeyError, TypeError, ValueError) as broken:
            raise ConfigError(f"the record of a stain cannot be read ({broken})") from broken
        raise ConfigError(f"the record of a stain has numbers missing, too many or not finite: {sorted(values)}")


def stain_statistics(images: Iterable[NDArray[np.uint8]], prior: str = "fused") -> StainStatistics:
    """Measure the stain of a laboratory on some of its images.

    Parameters
    ----------
    images : iterable of ndarray
        (H, W, 3) uint8 RGB each.
    prior : str
        Saliency prior that tells leukocytes.

    Raises
    ------
    ConfigError
        If no image shows both something salient and empty slide.
    """
    backgrounds, densities, mean, square, palettes = [], [], [], [], []
    for image in images:
        salient = compute_prior(image, prior) > _SALIENT
        small = unit_rgb(image)
        background = background_colour(small)
        density = optical_density(small, background)
        glass = (np.abs(density).max(-1) < 0.1) & ~salient
        if min(salient.sum(), glass.sum()) < _FEWEST:
            continue
        palettes.append(palette(image))
        lab = to_space(image, "lab").astype(np.float64)
        backgrounds.append(background)
        # Leukocytes alone: red cells come in any number, and would pull the second stain to them.
        stained = density[salient]
        densities.append(stained[:: max(1, len(stained) // _PIXELS)])
        mean.append((lab[salient].mean(0) + lab[glass].mean(0)) / 2)
        square.append(((lab[salient] ** 2).mean(0) + (lab[glass] ** 2).mean(0)) / 2)
    if not mean:
        raise ConfigError("no image shows both stained cells and empty slide, so that their stain cannot be told")
    pooled = np.concatenate(densities)
    stains = estimate_stains(pooled).astype(np.float64)
    amounts = pooled @ np.linalg.pinv(stains)
    centre = np.mean(mean, 0)
    return StainStatistics(
        images=len(mean),
        background=np.median(backgrounds, 0).astype(np.float64),
        stains=stains,
        strengths=np.maximum(np.quantile(amounts, _STRENGTH, axis=0), 1e-3),
        lab_mean=centre,
        lab_std=np.sqrt(np.maximum(np.mean(square, 0) - centre**2, 1e-6)),
        palettes=np.array(palettes)[spread_evenly(len(mean), _PALETTES)],
    )


def macenko(found: StainStatistics, wanted: StainStatistics) -> StainTransform:
    """Return the change of colours that exchanges the two stains, their strengths and the empty slide.

    Parameters
    ----------
    found : StainStatistics
        Of the images that are to change.
    wanted : StainStatistics
        Of the images that they are to be like.

    References
    ----------
    Macenko et al., A method for normalizing histology slides for quantitative analysis, ISBI 2009.
    """
    # Which of two stains is the nuclear one is not always plain; what looks alike belongs together.
    alike = found.stains @ wanted.stains.T
    order = [0, 1] if np.trace(alike) >= alike[0, 1] + alike[1, 0] else [1, 0]
    ratio = np.clip(wanted.strengths[order] / found.strengths, 1 / _LARGEST_CHANGE, _LARGEST_CHANGE)
    # What neither stain explains is kept as it is, along the direction that is square to both.
    change = np.linalg.inv(_with_residual(found.stains)) @ np.diag([*ratio, 1.0]) @ _with_residual(wanted.stains[order])
    offset = -np.log(wanted.background) + np.log(found.background) @ change
    return _transform("macenko", "density", change, offset, found, wanted)


def reinhard(found: StainStatistics, wanted: StainStatistics) -> StainTransform:
    """Return the change of colours that gives L*a*b* the wanted mean and spread.

    Parameters
    ----------
    found, wanted : StainStatistics
        As for `macenko`.

    References
    ----------
    Reinhard et al., Color transfer between images, IEEE Computer Graphics and Applications 21 (2001).
    """
    ratio = np.clip(wanted.lab_std / found.lab_std, 1 / _LARGEST_CHANGE, _LARGEST_CHANGE)
    return _transform("reinhard", "lab", np.diag(ratio), wanted.lab_mean - ratio * found.lab_mean, found, wanted)


def _with_residual(stains: NDArray[np.float64]) -> NDArray[np.float64]:
    across = np.cross(stains[0], stains[1])
    return np.vstack([stains, across / np.linalg.norm(across)])


def _transform(
    method: str,
    space: str,
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    found: StainStatistics,
    wanted: StainStatistics,
) -> StainTransform:
    tables = {"matrix": matrix, "theirs": found.palettes, "own": wanted.palettes}
    rows = {name: tuple(map(tuple, np.round(table, 6).tolist())) for name, table in tables.items()}
    return StainTransform(method, space, offset=tuple(np.round(offset, 6).tolist()), **rows)
