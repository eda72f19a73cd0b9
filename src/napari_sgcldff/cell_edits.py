"""What a person does to cells: delete, split, join, name, accept; each is one step of a `Curation`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sgcldff.edited_rows import reviewed
from napari_sgcldff.outline_edits import Mask, filled, smoothed, split_along, split_by_shape
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from napari_sgcldff.curation import Curation
    from napari_sgcldff.step_making import Window

__all__ = [
    "accept_cells",
    "add_cell",
    "delete_cell",
    "fill_holes",
    "merge_cells",
    "set_class",
    "smooth_outline",
    "split_cell",
]

_SEEN = {"needs_review": False, "review_reason": ""}


def add_cell(
    curation: Curation, mask: Mask, corner: tuple[int, int], known: Mapping[str, Any], nucleus: Mask | None = None
) -> int:
    """Add a cell where there is background.

    Parameters
    ----------
    curation : Curation
        Of the layer.
    mask : ndarray
        (h, w) bool, the cell; what already belongs to another cell is left to that.
    corner : tuple of int
        Row and column of the mask's first pixel in the plane.
    known : mapping of str to object
        What is known of it, such as its class and the probabilities.
    nucleus : ndarray, optional
        (h, w) bool, its nucleus.

    Returns
    -------
    int
        The label of the new cell.
    """
    window = (slice(corner[0], corner[0] + mask.shape[0]), slice(corner[1], corner[1] + mask.shape[1]))
    pixels = curation.labels[window].copy()
    label = curation.next_label()
    pixels[mask & (pixels == 0)] = label
    if nucleus is not None and curation.nucleus is not None:
        curation.nucleus[window] |= nucleus & (pixels == label)
    curation.rewrite(f"added cell {label}", window, pixels, {label: known}, label)
    return label


def delete_cell(curation: Curation, label: int) -> None:
    """Delete a cell.

    Parameters
    ----------
    curation : Curation
        The layer that is corrected.
    label : int
        Of a cell in the plane that is shown.
    """
    window, mask = _cell(curation, label)
    curation.rewrite(f"deleted cell {label}", window, np.where(mask, 0, curation.labels[window]))


def split_cell(curation: Curation, label: int, line: NDArray[np.floating] | None = None) -> int:
    """Split a cell in two; the larger part keeps the label and what is known of the cell.

    Parameters
    ----------
    curation : Curation
        Of the layer.
    label : int
        The cell.
    line : ndarray, optional
        (N, 2) float, rows and columns of the line to split along; by default the cell is split where it is narrow.

    Returns
    -------
    int
        The label of the smaller part, whose class a person should look at.
    """
    window, mask = _cell(curation, label)
    part = split_by_shape(mask) if line is None else split_along(mask, line - [window[0].start, window[1].start])
    new = curation.next_label()
    review = {"needs_review": True, "review_reason": f"it was split from cell {label}; is its class right?"}
    curation.rewrite(
        f"split cell {label} into {label} and {new}",
        window,
        np.where(part, new, curation.labels[window]),
        {label: {}, new: {"like": label, **review}},
        new,
    )
    return new


def merge_cells(curation: Curation, label: int, other: int) -> None:
    """Make two cells one, which keeps the label and the class of the first.

    Parameters
    ----------
    curation : Curation
        The layer that is corrected.
    label, other : int
        Of two cells in the plane that is shown; they need not touch.
    """
    if label == other:
        raise ConfigError("that is the same cell; click another one to join it with")
    (window, _), (beside, _) = _cell(curation, label), _cell(curation, other)
    whole = tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(window, beside, strict=True))
    pixels = curation.labels[whole]
    curation.rewrite(
        f"joined cell {other} with cell {label}",
        (whole[0], whole[1]),
        np.where(pixels == other, label, pixels),
        {label: {}},
        label,
    )


def fill_holes(curation: Curation, label: int) -> None:
    """Fill the holes of a cell, as far as they belong to no other.

    Parameters
    ----------
    curation : Curation
        The layer that is corrected.
    label : int
        Of a cell in the plane that is shown.
    """
    _reshape(curation, label, f"filled the holes of cell {label}", filled)


def smooth_outline(curation: Curation, label: int) -> None:
    """Make the outline of a cell smoother.

    Parameters
    ----------
    curation : Curation
        The layer that is corrected.
    label : int
        Of a cell in the plane that is shown.
    """
    _reshape(curation, label, f"smoothed cell {label}", smoothed)


def set_class(curation: Curation, label: int, name: str) -> None:
    """Give a cell a class; so it is reviewed, too.

    Parameters
    ----------
    curation : Curation
        The layer that is corrected.
    label : int
        Of a cell in the plane that is shown.
    name : str
        Of a class, which need not be one of the model's.
    """
    if label not in curation.table.index:
        raise ConfigError(f"there is no cell {label}; click a cell first")
    row = curation.table.loc[label]
    # What the model thinks of this class is known where it is one of the model's.
    confidence = float(row.get(f"prob_{name}", np.nan))
    known = {"class": name, "confidence": confidence, "curated": True, **_SEEN}
    curation.set_rows(f"named cell {label} {name}", {label: known}, label)


def accept_cells(curation: Curation, labels: Iterable[int]) -> None:
    """Say of cells that they are right as they are.

    Parameters
    ----------
    curation : Curation
        The layer that is corrected.
    labels : iterable of int
        Cells; those that are reviewed already are passed over.
    """
    done = reviewed(curation.table)
    chosen = [label for label in labels if label in done.index and not done[label]]
    if not chosen:
        return
    named = curation.table["class"].reindex(chosen)
    if named.isna().any():
        unnamed = named.index[named.isna()][0]
        raise ConfigError(f"cell {unnamed} has no class yet; give it one by its key or button")
    what = f"accepted cell {chosen[0]}" if len(chosen) == 1 else f"accepted {len(chosen)} cells"
    curation.set_rows(what, {label: {"curated": True, **_SEEN} for label in chosen}, chosen[0])


def _cell(curation: Curation, label: int) -> tuple[Window, Mask]:
    """Return the window of a cell and its pixels therein."""
    if label not in curation.table.index:
        raise ConfigError(f"there is no cell {label}; click a cell first")
    row = curation.table.loc[label]
    y0, x0, y1, x1 = (int(row[f"bbox_{side}"]) for side in ("y0", "x0", "y1", "x1"))
    window = (slice(y0, y1), slice(x0, x1))
    return window, curation.labels[window] == label


def _reshape(curation: Curation, label: int, what: str, shape: Callable[[Mask, Mask], Mask]) -> None:
    window, _ = _cell(curation, label)
    rows, columns = (slice(max(side.start - 4, 0), side.stop + 4) for side in window)
    pixels = curation.labels[rows, columns]
    mask = pixels == label
    after = shape(mask, pixels == 0)
    if not after.any():
        raise ConfigError(f"cell {label} is too small for that")
    new = np.where(after, label, np.where(mask, 0, pixels))
    place = tuple(slice(s.start, s.start + n) for s, n in zip((rows, columns), pixels.shape, strict=True))
    curation.rewrite(what, (place[0], place[1]), new, {label: {}}, label)
