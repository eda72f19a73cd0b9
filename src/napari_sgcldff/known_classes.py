"""Which classes cells can be given, those that the user defined among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sgcldff import session
from sgcldff_core.taxonomy import LEUKOCYTES

if TYPE_CHECKING:
    from napari.layers import Labels

__all__ = ["classes_for", "remember_class"]

_KEY = "own_classes"


def classes_for(cells: Labels | None = None) -> list[str]:
    """Return the classes that cells can be given.

    Parameters
    ----------
    cells : napari.layers.Labels, optional
        Its features tell the classes of the model, and those that were given already.

    Returns
    -------
    list of str
        Those of the model first, in its order, or the five leukocytes; then the user's own.
    """
    features = None if cells is None else cells.features
    model = [] if features is None else [c.removeprefix("prob_") for c in features.columns if c.startswith("prob_")]
    given = [] if features is None or "class" not in features else sorted(set(features["class"].dropna().astype(str)))
    return list(dict.fromkeys([*(model or [c.name for c in LEUKOCYTES]), *(name for name in given if name), *_own()]))


def remember_class(name: str) -> None:
    """Remember a class that the user defined, from one start of napari to the next.

    Parameters
    ----------
    name : str
        As the user wrote it.
    """
    session.settings().setValue(_KEY, list(dict.fromkeys([*_own(), name])))


def _own() -> list[str]:
    kept = session.settings().value(_KEY, []) or []
    return [kept] if isinstance(kept, str) else list(kept)  # a list of one comes back as text
