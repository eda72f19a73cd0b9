"""Figures of explanations over a data set: means with intervals, as JSON and as a Markdown table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from sgcldff_core.evaluation.explanation_figures import CONTROLS
from sgcldff_core.evaluation.result_tables import ALL, table_head, table_row
from sgcldff_core.explain import METHODS

if TYPE_CHECKING:
    from sgcldff_core.evaluation.explanation_figures import ExplainedCell, ImageExplanations, Row

__all__ = ["COLUMNS", "confined", "explanation_json", "explanation_markdown", "level_name", "row_means"]

COLUMNS: Mapping[str, str] = {
    "energy": "energy",
    "chance": "chance",
    "gain": "gain",
    "pointing": "pointing",
    "iou": "IoU cell",
    "nucleus_iou": "IoU nucleus",
    "deletion": "deletion",
    "insertion": "insertion",
    "cc": "CC",
    "sim": "SIM",
    "nss": "NSS",
    "kl": "KL",
}
"""Figures in the order of the table."""

_DRAWS = 1000
_TITLES = {"even": "even map", "prior": "saliency prior", "outline": "outline as found"}


def level_name(level: int | None) -> str:
    """Return what a level is called in tables: the fused map, the image, or a stride.

    Parameters
    ----------
    level : int or None
        Stride, 1 for the image, None for the fused map.
    """
    return {None: "fused map", 1: "image"}.get(level, f"stride {level}")


def row_means(cells: Sequence[ExplainedCell]) -> dict[str, float]:
    """Return the mean of every figure over cells; a figure that no cell has is missing.

    Parameters
    ----------
    cells : sequence of ExplainedCell
        Of one row; each weighs the same, whichever image it is in.
    """
    values = [_flat(cell) for cell in cells]
    means = {}
    for name in COLUMNS:
        known = [v[name] for v in values if v.get(name) is not None]
        if known:
            means[name] = float(np.mean(known))
    return means


def explanation_json(images: Sequence[ImageExplanations], rows: Sequence[Row]) -> dict[str, Any]:
    """Return every figure of every cell, and the means by source with the 95 % interval of the energy.

    Parameters
    ----------
    images : sequence of ImageExplanations
        Of one model.
    rows : sequence of Row
        In the order of the table.
    """
    return {
        "summary": {
            source: {
                "images": len(own),
                "cells_missed": sum(i.missed for i in own),
                "rows": [
                    _described(row)
                    | {"cells": sum(len(i.cells[row]) for i in own)}
                    | row_means([cell for i in own for cell in i.cells[row]])
                    | {"energy_interval": _interval(own, row)}
                    for row in rows
                ],
            }
            for source, own in _parted(images).items()
        },
        "images": [
            {
                "name": i.name,
                "source": i.source,
                "missed": i.missed,
                "rows": [_described(row) | {"cells": [_named(c) for c in i.cells[row]]} for row in rows],
            }
            for i in images
        ],
    }


def explanation_markdown(images: Sequence[ImageExplanations], rows: Sequence[Row]) -> str:
    """Return one table a source, a line for each method, level and target.

    Parameters
    ----------
    images : sequence of ImageExplanations
        Of one model.
    rows : sequence of Row
        In the order of the table.
    """
    lines: list[str] = []
    for source, own in _parted(images).items():
        cells = max((sum(len(i.cells[row]) for i in own) for row in rows), default=0)
        missed = sum(i.missed for i in own)
        lines += [f"### {source}", "", f"{len(own)} images, {cells} cells, {missed} more not found.", ""]
        lines += table_head(["method", "of", "target", *COLUMNS.values()], "---:")
        for row in rows:
            means = row_means([cell for i in own for cell in i.cells[row]])
            entries = [f"{means[name]:.3f}" if name in means else "" for name in COLUMNS]
            if confined(row):
                entries[0] = f"({entries[0]})"
            control = row.method in CONTROLS
            title = _TITLES[row.method] if control else METHODS[row.method].title
            place = ["", ""] if control else [level_name(row.level), row.target]
            lines.append(table_row([title, *place, *entries]))
        lines.append("")
    lines += ["An energy in parentheses could hardly fail: such a map is zero wherever the score does not look.", ""]
    return "\n".join(lines)


def confined(row: Row) -> bool:
    """Return whether a row's map can hardly leave the outline that the network pools by, whatever was learned.

    On the fused map the class is pooled inside the outline and the mask is read a few pixels around
    it; what lies below the fused map is seen from further away.

    Parameters
    ----------
    row : Row
        Its method and level decide.
    """
    if row.method in CONTROLS:
        return row.method == "outline"
    return METHODS[row.method].confined and row.level is None


def _parted(images: Sequence[ImageExplanations]) -> dict[str, list[ImageExplanations]]:
    sources = sorted({i.source for i in images})
    parted = {source: [i for i in images if i.source == source] for source in sources}
    return parted | {ALL: list(images)} if len(sources) > 1 else parted


def _described(row: Row) -> dict[str, Any]:
    return {"method": row.method, "level": level_name(row.level), "target": row.target, "confined": confined(row)}


def _flat(cell: ExplainedCell) -> dict[str, Any]:
    return asdict(cell.localisation) | (asdict(cell.faithfulness) if cell.faithfulness else {})


def _named(cell: ExplainedCell) -> dict[str, Any]:
    return {"label": cell.label, "class": cell.kind, "true": cell.true} | _flat(cell)


def _interval(images: Sequence[ImageExplanations], row: Row) -> list[float]:
    """Return the 95 % interval of the mean energy over bootstrap draws of images."""
    sums = np.array([[sum(c.localisation.energy for c in i.cells[row]), len(i.cells[row])] for i in images])
    if not sums.size or not sums[:, 1].any():
        return []
    drawn = np.random.default_rng(0).integers(0, len(sums), (_DRAWS, len(sums)))
    total, count = sums[drawn].sum(1).T
    low, high = np.quantile(total[count > 0] / count[count > 0], (0.025, 0.975))
    return [float(low), float(high)]
