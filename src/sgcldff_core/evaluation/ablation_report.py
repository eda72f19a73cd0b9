"""The ablation's table as people read it, and as programs do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sgcldff_core.evaluation.ablation import ROWS
from sgcldff_core.evaluation.ablation_table import FIGURES, RowResult
from sgcldff_core.evaluation.result_tables import choose_columns, difference_rows, table_head, table_row
from sgcldff_core.files import write_json, written_atomically

if TYPE_CHECKING:
    from sgcldff_core.evaluation.ablation_guidance import Guidance

__all__ = ["markdown", "table_columns", "table_figure", "write_report"]


def write_report(results: Sequence[RowResult], out: Path, title: str, settings: Mapping[str, Any]) -> None:
    """Write ``ablate.json`` and ``ablate.md``.

    Parameters
    ----------
    results : sequence of RowResult
        From `tabulate`.
    out : Path
        The ablation's folder.
    title : str
        What was learned from and judged, as a sentence.
    settings : mapping
        What all trials share, as plain JSON types.
    """
    content = {"title": title, "settings": dict(settings), "rows": {r.name: r.to_dict() for r in results}}
    write_json(out / "ablate.json", content)
    with written_atomically(out / "ablate.md") as draft:
        draft.write_text(markdown(results, title), encoding="utf-8")


def markdown(results: Sequence[RowResult], title: str) -> str:
    """Write the table, the differences to the full recipe, and what the prior does within the networks.

    Parameters
    ----------
    results : sequence of RowResult
        From `tabulate`.
    title : str
        What was learned from and judged, as a sentence.

    Returns
    -------
    str
        Markdown.
    """
    columns = table_columns(results)
    heads = [f"{FIGURES[name]}, {source}" for source, name in columns]
    lines = ["# Ablation", "", title, "", "## Figures", "", *table_head(["row", "networks", *heads])]
    for r in results:
        done = f"{r.finished}" if r.finished == r.planned else f"{r.finished} of {r.planned}, not finished"
        lines.append(table_row([ROWS[r.name].title, done, *(table_figure(r, *column) for column in columns)]))
    lines += [
        "",
        "Mean over seeds, ± the standard deviation over seeds where there are several. A seed counts once all of its "
        "parts are judged.",
        "",
        "## Difference to the full recipe",
        "",
        *table_head(["row", *heads]),
    ]
    lines += difference_rows([(ROWS[r.name].title, r.differences) for r in results], columns)
    lines += [
        "",
        "Difference [95 % interval] p, from a paired bootstrap over images, figures averaged over seeds. It tells what "
        "other images would do to the difference, not what other seeds would; p is not corrected for the number of "
        "rows. Bold: p below 0.05.",
        "",
    ]
    lines += _guidance(results)
    lines += ["## Rows", "", *(f"- **{ROWS[r.name].title}** (`{r.name}`): {ROWS[r.name].explanation}" for r in results)]
    return "\n".join(lines) + "\n"


def table_columns(results: Sequence[RowResult]) -> list[tuple[str, str]]:
    """Choose the columns of a table.

    Parameters
    ----------
    results : sequence of RowResult
        Of all rows.

    Returns
    -------
    list of tuple of str
        Source and figure: IoU of each source, then all other figures over all images.
    """
    return choose_columns([r.figures for r in results], FIGURES)


def table_figure(result: RowResult, source: str, name: str) -> str:
    """Return one figure of a row as text, with its spread over seeds; nothing where it is not known.

    Parameters
    ----------
    result : RowResult
        One row of the ablation.
    source : str
        A data set, or the name under which all are put together.
    name : str
        A figure, such as ``"iou"``.
    """
    value = result.figures.get(source, {}).get(name)
    if value is None:
        return ""
    spread = result.spread.get(source, {}).get(name)
    return f"{value:.3f}" if spread is None else f"{value:.3f} ± {spread:.3f}"


def _guidance(results: Sequence[RowResult]) -> list[str]:
    seen = [r for r in results if r.guidance]
    if not seen:
        return []
    lines = ["## What the prior does within the networks", ""]
    lines += table_head(
        ["row", "α from stride 4 on", "prior channel", "vote", "activation inside", "area inside"]
        + [f"{title} without the prior" for title in ("IoU", "accuracy", "macro-F1")]
    )
    for r in seen:
        alphas = [g.alpha for g in r.guidance if g.alpha]
        votes = [g.vote for g in r.guidance if g.vote]
        channels = [g.channel_weight for g in r.guidance if g.channel_weight is not None]
        lines.append(
            table_row(
                [
                    ROWS[r.name].title,
                    ", ".join(f"{a:.2f}" for a in np.mean(alphas, 0)) if alphas else "none",
                    f"{np.mean(channels):.2f}" if channels else "none",
                    "{:.1f} at {:.2f}".format(*np.mean(votes, 0)) if votes else "none",
                    f"{np.mean([g.inside for g in r.guidance]):.3f}",
                    f"{np.mean([g.area for g in r.guidance]):.3f}",
                    *(_loss(r.guidance, prefix) for prefix in ("iou_", "accuracy", "macro_f1")),
                ]
            )
        )
    return [
        *lines,
        "",
        "Means over finished networks. Every α starts at 0.3; the prior channel is the norm of its weights over the "
        "mean norm of red, green and blue, and starts at 0. The vote is in logits, from no saliency to full, and turns "
        "at the saliency named; it starts at 2.5 at 0.35. Activation inside is the share of the fused map's "
        "activation within the leukocytes, area inside what it would be by chance. The last columns: by how much "
        "figures change when a trained network is given a prior of zeros, at the canonical scale (IoU: mean of the "
        "sources).",
        "",
    ]


def _loss(guidance: Sequence[Guidance], prefix: str) -> str:
    changes = [
        np.mean([g.blank_figures[name] - value for name, value in g.figures.items() if name.startswith(prefix)])
        for g in guidance
        if any(name.startswith(prefix) for name in g.figures)
    ]
    return f"{np.mean(changes):+.3f}" if changes else ""
