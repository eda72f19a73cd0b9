"""The classes of cells: names, short codes, colours, and how each data set spells them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sgcldff_core.errors import ConfigError

__all__ = ["ALL_CLASSES", "BLAST", "HEALTHY", "LEUKOCYTES", "CellClass", "canonical_name", "colour_of"]


@dataclass(frozen=True, slots=True)
class CellClass:
    """One class of cells.

    Attributes
    ----------
    name : str
        The one spelling that this package uses in tables and files.
    code : str
        Three letters for crowded places such as overlays.
    colour : tuple of int
        sRGB in 0..255; the five leukocytes are told apart under the common colour blindnesses
        (from the palette of Okabe and Ito, 2008) and stand out from purple and pink stain.
    aliases : tuple of str
        Other spellings seen in data sets, lower case.
    """

    name: str
    code: str
    colour: tuple[int, int, int]
    aliases: tuple[str, ...] = ()


LEUKOCYTES: tuple[CellClass, ...] = (
    CellClass("neutrophil", "NEU", (0, 158, 115), ("neut", "neutro", "neu", "neutrophils", "segmented neutrophil")),
    CellClass("lymphocyte", "LYM", (86, 180, 233), ("lymp", "lympho", "lym", "lymphocytes")),
    CellClass("monocyte", "MON", (240, 228, 66), ("mono", "mon", "monocytes")),
    CellClass("eosinophil", "EOS", (213, 94, 0), ("eosi", "eosino", "eos", "eosinophils")),
    CellClass("basophil", "BAS", (0, 60, 140), ("baso", "bas", "basophils")),
)
"""The five mature leukocytes, in the order of Zheng's class numbers 1 to 5."""

BLAST = CellClass("blast", "BLA", (204, 0, 60), ("lymphoblast", "all", "blasts"))
HEALTHY = CellClass("healthy", "HEA", (0, 158, 115), ("normal", "hem", "not blast"))

ALL_CLASSES: tuple[CellClass, ...] = (*LEUKOCYTES, BLAST, HEALTHY)

_BY_SPELLING = {s: c for c in ALL_CLASSES for s in (c.name, c.code.lower(), *c.aliases)}

# For classes that a user defines, in the order in which the model lists them.
_SPARE_COLOURS = ((204, 121, 167), (120, 94, 240), (100, 143, 255), (220, 38, 127), (254, 97, 0), (255, 176, 0))


def canonical_name(spelling: str) -> str:
    """Return this package's name for a class as a data set spells it.

    Parameters
    ----------
    spelling : str
        In any case, with or without surrounding spaces, ``_`` and ``-`` read as spaces.

    Returns
    -------
    str
        The canonical name; an unknown spelling is a class of the user's own and comes back
        stripped but otherwise as it is.

    Raises
    ------
    ConfigError
        If the spelling is empty.

    Examples
    --------
    >>> canonical_name("EOSINOPHIL")
    'eosinophil'
    >>> canonical_name(" Baso ")
    'basophil'
    >>> canonical_name("Smudge cell")
    'Smudge cell'
    """
    stripped = spelling.strip()
    if not stripped:
        raise ConfigError("a class name is empty; give the class a name")
    key = re.sub(r"[\s_-]+", " ", stripped.lower())
    known = _BY_SPELLING.get(key)
    return known.name if known else stripped


def colour_of(name: str, classes: Sequence[str] | Iterable[str] = ()) -> tuple[int, int, int]:
    """Return the display colour of a class.

    Parameters
    ----------
    name : str
        Canonical name of the class.
    classes : sequence of str, optional
        All classes of the model, so that those of the user's own get different colours.

    Returns
    -------
    tuple of int
        sRGB in 0..255; mid grey for a class that is not known and not in `classes`.
    """
    known = _BY_SPELLING.get(name.lower())
    if known:
        return known.colour
    own = [c for c in classes if c.lower() not in _BY_SPELLING]
    return _SPARE_COLOURS[own.index(name) % len(_SPARE_COLOURS)] if name in own else (160, 160, 160)
