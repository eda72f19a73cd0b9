"""What a synthetic smear is to look like."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sgcldff_core.errors import ConfigError
from sgcldff_core.smear.stain import STAINS
from sgcldff_core.taxonomy import LEUKOCYTES

__all__ = ["SmearSettings"]

_NAMES = tuple(c.name for c in LEUKOCYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmearSettings:
    """What a synthetic smear is to look like; checked at construction.

    Attributes
    ----------
    height, width : int
        Of the image, in pixels.
    diameter : float
        Of a typical leukocyte (a neutrophil) in pixels, 8 or more; lymphocytes are smaller,
        monocytes larger, red cells a little over half of it.
    leukocytes : int
        Number of leukocytes; fewer are drawn where there is no room for all.
    classes : tuple of str
        Which of the five types may occur, by canonical name.
    weights : tuple of float or None
        How often each of `classes` occurs, in any unit; None for equally often.
    erythrocytes : float
        Share of the plane that red cells would cover if none overlapped, 0 to 1.5.
    platelets : float
        Mean number of platelets in an area of one squared `diameter`.
    touching : float
        Probability that a leukocyte touches one that is already there.
    cut : float
        Probability that a leukocyte lies across the image's border.
    centred : bool
        Whether the first leukocyte lies in the middle, as in crops of single cells.
    stain : str or None
        One of `STAINS`; None draws one at random.
    defocus : float or None
        Standard deviation of the blur in pixels; None draws one that fits the stain.
    noise : float or None
        Standard deviation of the sensor's noise in grey levels of 255; None likewise.
    vignetting : float or None
        Share of the light that is lost in the corners, 0 to 0.9; None likewise.

    Raises
    ------
    ConfigError
        If a value is out of range or a name is unknown.
    """

    height: int = 480
    width: int = 640
    diameter: float = 120.0
    leukocytes: int = 3
    classes: tuple[str, ...] = _NAMES
    weights: tuple[float, ...] | None = None
    erythrocytes: float = 0.5
    platelets: float = 0.15
    touching: float = 0.15
    cut: float = 0.1
    centred: bool = False
    stain: str | None = None
    defocus: float | None = None
    noise: float | None = None
    vignetting: float | None = None

    def __post_init__(self) -> None:
        _within("height", self.height, 1, math.inf)
        _within("width", self.width, 1, math.inf)
        _within("diameter", self.diameter, 8, 2000)
        _within("leukocytes", self.leukocytes, 0, math.inf)
        _within("erythrocytes", self.erythrocytes, 0, 1.5)
        _within("platelets", self.platelets, 0, 5)
        _within("touching", self.touching, 0, 1)
        _within("cut", self.cut, 0, 1)
        for name, upper in (("defocus", 50.0), ("noise", 100.0), ("vignetting", 0.9)):
            value = getattr(self, name)
            if value is not None:
                _within(name, value, 0, upper)
        if not self.classes:
            raise ConfigError(f"classes is empty; name one or more of {', '.join(_NAMES)}")
        for name in self.classes:
            if name not in _NAMES:
                raise ConfigError(f"class {name!r} cannot be drawn; known are {', '.join(_NAMES)}")
        if self.weights is not None:
            if len(self.weights) != len(self.classes):
                raise ConfigError(f"{len(self.weights)} weights for {len(self.classes)} classes; give one for each")
            if not all(w >= 0 for w in self.weights) or not 0 < sum(self.weights) < math.inf:
                raise ConfigError(f"weights {self.weights} must be 0 or more, and not all 0")
        if self.stain is not None and self.stain not in STAINS:
            raise ConfigError(f"stain {self.stain!r} is unknown; known are {', '.join(STAINS)}")


def _within(name: str, value: float, lower: float, upper: float) -> None:
    # Written so that NaN fails as well.
    if not lower <= value <= upper:
        limits = f"at least {lower}" if upper == math.inf else f"between {lower} and {upper}"
        raise ConfigError(f"{name} is {value}; it must be {limits}")
