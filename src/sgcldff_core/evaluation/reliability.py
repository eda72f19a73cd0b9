"""Whether confidence keeps its word: of the cells named with 90 % confidence, 90 % should be right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sgcldff_core.evaluation.agreement import BINS
from sgcldff_core.evaluation.assessment import MISSED, JudgedCell
from sgcldff_core.files import written_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = ["Reliability", "plot_reliability", "reliability"]

_RIGHT, _TOO_SURE, _TOO_SHY, _INK = "#0072b2", "#d55e00", "#56b4e9", "#333333"  # Okabe and Ito, 2008
_FEW = 5  # cells: the share of so few that is right is mostly chance


@dataclass(frozen=True, slots=True)
class Reliability:
    """Cells sorted into bins of equal width by the confidence of their class.

    Attributes
    ----------
    counts : (B,) int array
        Cells in each bin.
    confidence, accuracy : (B,) float array
        Means in each bin; NaN in an empty one.
    """

    counts: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def error(self) -> float:
        """The expected calibration error; NaN without cells."""
        if not self.counts.sum():
            return float("nan")
        return float(np.nansum(self.counts * np.abs(self.confidence - self.accuracy)) / self.counts.sum())


def reliability(cells: Sequence[JudgedCell], bins: int = BINS) -> Reliability:
    """Hold the confidence of cells against how often they are right.

    Parameters
    ----------
    cells : sequence of JudgedCell
        Those that were missed do not count: nothing was said of them.
    bins : int
        Of equal width from 0 to 1.

    References
    ----------
    Guo et al., On calibration of modern neural networks, ICML 2017.
    """
    seen = [c for c in cells if c.found != MISSED]
    p = np.array([c.confidence for c in seen], float)
    right = np.array([c.true == c.found for c in seen], float)
    which = np.clip((p * bins).astype(int), 0, bins - 1)
    counts = np.bincount(which, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence, accuracy = (np.bincount(which, w, bins) / counts for w in (p, right))
    return Reliability(counts.astype(np.int64), confidence, accuracy)


def plot_reliability(panels: Mapping[str, Reliability], target: Path | str) -> None:
    """Draw one reliability diagram a panel, with the number of cells in each bin below.

    Parameters
    ----------
    panels : mapping of str to Reliability
        By title, such as the source.
    target : Path or str
        A PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure = Figure(figsize=(2.7 * len(panels) + 0.6, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(
        2, len(panels), sharex=True, sharey="row", squeeze=False, gridspec_kw={"height_ratios": [3, 1]}
    )
    for column, (title, bins) in enumerate(panels.items()):
        _draw_bins(grid[0, column], bins)
        _draw_counts(grid[1, column], bins)
        total = bins.counts.sum()
        grid[0, column].set_title(title, loc="left", fontsize=10, fontweight="bold")
        grid[0, column].set_title(f"ECE {bins.error:.3f}" if total else "no cells", loc="right", fontsize=9)
    most = max((int(bins.counts.max()) for bins in panels.values()), default=0)
    grid[1, 0].set_ylim(0, 1.3 * max(most, 1))
    grid[0, 0].set_ylabel("share that is right")
    grid[1, 0].set_ylabel("cells")
    figure.supxlabel(f"confidence in the class found (pale bars: fewer than {_FEW} cells)", fontsize=9)
    keys = [
        Line2D([], [], color=_INK, linewidth=1, linestyle=(0, (4, 3)), label="perfect"),
        Patch(color=_RIGHT, label="right"),
        Patch(color=_TOO_SURE, label="too sure"),
        Patch(color=_TOO_SHY, label="not sure enough"),
    ]
    grid[0, 0].legend(handles=keys, loc="upper left", fontsize=8, frameon=False, handlelength=1.4)
    with written_atomically(Path(target)) as draft:
        figure.savefig(draft, dpi=200)


def _draw_bins(axes: Axes, bins: Reliability) -> None:
    width = 1 / len(bins.counts)
    for number in np.flatnonzero(bins.counts):
        right, sure = bins.accuracy[number], bins.confidence[number]
        pale = 0.3 if bins.counts[number] < _FEW else 1.0
        place = ((number + 0.5) * width, 0.92 * width)
        axes.bar(place[0], min(right, sure), place[1], color=_RIGHT, alpha=pale, zorder=2)
        colour = _TOO_SURE if sure > right else _TOO_SHY
        axes.bar(place[0], abs(right - sure), place[1], min(right, sure), color=colour, alpha=pale, zorder=2)
    axes.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle=(0, (4, 3)), zorder=3)
    axes.set(xlim=(0, 1), ylim=(0, 1.005))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_counts(axes: Axes, bins: Reliability) -> None:
    width = 1 / len(bins.counts)
    axes.bar((np.arange(len(bins.counts)) + 0.5) * width, bins.counts, 0.92 * width, color="#8c8c8c")
    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter("{x:.0f}")
    axes.spines[["top", "right"]].set_visible(False)
