"""The rows of a table of cells, and how they follow what is done to the cells.

The columns are those of ``cells.csv``, and ``curated``: whether a person has had a hand in the cell. A
table has its labels as index, so that the row of a cell is found at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = [
    "as_features",
    "as_table",
    "in_review_order",
    "measured",
    "replaced",
    "reviewed",
    "row_of",
    "rows_of_plane",
]

_FALSE_UNTIL_SEEN = ("needs_review", "curated")

_NUMBERS = ("confidence", "nucleus_area_px", "nc_ratio", "mean_saliency", "saliency_consistency")
_PIXELS = ("bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1", "area_px")
_SHAPES = ("centroid_y", "centroid_x", *_PIXELS, "equivalent_diameter_px", "eccentricity", "solidity")
_ORDER = (
    *("index", "image", "label", "class", "confidence", "prob_", *_SHAPES, "nucleus_area_px", "nc_ratio"),
    *("mean_saliency", "saliency_consistency", "needs_review", "review_reason", "curated"),
)


def as_table(features: pd.DataFrame, image: str = "") -> pd.DataFrame:
    """Bring the features of any labels layer into the form that edits work on.

    Parameters
    ----------
    features : DataFrame
        Of a layer, with a column ``index`` of labels or, as napari has it, row k of label k; columns
        that this package does not know stay.
    image : str
        For the column ``image`` where there is none.

    Returns
    -------
    DataFrame
        With the labels as index, ascending, and all columns; what is not known is missing.
    """
    table = features.copy()
    labels = table["index"] if "index" in table else pd.Series(np.arange(len(table)))
    table.index = pd.Index(labels.astype(np.int64), name=None)
    table = table[(table.index > 0) & ~table.index.duplicated()].sort_index()
    table["index"] = table["label"] = table.index.to_numpy(np.int64)
    for name, unknown in (("class", None), ("review_reason", ""), ("image", image)):
        column = table[name].astype(object) if name in table else pd.Series(unknown, table.index, object)
        table[name] = column.where(column.notna() & (column != ""), unknown)
    for name in (*_NUMBERS, *_SHAPES):
        table[name] = table[name].astype(float) if name in table else np.full(len(table), np.nan)
    for name in _FALSE_UNTIL_SEEN:
        table[name] = table[name].eq(True) if name in table else np.zeros(len(table), bool)
    known = sorted(table.columns, key=lambda name: _place(name, list(table.columns)))
    return table[known]


def as_features(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table as a layer has it: rows numbered from 0, pixels counted in whole numbers.

    Parameters
    ----------
    table : DataFrame
        From `as_table`, one row a cell, indexed by label.
    """
    features = table.reset_index(drop=True)
    for name in _PIXELS:
        if features[name].notna().all():
            features[name] = features[name].astype(np.int64)
    return features


def replaced(table: pd.DataFrame, labels: Iterable[int], rows: pd.DataFrame) -> pd.DataFrame:
    """Return a table with other rows for some cells.

    Parameters
    ----------
    table : DataFrame
        As from `as_table`.
    labels : iterable of int
        The cells whose rows go.
    rows : DataFrame
        What comes in their place; a label without a row here is gone.
    """
    kept = table[~table.index.isin(list(labels))]
    rows = rows.reindex(columns=table.columns)
    if rows.empty:
        return kept
    ours = [name for name in table if _place(name, [name])[0] < len(_ORDER)]  # a user's own may need another type
    rows = rows.astype(table.dtypes[ours].to_dict())
    return rows.sort_index() if kept.empty else pd.concat([kept, rows]).sort_index()


