"""From the regions of a slide to its cells: each once, numbered, in one table and one label image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sgcldff_core.cells import cell_columns
from sgcldff_core.extras import wants_extra
from sgcldff_core.files import written_atomically
from sgcldff_core.inference.slide.labels import LabelWriter
from sgcldff_core.inference.slide.region import OUTLINE, outlines_in
from sgcldff_core.inference.stitching import Stitcher

if TYPE_CHECKING:
    from sgcldff_core.inference.slide.ledger import Ledger
    from sgcldff_core.inference.slide.plan import SlidePlan

__all__ = ["LABELS_SUFFIX", "TABLE_SUFFIX", "Stitched", "load_pyarrow", "stitch"]

LABELS_SUFFIX, TABLE_SUFFIX = "_labels.ome.zarr", "_cells.parquet"

_TEXT = ("image", "class", "review_reason")
_WHOLE = ("label", "bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1", "area_px", "nucleus_area_px")


@dataclass(frozen=True, slots=True, eq=False)
class Stitched:
    """What a slide holds, in short.

    Attributes
    ----------
    cells : DataFrame
        Columns ``image``, ``label``, ``class``, ``needs_review``, ``centroid_y``, ``centroid_x``:
        the whole table is in the file.
    worth : Counter
        Number of regions by what they were found worth.
    """

    cells: pd.DataFrame
    worth: Counter[str]


def load_pyarrow() -> Any:
    """Return the package pyarrow, or say what to install.

    Raises
    ------
    ConfigError
        If it is not installed.
    """
    with wants_extra("slides", "slides"):
        import pyarrow
        import pyarrow.parquet
    return pyarrow


def stitch(
    ledger: Ledger,
    plan: SlidePlan,
    classes: Sequence[str],
    folder: Path,
    stem: str,
    step: Callable[[int, int], None] | None = None,
) -> Stitched:
    """Write the label image and the table of a slide whose regions are all done.

    Parameters
    ----------
    ledger : Ledger
        With all regions of the plan.
    plan : SlidePlan
        Of the slide.
    classes : sequence of str
        Of the model.
    folder : Path
        Where to write ``<stem>_labels.ome.zarr`` and ``<stem>_cells.parquet``.
    stem : str
        What the names begin with.
    step : callable, optional
        Called with regions done and regions in all.

    Returns
    -------
    Stitched
        The cells are numbered in the order of their regions, from 1.
    """
    pyarrow = load_pyarrow()
    regions, worth = plan.regions(), ledger.done()
    stitcher, labels = Stitcher(plan.diameter), LabelWriter(folder / f"{stem}{LABELS_SUFFIX}", plan.shape)
    short, count = [], 0
    schema = pyarrow.Schema.from_pandas(_typed(pd.DataFrame(columns=cell_columns(classes))), preserve_index=False)
    with (
        written_atomically(folder / f"{stem}{TABLE_SUFFIX}") as draft,
        pyarrow.parquet.ParquetWriter(draft, schema) as writer,
    ):
        for index, (box, core) in enumerate(regions):
            if step is not None:
                step(index, len(regions))
            if worth[index] != "cells":
                continue
            seen = ledger.cells(index)
            outlines = outlines_in(seen)
            rows = stitcher.take(plan.on_slide(box), plan.on_slide(core), outlines)
            if not rows:
                continue
            labels.put([outlines[row] for row in rows], count + 1)
            own = seen.iloc[rows].drop(columns=OUTLINE)
            own["label"], own["image"] = np.arange(count + 1, count + len(rows) + 1), stem
            own = _typed(own[cell_columns(classes)])
            writer.write_table(pyarrow.Table.from_pandas(own, schema, preserve_index=False))
            short.append(own[["image", "label", "class", "needs_review", "centroid_y", "centroid_x"]])
            count += len(rows)
    labels.finish()
    cells = pd.concat(short, ignore_index=True) if short else _typed(pd.DataFrame(columns=cell_columns(classes)))
    return Stitched(cells, Counter(worth.values()))


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose types do not depend on what is in it."""
    kinds: dict[str, Any] = dict.fromkeys(table.columns, np.float64)
    kinds |= dict.fromkeys(_TEXT, "str") | dict.fromkeys(_WHOLE, np.int64) | {"needs_review": np.bool_}
    return table.astype(kinds).reset_index(drop=True)
