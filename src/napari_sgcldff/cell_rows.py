"""The table of cells as a person reads it: which rows, in which order, in which words; and as a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_sgcldff.metadata import KEY
from sgcldff_core.cells import counted_cells
from sgcldff_core.files import written_atomically

if TYPE_CHECKING:
    from napari.layers import Labels

__all__ = [
    "COLUMNS",
    "UNNAMED",
    "CellFilter",
    "Column",
    "cells_of",
    "count_classes",
    "place_of",
    "rows_to_show",
    "write_cells",
]

UNNAMED = "(no class)"
"""What stands for the class of a cell that has none."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table.

    Attributes
    ----------
    title : str
        Above it.
    meaning : str
        In a sentence.
    written : callable
        Turns a value into text.
    """

    title: str
    meaning: str
    written: Callable[[Any], str]


def _text(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def _whole(value: Any) -> str:
    return "" if value is None or value != value else f"{value:.0f}"


def _share(value: Any) -> str:
    return "" if value is None or value != value else f"{100 * value:.0f} %"


COLUMNS = {
    "label": Column("Cell", "Number of the cell: its label in the layer.", _whole),
    "class": Column("Class", "What the cell is.", _text),
    "confidence": Column("Sure", "Probability of the class, as the model says.", _share),
    "review_reason": Column("To review", "Why a person should look at the cell.", _text),
    "equivalent_diameter_px": Column("Ø px", "Diameter of a disc with the cell's area, in pixels.", _whole),
    "area_px": Column("Area px", "Area of the cell, in pixels.", _whole),
    "nc_ratio": Column("Nucleus", "The nucleus's share of the cell's area.", _share),
    "saliency_consistency": Column(
        "Consistent", "How well the model's reasons for the class agree with the outline of the cell.", _share
    ),
    "image": Column("Image", "Which image the cell is in.", _text),
}
"""What is shown of a cell, by the name of the column in the layer's features."""


@dataclass(frozen=True, slots=True)
class CellFilter:
    """Which cells to show.

    Attributes
    ----------
    kind : str
        Only this class; empty for all.
    most_confidence : float
        Only cells of which the model is at most so sure, in [0, 1].
    review : bool
        Only cells that need a person's look.
    """

    kind: str = ""
    most_confidence: float = 1.0
    review: bool = False


def cells_of(features: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a layer's features that are cells, with their number as ``label``.

    Parameters
    ----------
    features : DataFrame
        Of a labels layer.

    Returns
    -------
    DataFrame
        Empty where the features tell of no classes.
    """
    if not {"index", "class"} <= set(features.columns):
        return pd.DataFrame({"label": np.zeros(0, int), "class": np.zeros(0, object)})
    cells = features[features["index"] > 0]
    names = cells["class"].astype(object)
    names = names.where(names.notna() & (names != ""), UNNAMED)
    return cells.assign(label=cells["index"].astype(int), **{"class": names}).reset_index(drop=True)


def count_classes(cells: pd.DataFrame, classes: Sequence[str] = ()) -> dict[str, int]:
    """Count cells by class, as the tables of ``predict`` do: those of an image that is no smear are not counted.

    Once a person has seen such a cell, its reason is gone and it counts.

    Parameters
    ----------
    cells : DataFrame
        From `cells_of`.
    classes : sequence of str, optional
        Listed first and in this order, even where there is no such cell.
    """
    counts = counted_cells(cells)["class"].value_counts()
    others = sorted(set(cells["class"]) - set(classes), key=lambda name: (name == UNNAMED, name))
    return {name: int(counts.get(name, 0)) for name in [*dict.fromkeys(classes), *others]}


def rows_to_show(cells: pd.DataFrame, chosen: CellFilter, by: str = "label", descending: bool = False) -> NDArray[Any]:
    """Return which rows to show, in order.

    Parameters
    ----------
    cells : DataFrame
        From `cells_of`.
    chosen : CellFilter
        Which.
    by : str
        Column to sort by; rows that are equal in it keep the order of their labels.
    descending : bool
        Largest first.

    Returns
    -------
    ndarray
        (n,) int positions in `cells`. A missing value comes last either way.
    """
    keep = np.ones(len(cells), bool)
    if chosen.kind:
        keep &= (cells["class"] == chosen.kind).to_numpy(bool)
    if chosen.most_confidence < 1 and "confidence" in cells:
        # Of a cell that a person named or drew, no model is sure.
        keep &= ~(cells["confidence"].to_numpy(float) > chosen.most_confidence)
    if chosen.review and "needs_review" in cells:
        keep &= cells["needs_review"].fillna(False).to_numpy(bool)
    positions = np.flatnonzero(keep)
    if by not in cells:
        return positions
    values = cells[by].iloc[positions].reset_index(drop=True)
    if values.dtype == object or isinstance(values.dtype, pd.StringDtype):
        values = values.fillna("").astype(str).str.lower().replace("", np.nan)
    order = values.sort_values(kind="stable", ascending=not descending, na_position="last").index.to_numpy()
    return positions[order]


def place_of(layer: Labels, label: int) -> tuple[float, ...] | None:
    """Return where a cell lies in the data of its layer.

    Parameters
    ----------
    layer : napari.layers.Labels
        With the features of cells.
    label : int
        Of the cell.

    Returns
    -------
    tuple of float or None
        One coordinate an axis; None where nothing tells it, without a search of all pixels.
    """
    features = layer.features
    if not {"index", "centroid_y", "centroid_x"} <= set(features.columns):
        return _searched(layer, label)
    rows = features[features["index"] == label]
    if rows.empty or rows[["centroid_y", "centroid_x"]].iloc[0].isna().any():
        return _searched(layer, label)
    row = rows.iloc[0]
    leading = layer.ndim - 2
    planes = layer.metadata.get(KEY, {}).get("planes", {})
    plane = planes.get(str(row.get("image", "")), [0] * leading)
    return (*(float(i) for i in plane[:leading]), float(row["centroid_y"]), float(row["centroid_x"]))


def _searched(layer: Labels, label: int) -> tuple[float, ...] | None:
    """Look for a cell that was drawn by hand and not measured yet, in what is in memory."""
    if not isinstance(layer.data, np.ndarray):
        return None
    at = np.argwhere(layer.data == label)
    if not len(at):
        return None
    plane = at[0, :-2]
    return (*map(float, plane), *map(float, at[(at[:, :-2] == plane).all(1), -2:].mean(0)))


def write_cells(cells: pd.DataFrame, about: Mapping[str, Any], path: Path | str) -> None:
    """Write cells as ``sgcldff predict`` writes its ``cells.csv``; the file appears whole or not at all.

    Parameters
    ----------
    cells : DataFrame
        From `cells_of`.
    about : mapping
        What the layer's metadata say of the run; ``origin`` is where in the picture the labels
        begin, ``classes`` are those of the model.
    path : Path or str
        The file.
    """
    # Imported when it is needed: it brings half of SciPy, and a widget is to open at once.
    from sgcldff_core.cells import cell_columns

    classes = about.get("classes") or [name.removeprefix("prob_") for name in cells if name.startswith("prob_")]
    table = cells.reindex(columns=cell_columns(classes))
    table["class"] = table["class"].replace(UNNAMED, "")
    for axis, offset in zip("yx", about.get("origin", (0, 0)), strict=True):
        for column in (f"centroid_{axis}", f"bbox_{axis}0", f"bbox_{axis}1"):
            table[column] += offset
    with written_atomically(path) as draft:
        table.to_csv(draft, index=False, float_format="%.6g")
