"""The confusion matrix as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sgcldff_core.evaluation.assessment import MISSED
from sgcldff_core.files import written_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sgcldff_core.evaluation.crossval_figures import Scope

__all__ = ["plot_confusion"]


def plot_confusion(panels: Sequence[Scope], target: Path | str) -> None:
    """Draw one matrix a scope: counts written, shares of each row as shade.

    Parameters
    ----------
    panels : sequence of Scope
        With cells of known class.
    target : Path or str
        A PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = min(2, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(4.6 * across, 4.0 * down), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes, scope in zip(grid, panels, strict=False):
        _draw(axes, scope)
    with written_atomically(Path(target)) as draft:
        figure.savefig(draft, dpi=200)


def _draw(axes: Axes, scope: Scope) -> None:
    counts = np.array(scope.confusion)
    shares = counts / counts.sum(1, keepdims=True)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.55 else "#222222"
            shown = f"{count}\n{100 * shares[row, column]:.0f} %"
            axes.text(column, row, shown, ha="center", va="center", color=colour, fontsize=8, linespacing=1.15)
    columns = ["missed" if c == MISSED else c for c in scope.columns]
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(len(scope.labels)), scope.labels, fontsize=8)
    axes.set_xlabel("found", fontsize=9)
    axes.set_ylabel("annotated", fontsize=9)
    right = int(sum(counts[i, i] for i in range(len(scope.labels))))
    title = f"{scope.name}: {right} of {counts.sum()} right"
    axes.set_title(title, loc="left", fontsize=10, fontweight="bold")
    # Thin white lines part the cells.
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(scope.labels) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
