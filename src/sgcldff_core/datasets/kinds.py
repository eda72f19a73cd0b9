"""What annotated objects are: a cell class, or one of the three words of `Box.kind`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sgcldff_core.taxonomy import canonical_name

if TYPE_CHECKING:
    from sgcldff_core.sample import Box

__all__ = ["NOT_LEUKOCYTES", "UNNAMED", "class_of", "kind_named", "leukocyte_boxes"]

UNNAMED = "leukocyte"
"""A white blood cell whose class is unknown."""

NOT_LEUKOCYTES = ("erythrocyte", "platelet")

_KINDS = {
    "wbc": UNNAMED,
    "white blood cell": UNNAMED,
    "white blood cells": UNNAMED,
    "leukocyte": UNNAMED,
    "leucocyte": UNNAMED,
    "rbc": "erythrocyte",
    "red blood cell": "erythrocyte",
    "red blood cells": "erythrocyte",
    "erythrocyte": "erythrocyte",
    "platelet": "platelet",
    "platelets": "platelet",
    "thrombocyte": "platelet",
}


def kind_named(name: str) -> str:
    """Return the `Box.kind` for a name as a data set spells it.

    Parameters
    ----------
    name : str
        Not empty.

    Returns
    -------
    str
        ``"leukocyte"``, ``"erythrocyte"``, ``"platelet"``, or a canonical class.

    Examples
    --------
    >>> kind_named("WBC"), kind_named("Platelets"), kind_named("NEUTROPHIL")
    ('leukocyte', 'platelet', 'neutrophil')
    """
    return _KINDS.get(re.sub(r"[\s_-]+", " ", name.strip().casefold()), canonical_name(name))


def class_of(kind: str) -> str | None:
    """Return the cell class that a kind names, None where it names none.

    Parameters
    ----------
    kind : str
        What a box or point is said to show, such as ``Box.kind``.
    """
    return None if kind in (UNNAMED, *NOT_LEUKOCYTES) else kind


def leukocyte_boxes(boxes: Iterable[Box] | None) -> tuple[Box, ...]:
    """Return the boxes of leukocytes among all, in order; none where nobody drew boxes.

    Parameters
    ----------
    boxes : iterable of Box, or None
        Of leukocytes, red cells and platelets; None where nobody looked.
    """
    return tuple(box for box in boxes or () if box.kind not in NOT_LEUKOCYTES)
