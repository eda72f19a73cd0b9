"""From pixels before and after an edit to a step that can be undone, with the rows of all cells it touched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_sgcldff.edit_steps import Change, Step
from napari_sgcldff.edited_rows import measured, row_of
from sgcldff_core.errors import ConfigError

__all__ = ["Surroundings", "Window", "check_numbers", "editable", "pixel_step", "row_step", "where_different"]

Window = tuple[slice, slice]
"""Rows and columns of a plane."""


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What is known before an edit.

    Attributes
    ----------
    table : DataFrame
        Of the cells, see `napari_sgcldff.edited_rows`.
    labels : ndarray
        (H, W) int, the plane.
    plane : tuple of int
        Which plane that is.
    new_cell : mapping of str to object
        What is known of a cell that appears.
    saliency, nucleus : ndarray or None
        (H, W), for measuring.
    """

    table: pd.DataFrame
    labels: NDArray[np.integer]
    plane: tuple[int, ...]
    new_cell: Mapping[str, Any]
    saliency: NDArray[np.floating] | None
    nucleus: NDArray[np.bool_] | None


def editable(data: Any) -> NDArray[np.integer]:
    """Return labels as edits need them: in memory, writable, with room for more labels than 8 bits have.

    Parameters
    ----------
    data : array_like of int
        As a Labels layer holds it; may be lazy.

    Returns
    -------
    ndarray of int, the same shape
        `data` itself if it serves already.
    """
    array = np.asarray(data)
    if array.dtype.itemsize < 2 or array.dtype.kind not in "iu":
        return array.astype(np.int32)
    return array if array is data and array.flags.writeable else array.copy()


def check_numbers(name: str, labels: NDArray[np.integer]) -> None:
    """Check that labels can count as numbers of cells.

    Parameters
    ----------
    name : str
        Of the layer, for the message.
    labels : ndarray
        (..., H, W) int.

    Raises
    ------
    ConfigError
        If some are negative, or far larger than there can be cells.
    """
    lowest, highest = int(labels.min(initial=0)), int(labels.max(initial=0))
    if lowest < 0 or highest > max(labels.size, 2**16):
        raise ConfigError(
            f"the labels of {name!r} run from {lowest} to {highest}, which are no numbers of cells; "
            "number the cells from 1, as skimage.segmentation.relabel_sequential does"
        )


def where_different(a: NDArray[np.integer], b: NDArray[np.integer]) -> Window | None:
    """Return the smallest window outside which two planes are the same; None if they are the same everywhere.

    Parameters
    ----------
    a, b : ndarray of int, shape (H, W)
        The two planes.
    """
    different = a != b
    rows = np.flatnonzero(different.any(1))
    if not len(rows):
        return None
    columns = np.flatnonzero(different.any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def pixel_step(
    what: str,
    window: Window,
    before: NDArray[np.integer],
    after: NDArray[np.integer],
    said: Mapping[int, Mapping[str, Any]],
    look_at: int,
    around: Surroundings,
) -> Step:
    """Make a step of a change of pixels; only the cells that it touches are measured, inside their boxes.

    Parameters
    ----------
    what : str
        What is done; empty for a stroke of the brush.
    window : tuple of slice
        Where.
    before, after : ndarray
        (h, w) int, the window.
    said : mapping of int to mapping of str to object
        See `napari_sgcldff.curation.Curation.rewrite`.
    look_at : int
        The cell to look at afterwards, 0 for the first that was touched.
    around : Surroundings
        What was there before.

    Returns
    -------
    Step
        Each cell that it touches is marked as curated.
    """
    different = before != after
    touched = {int(n) for n in np.unique([before[different], after[different]]) if n > 0} | set(said)
    table = around.table
    old = table[table.index.isin(touched)]
    rows = [old]
    for label in sorted(touched - set(old.index)):
        like = said.get(label, {}).get("like")
        rows.append(row_of(table, label, table.loc[like].to_dict() if like in table.index else around.new_cell))
    new = pd.concat(rows) if len(rows) > 1 else old.copy()
    new["curated"] = True
    for label, known in said.items():
        for name, value in known.items():
            if name in new and name != "like":
                new.at[label, name] = value
    new = _measured_after(new, old, window, after, around)
    what = what or f"painted {_cells(sorted(touched))}"
    place = tuple((side.start, side.stop) for side in window)
    labels = tuple(sorted(touched))
    first = int(old.index[0]) if len(old) else 0
    return Step(
        Change(what, around.plane, place, after, labels, new, look_at or next(iter(new.index.tolist()), 0)),
        Change(f"undid: {what}", around.plane, place, before, labels, old, first),
    )


def row_step(
    what: str, plane: tuple[int, ...], table: pd.DataFrame, rows: Mapping[int, Mapping[str, Any]], look_at: int
) -> Step:
    """Make a step of a change of what the table says, without a pixel changed.

    Parameters
    ----------
    what : str
        What is done.
    plane : tuple of int
        The plane of the cells.
    table : DataFrame
        Before.
    rows : mapping of int to mapping of str to object
        For each cell what its row says afterwards in some columns.
    look_at : int
        The cell to look at afterwards.
    """
    before = table[table.index.isin(list(rows))]
    after = before.copy()
    for label, known in rows.items():
        for name, value in known.items():
            after.at[label, name] = value
    return Step(
        Change(what, plane, (), None, tuple(rows), after, look_at),
        Change(f"undid: {what}", plane, (), None, tuple(rows), before, look_at),
    )


def _measured_after(
    rows: pd.DataFrame, old: pd.DataFrame, window: Window, after: NDArray[np.integer], around: Surroundings
) -> pd.DataFrame:
    """Measure cells in the window that holds them as a whole, before and after an edit."""
    known = old.dropna(subset=["bbox_y0"])
    y0, x0 = (int(min([s.start, *known[name]])) for s, name in zip(window, ("bbox_y0", "bbox_x0"), strict=True))
    y1, x1 = (int(max([s.stop, *known[name]])) for s, name in zip(window, ("bbox_y1", "bbox_x1"), strict=True))
    whole = (slice(y0, y1), slice(x0, x1))
    pixels = around.labels[whole].copy()
    pixels[window[0].start - y0 : window[0].stop - y0, window[1].start - x0 : window[1].stop - x0] = after
    saliency, nucleus = (None if guide is None else guide[whole] for guide in (around.saliency, around.nucleus))
    return measured(rows, pixels, (y0, x0), saliency, nucleus)


def _cells(labels: Sequence[int]) -> str:
    return f"{'cell' if len(labels) == 1 else 'cells'} {', '.join(map(str, labels[:5]))}"
