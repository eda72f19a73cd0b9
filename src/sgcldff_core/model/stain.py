"""A change of colours that brings the images of one laboratory to the stain that a model learned from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.color import lab2rgb, rgb2lab

from sgcldff_core.errors import ConfigError

__all__ = ["SPACES", "StainTransform", "from_space", "palette", "to_space"]

SPACES = ("density", "lab")
"""Optical density of R, G, B (natural logarithm, 0 for full brightness), and CIE L*a*b* (D65)."""

_MOST = 1e4  # nothing that was estimated from images comes near it
_DARKEST = 1 / 255
_TABLES = ("matrix", "theirs", "own")
_GLASS, _STAIN = 0.75, 0.1  # quantiles of green: what is brighter is empty slide, what is darker is nuclei


@dataclass(frozen=True, slots=True)
class StainTransform:
    """An affine map of colours, the same for every pixel and every image of a laboratory.

    An image whose palette is nearer to one of the model's own is from elsewhere, and left as it is:
    so a model that was adapted does on its old stain what it did before.

    Attributes
    ----------
    method : str
        How it was found, for the record.
    space : {"density", "lab"}
        In which it is affine.
    matrix : tuple of tuple of float
        (3, 3); a colour is a row, so that the map is ``colour @ matrix + offset``.
    offset : tuple of float
        (3,).
    theirs, own : tuple of tuple of float
        (N, 6) and (M, 6) palettes of images of that laboratory, and of images that the model
        learned from, see `palette`. Without the latter every image is changed.

    Raises
    ------
    ConfigError
        If the space is unknown, or the numbers are not finite or not of that shape.
    """

    method: str
    space: str
    matrix: tuple[tuple[float, ...], ...]
    offset: tuple[float, ...]
    theirs: tuple[tuple[float, ...], ...] = ()
    own: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        if self.space not in SPACES:
            raise ConfigError(
                f"unknown colour space {self.space!r} of a stain transform; known are {', '.join(SPACES)}"
            )
        for name, columns, numbers in (
            ("matrix", 3, self.matrix),
            ("offset", 3, (self.offset,)),
            ("theirs", 6, self.theirs),
            ("own", 6, self.own),
        ):
            _refuse_bad_numbers(name, columns, numbers)
        if len(self.matrix) != 3:
            raise ConfigError(f"the matrix of a stain transform has 3 rows, got {len(self.matrix)}")
        if self.own and not self.theirs:
            raise ConfigError("a stain transform that knows the model's own palettes needs those of the laboratory")

    def concerns(self, image: NDArray[np.uint8]) -> bool:
        """Tell whether an image looks like one of the laboratory's, not like one of the model's own.

        Parameters
        ----------
        image : ndarray of uint8, shape (H, W, 3)
            RGB.
        """
        if not self.own:
            return True
        here = palette(image)
        nearest = [np.linalg.norm(np.array(known) - here, axis=1).min() for known in (self.theirs, self.own)]
        return bool(nearest[0] <= nearest[1])

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return an image in the other stain.

        Parameters
        ----------
        image : ndarray
            (H, W, 3) uint8 RGB.

        Returns
        -------
        ndarray
            (H, W, 3) uint8 RGB; what leaves the range of colours is clipped. The same array where
            the transform does not concern the image.
        """
        if not self.concerns(image):
            return image
        colours = to_space(image, self.space)
        changed = colours @ np.array(self.matrix, np.float32) + np.array(self.offset, np.float32)
        return from_space(changed, self.space)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with a ``sha256`` of the rest."""
        plain: dict[str, Any] = {"method": self.method, "space": self.space, "offset": list(self.offset)}
        plain |= {key: [list(row) for row in getattr(self, key)] for key in _TABLES}
        return plain | {"sha256": _digest(plain)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StainTransform:
        """Build from what `to_dict` returned.

        Parameters
        ----------
        values : mapping of str to object
            Every field by name, and the sha256 of them.

        Raises
        ------
        ConfigError
            If something is missing, too much or out of range, or the numbers are not those that
            were written.
        """
        known = {"method", "space", "offset", *_TABLES, "sha256"}
        if not isinstance(values, Mapping) or set(values) != known:
            raise ConfigError(f"a stain transform has {', '.join(sorted(known))}; got {values!r}")
        if _digest({key: value for key, value in values.items() if key != "sha256"}) != values["sha256"]:
            raise ConfigError("the stain transform's sha256 is not that of its numbers; adapt the model again")
        try:
            tables = {key: tuple(tuple(row) for row in values[key]) for key in _TABLES}
            return cls(str(values["method"]), values["space"], offset=tuple(values["offset"]), **tables)
        except TypeError as broken:
            raise ConfigError(f"a stain transform's numbers are lists of lists ({broken})") from broken


def palette(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the colours of empty slide and of nuclei, as far as they are told at a glance.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.

    Returns
    -------
    ndarray
        (6,) CIE L*a*b* twice: of the median of the quarter that is brightest in green, and of the
        tenth that is darkest.
    """
    green = image[..., 1]
    glass = image[green >= np.quantile(green, _GLASS)]
    stain = image[green <= np.quantile(green, _STAIN)]
    medians = np.array([np.median(glass, axis=0), np.median(stain, axis=0)]) / 255
    return np.asarray(rgb2lab(medians[None])[0].ravel(), np.float64)


