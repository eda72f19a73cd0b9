"""What the tables of cross-validation, ablation and comparison have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sgcldff_core.evaluation.intervals import common_images, paired_difference

if TYPE_CHECKING:
    from sgcldff_core.evaluation.assessment import ImageAssessment
    from sgcldff_core.evaluation.intervals import Difference

__all__ = [
    "ALL",
    "TITLES",
    "by_source",
    "choose_columns",
    "difference_rows",
    "differences_by_source",
    "table_head",
    "table_row",
]

ALL = "all"
"""Stands for all sources together."""

TITLES: Mapping[str, str] = {
    "disc_iou": "IoU, centred disc (baseline)",
    "iou": "IoU, leukocyte mask",
    "cell_iou": "IoU, per cell (missed = 0)",
    "nucleus_iou": "IoU, nucleus",
    "right_count": "images with the right count",
    "count_error": "count error per image",
    "box_f1": "F1 of boxes at IoU 0.5",
    "accuracy": "class accuracy (missed = wrong)",
    "macro_f1": "class macro-F1",
    "calibration_error": "calibration error (15 bins)",
    "cells_named": "cells with a known class",
}
"""The figures of `summarise` in the order of a table; the baseline comes first."""


def by_source(images: Sequence[ImageAssessment], *, all_of_one: bool = True) -> dict[str, list[ImageAssessment]]:
    """Part images by source, and put all of them together once more.

    Parameters
    ----------
    images : sequence of ImageAssessment
        Nothing comes of none.
    all_of_one : bool
        Whether `ALL` is there even if there is one source.
    """
    sources = sorted({i.source for i in images})
    parted = {source: [i for i in images if i.source == source] for source in sources}
    return parted | {ALL: list(images)} if len(sources) > 1 or (sources and all_of_one) else parted


def choose_columns(figures: Iterable[Mapping[str, Mapping[str, float]]], names: Iterable[str]) -> list[tuple[str, str]]:
    """Choose the columns of a table.

    Parameters
    ----------
    figures : iterable of mapping
        Of each row: source, then figure.
    names : iterable of str
        Figures in their order.

    Returns
    -------
    list of tuple of str
        Source and figure: IoU of each source, then all other figures over all images.
    """
    rows = list(figures)
    sources = sorted({source for row in rows for source in row})
    whole = ALL if ALL in sources else sources[0] if sources else ALL
    known = {name for row in rows for name in row.get(whole, ())}
    columns = [(source, "iou") for source in sources if source != ALL]
    return columns + [(whole, name) for name in names if name in known and name != "iou"]


def differences_by_source(
    runs: Sequence[Sequence[ImageAssessment]],
    others: Sequence[Sequence[ImageAssessment]],
    names: Iterable[str],
    draws: int,
    *,
    all_of_one: bool = True,
) -> dict[str, dict[str, Difference]]:
    """Compare runs with other ones, over the images that all of them judged.

    Parameters
    ----------
    runs, others : sequence of runs
        Figures are averaged over the runs of either.
    names : iterable of str
        Figures that count.
    draws : int
        Of the bootstrap.
    all_of_one : bool
        See `by_source`.

    Returns
    -------
    dict of str to dict of str to Difference
        Source, then figure: `runs` minus `others`.
    """
    parted = [by_source(run, all_of_one=all_of_one) for run in common_images([*runs, *others])]
    first, second = parted[: len(runs)], parted[len(runs) :]
    found = {}
    for source in first[0]:
        differences = paired_difference([p[source] for p in first], [p[source] for p in second], draws=draws)
        found[source] = {name: differences[name] for name in names if name in differences}
    return found


def difference_rows(
    rows: Iterable[tuple[str, Mapping[str, Mapping[str, Difference]]]], columns: Sequence[tuple[str, str]]
) -> list[str]:
    """Write differences as lines of a Markdown table: value, interval and p; bold where p is below 0.05.

    Parameters
    ----------
    rows : iterable of tuple of str and mapping
        Title, and differences by source and figure; a row without any is left out.
    columns : sequence of tuple of str
        Source and figure of each.
    """
    return [
        table_row([title, *(_told(found.get(source, {}).get(name)) for source, name in columns)])
        for title, found in rows
        if found
    ]


def table_head(titles: Sequence[str], numbers: str = "---") -> list[str]:
    """Return the first two lines of a Markdown table.

    Parameters
    ----------
    titles : sequence of str
        Of the columns.
    numbers : {"---", "---:"}
        Under all columns but the first, which aligns them.
    """
    return [table_row(titles), table_row(["---", *(numbers for _ in titles[1:])])]


def table_row(cells: Sequence[str]) -> str:
    """Return one line of a Markdown table.

    Parameters
    ----------
    cells : sequence of str
        From left to right, without the character ``|``.
    """
    return f"| {' | '.join(cells)} |"


def _told(difference: Difference | None) -> str:
    if difference is None:
        return ""
    value = f"{difference.value:+.3f}"
    shown = f"**{value}**" if difference.p < 0.05 else value
    return f"{shown} [{difference.low:+.3f}, {difference.high:+.3f}] {difference.p:.3f}"
