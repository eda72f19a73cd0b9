"""What the sanity checks of an explanation say: a verdict in words, tables, and a picture of the maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sgcldff_core.evaluation.result_tables import table_head, table_row
from sgcldff_core.evaluation.sanity_weights import INTACT
from sgcldff_core.files import write_json, written_atomically
from sgcldff_core.inference.evidence_picture import coloured

if TYPE_CHECKING:
    from sgcldff_core.evaluation.map_similarity import Similarity
    from sgcldff_core.evaluation.sanity_labels import LabelCheck
    from sgcldff_core.evaluation.sanity_weights import CellSeries

__all__ = ["SanityReport", "write_sanity"]

_LIMIT = 0.5  # of the mean rank correlation: above it, a map is much what it was
_ENOUGH = 8  # cells; one alone may keep its map by chance
_DRAWS = 1000
_SHOWN, _SIDE, _GAP = 6, 112, 6  # cells in the picture; px
_INK, _PAPER = (20, 20, 20), (250, 250, 250)


@dataclass(frozen=True, slots=True, eq=False)
class SanityReport:
    """Both checks of one method.

    Attributes
    ----------
    title : str
        Method, level and target.
    series : tuple of CellSeries
        Of `sgcldff_core.evaluation.sanity_weights.cascade`, at least one.
    labels : LabelCheck or None
        None where it was not tried: for the mask, or on images without classes.
    """

    title: str
    series: tuple[CellSeries, ...]
    labels: LabelCheck | None

    @property
    def depths(self) -> dict[str, tuple[float, float]]:
        """Mean rank correlation and SSIM with the intact network's maps, by depth."""
        names = list(self.series[0].similarity)
        return {name: _means([cell.similarity[name] for cell in self.series]) for name in names}

    @property
    def findings(self) -> dict[str, bool]:
        """Whether each statement holds; a map worth looking at needs all of them."""
        ranks = {name: rank for name, (rank, _) in self.depths.items() if name != INTACT}
        found = {
            f"changes with the weights of the {next(iter(ranks))}": next(iter(ranks.values())) < _LIMIT,
            "changes when all weights are randomised": list(ranks.values())[-1] < _LIMIT,
        }
        if self.labels is not None:
            found["changes with the labels that were learned"] = _surely_apart(self.labels)
        return found

    @property
    def passed(self) -> bool:
        """Whether all findings hold."""
        return all(self.findings.values())

    @property
    def verdict(self) -> str:
        """One sentence."""
        failed = [statement.removeprefix("changes ") for statement, holds in self.findings.items() if not holds]
        if not failed:
            return f"{self.title}: passes; its maps are of what the network learned."
        return f"{self.title}: fails; its maps do not change {', nor '.join(failed)}."

    @property
    def caution(self) -> str:
        """One sentence where the verdict rests on few cells; empty otherwise."""
        if len(self.series) >= _ENOUGH:
            return ""
        cells = "1 cell" if len(self.series) == 1 else f"{len(self.series)} cells"
        return f"This rests on {cells}; with fewer than {_ENOUGH} it may be chance. Name more images."

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "title": self.title,
            "passed": self.passed,
            "verdict": self.verdict,
            "caution": self.caution,
            "findings": self.findings,
            "cells": len(self.series),
            "limit_rank": _LIMIT,
            "depths": {name: {"rank": rank, "ssim": ssim} for name, (rank, ssim) in self.depths.items()},
            "labels": None if self.labels is None else asdict(self.labels),
        }

    def to_markdown(self) -> str:
        """Return both tables and the verdict."""
        lines = [f"# Sanity: {self.title}", "", f"{self.verdict} {self.caution}".rstrip(), ""]
        lines += [f"Weights randomised from the head down, each row with all above it; {len(self.series)} cells.", ""]
        lines += table_head(["randomised down to", "rank correlation", "SSIM"], "---:")
        lines += [table_row([name, f"{rank:.3f}", f"{ssim:.3f}"]) for name, (rank, ssim) in self.depths.items()]
        if self.labels is not None:
            known = self.labels
            learned = ", ".join(f"{share:.0%}" for share in known.fitted)
            lines += ["", f"Last layers taught anew on {known.cells} cells; learned {learned} of their labels.", ""]
            lines += table_head(["maps of two heads", "rank correlation", "SSIM"], "---:")
            for name, pairs in (("both true labels", known.true_labels), ("true, shuffled", known.shuffled_labels)):
                rank, ssim = _means(pairs)
                lines.append(table_row([name, f"{rank:.3f}", f"{ssim:.3f}"]))
        return "\n".join([*lines, "", "![Maps by depth](sanity.png)", ""])


def write_sanity(report: SanityReport, folder: Path) -> None:
    """Write ``sanity.json``, ``sanity.md`` and ``sanity.png``.

    Parameters
    ----------
    report : SanityReport
        Of one method.
    folder : Path
        Made if it is missing.
    """
    write_json(folder / "sanity.json", report.to_dict())
    with written_atomically(folder / "sanity.md") as draft:
        draft.write_text(report.to_markdown(), encoding="utf-8")
    with written_atomically(folder / "sanity.png") as draft:
        _picture(report.series[:_SHOWN]).save(draft)


def _means(pairs: Sequence[Similarity]) -> tuple[float, float]:
    return float(np.mean([p.rank for p in pairs])), float(np.mean([p.ssim for p in pairs]))


def _surely_apart(check: LabelCheck) -> bool:
    """Return whether maps differ more between true and shuffled labels than between true ones, beyond chance."""
    pairs = zip(check.true_labels, check.shuffled_labels, strict=True)
    lead = np.array([same.rank - other.rank for same, other in pairs])
    drawn = np.random.default_rng(0).integers(0, len(lead), (_DRAWS, len(lead)))
    return float(np.quantile(lead[drawn].mean(1), 0.025)) > 0


def _picture(series: Sequence[CellSeries]) -> Image.Image:
    """Draw one row a cell: the cell itself, then its map at each depth."""
    names = list(series[0].maps)
    font = ImageFont.load_default(13)
    head = 24
    step = _SIDE + _GAP
    size = (step * (len(names) + 1) + _GAP, head + step * len(series) + _GAP)
    out = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(out)
    for column, name in enumerate(["cell", *names]):
        draw.text((_GAP + column * step + _SIDE / 2, head / 2 + 2), name, fill=_INK, font=font, anchor="mm")
    for row, cell in enumerate(series):
        tiles = [cell.pixels, *(coloured(values) for values in cell.maps.values())]
        for column, tile in enumerate(tiles):
            shown = Image.fromarray(tile).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR)
            out.paste(shown, (_GAP + column * step, head + row * step))
    return out