def to_space(image: NDArray[np.uint8], space: str) -> NDArray[np.float32]:
    """Return the colours of (..., 3) uint8 RGB as (..., 3) float32 in one of `SPACES`.

    Parameters
    ----------
    image : ndarray of uint8, shape (..., 3)
        RGB.
    space : str
        One of `SPACES`.

    Returns
    -------
    ndarray of float32, shape (..., 3)
        CIE L*a*b* (L in [0, 100]), or natural optical density, 0 for white.
    """
    if space == "lab":
        return np.asarray(rgb2lab(image.astype(np.float32) / 255), np.float32)
    return np.asarray(-np.log(np.maximum(image.astype(np.float32) / 255, _DARKEST)), np.float32)


def from_space(colours: NDArray[np.float32], space: str) -> NDArray[np.uint8]:
    """Return (..., 3) uint8 RGB of colours in one of `SPACES`; what is out of range is clipped.

    Parameters
    ----------
    colours : ndarray of float32, shape (..., 3)
        As `to_space` returns them.
    space : str
        One of `SPACES`.
    """
    # A density below zero is brighter than the screen.
    rgb = _rgb_of_lab(colours) if space == "lab" else np.exp(-np.maximum(colours, 0))
    return np.asarray(np.rint(255 * np.clip(rgb, 0, 1)), np.uint8)


def _rgb_of_lab(colours: NDArray[np.float32]) -> NDArray[np.float32]:
    # Clipped beforehand where no screen has the colour: scikit-image warns of negative Z.
    light = np.clip(colours[..., :1], 0, 100)
    blue = np.minimum(colours[..., 2:], 199.9 * (light + 16) / 116)  # at 200 Z is zero
    return np.asarray(lab2rgb(np.concatenate([light, colours[..., 1:2], blue], -1)), np.float32)


def _digest(plain: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def _refuse_bad_numbers(name: str, columns: int, rows: Any) -> None:
    try:
        numbers = np.array(rows, np.float64).reshape(len(rows), -1 if len(rows) else columns)
    except (TypeError, ValueError) as ragged:
        raise ConfigError(f"{name} of a stain transform is not a table of numbers ({ragged})") from ragged
    if numbers.shape[1] != columns or not (np.abs(numbers) <= _MOST).all():
        raise ConfigError(f"{name} of a stain transform has rows of {columns} finite numbers, got {numbers.tolist()}")