def row_of(table: pd.DataFrame, label: int, known: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for a new cell, with what is known of it.

    Parameters
    ----------
    table : DataFrame
        Whose columns the row gets; what is not known is empty.
    label : int
        Of the new cell.
    known : mapping of str to object
        Values by column.
    """
    return as_table(pd.DataFrame([{**known, "index": label}])).reindex(columns=table.columns)


def measured(
    rows: pd.DataFrame,
    labels: NDArray[np.integer],
    corner: Sequence[int],
    saliency: NDArray[np.floating] | None = None,
    nucleus: NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """Measure cells anew after their pixels changed.

    Parameters
    ----------
    rows : DataFrame
        Of the cells.
    labels : ndarray
        (h, w) int, a window in which these cells lie as a whole.
    corner : sequence of int
        Row and column of the window's first pixel in the image.
    saliency, nucleus : ndarray, optional
        (h, w) float in [0, 1] and bool, the same window. Without them, or where a cell shows no
        nucleus, what they would tell is no longer known (NaN).

    Returns
    -------
    DataFrame
        The rows of the cells that have pixels.
    """
    # Imported when there is something to measure: it brings half of SciPy, and a widget is to open at once.
    from sgcldff_core.cells import cell_shapes

    known = np.zeros(int(max(labels.max(initial=0), rows.index.max())) + 1, bool)
    known[rows.index.to_numpy()] = True
    own = np.where(known[labels], labels, 0)
    shapes = cell_shapes(own).set_index("label")
    rows = rows[rows.index.isin(shapes.index)].copy()
    shapes = shapes.loc[rows.index]
    for name in _SHAPES:
        offset = corner[0] if name.endswith(("_y", "_y0", "_y1")) else corner[1]
        moved = name.startswith(("centroid", "bbox"))
        rows[name] = shapes[name].to_numpy(float) + (offset if moved else 0)
    area = rows["area_px"].to_numpy()
    for name, values in (("mean_saliency", saliency), ("nucleus_area_px", nucleus)):
        if values is None:
            rows[name] = np.nan
            continue
        sums = np.bincount(own.ravel(), values.ravel(), len(known))[rows.index]
        rows[name] = sums / area if name == "mean_saliency" else np.where(sums > 0, sums, np.nan)
    rows["nc_ratio"] = rows["nucleus_area_px"] / area
    return rows


def rows_of_plane(
    table: pd.DataFrame,
    labels: NDArray[np.integer],
    image: str,
    saliency: NDArray[np.floating] | None = None,
    nucleus: NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """Return a row for each cell of an image; those that are not yet measured are measured now.

    Parameters
    ----------
    table : DataFrame
        Of the layer.
    labels : ndarray
        (H, W) int, the image's cells.
    image : str
        Its name.
    saliency, nucleus : ndarray, optional
        As for `measured`.
    """
    present = [int(label) for label in np.flatnonzero(np.bincount(labels.ravel())) if label > 0]
    if not present:
        return table[:0]
    new = [row_of(table, label, {"image": image}) for label in present if label not in table.index]
    rows = pd.concat([table[table.index.isin(present)], *new]).sort_index()
    rows["image"] = image or rows["image"]
    return measured(rows, labels, (0, 0), saliency, nucleus) if rows["area_px"].isna().any() else rows


def reviewed(table: pd.DataFrame) -> pd.Series:
    """Tell of each cell whether a person is done with it.

    Parameters
    ----------
    table : DataFrame
        With the columns ``curated`` and ``needs_review``.
    """
    return table["curated"] & ~table["needs_review"]


def in_review_order(table: pd.DataFrame) -> list[int]:
    """Return the cells that nobody has looked at, those first from whose review most is gained.

    First come those that ask for a review; among them, and among the others, those whose class
    evidence lies least inside their outline, and then those of which the model is least sure.

    Parameters
    ----------
    table : DataFrame
        From `as_table`, one row a cell, indexed by label.
    """
    waiting = table[~reviewed(table)]
    ordered = waiting.assign(first=~waiting["needs_review"]).sort_values(
        ["first", "saliency_consistency", "confidence", "label"], kind="stable"
    )
    return [int(label) for label in ordered.index]


def _place(name: str, columns: list[str]) -> tuple[int, int]:
    key = "prob_" if name.startswith("prob_") else name
    return (_ORDER.index(key) if key in _ORDER else len(_ORDER), columns.index(name))
