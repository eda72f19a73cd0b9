"""Picture sheets: rows of tiles, each an image with what was annotated and what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import find_contours

from sgcldff_core.evaluation.assessment import judged_labels
from sgcldff_core.files import written_atomically
from sgcldff_core.inference import predict_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from sgcldff_core.evaluation.crossval import Plan
    from sgcldff_core.evaluation.worst import Case
    from sgcldff_core.model import Model

__all__ = ["Tile", "draw_sheet", "make_tile"]

Scalar = TypeVar("Scalar", bound=np.generic)

_ANNOTATED, _FOUND, _RIM = "#ffffff", "#ffd400", "#101010"
_ACROSS = 6
_MARGIN = 0.25  # of the longer side of what is outlined
_SIDE = 1.75  # of a tile, inches


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A square cut out of an image.

    Attributes
    ----------
    image : ndarray
        (S, S, 3) uint8 RGB.
    annotated, found : ndarray
        (S, S) int32 instance labels, 0 background.
    caption : str
        A few short lines.
    """

    image: NDArray[np.uint8]
    annotated: NDArray[np.int32]
    found: NDArray[np.int32]
    caption: str


def make_tile(case: Case, plan: Plan, model: Model) -> Tile:
    """Predict one image again with the network that judged it, and cut out what matters.

    Parameters
    ----------
    case : Case
        What to show.
    plan : Plan
        Whose trial it is from.
    model : Model
        Of that trial.

    Returns
    -------
    Tile
        Around the cell that is meant, or around everything annotated and found.
    """
    judged = case.image
    sample = next(s for s in plan.samples if (s.source, s.name) == (judged.source, judged.name))
    image = sample.read_image()
    found = predict_image(image, model, diameter=plan.diameter, flips=plan.flips).labels
    annotated = sample.read_labels()
    if annotated is None:
        annotated = np.zeros(found.shape, np.int32)
    meant = (annotated > 0) | (found > 0)
    if case.cell is not None and sample.classes:
        meant = annotated == judged_labels(sample, model.config.classes)[case.cell]
    window = _window(meant)
    return Tile(
        _cut(image, window, int(np.median(image))), _cut(annotated, window, 0), _cut(found, window, 0), _caption(case)
    )


def draw_sheet(
    rows: Mapping[str, Sequence[Case]],
    tile_of: Callable[[Case], Tile],
    target: Path | str,
) -> None:
    """Draw titled rows of tiles as one PNG.

    Parameters
    ----------
    rows : mapping of str to sequence of Case
        By title; six to a line.
    tile_of : callable
        Makes the tile of a case, such as `make_tile`.
    target : Path or str
        A PNG.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import Normal, Stroke

    lines = [
        (title if start == 0 else "", cases[start : start + _ACROSS])
        for title, cases in rows.items()
        for start in range(0, len(cases), _ACROSS)
    ]
    figure = Figure(figsize=(_SIDE * _ACROSS + 0.3, (_SIDE + 0.62) * len(lines) + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(lines), _ACROSS, squeeze=False)
    for axes_row, (title, cases) in zip(grid, lines, strict=True):
        for axes in axes_row:
            axes.set_axis_off()
        for axes, case in zip(axes_row, cases, strict=False):
            _draw(axes, tile_of(case))
        if title:
            # It may run over the tiles beside it, which a title of the axes would push away; the blank
            # one keeps the room for it.
            axes_row[0].set_title(" ", fontsize=10)
            place = axes_row[0].transAxes
            axes_row[0].text(0, 1.04, title, transform=place, fontsize=10, fontweight="bold").set_in_layout(False)
    rim = [Stroke(linewidth=3.4, foreground=_RIM), Normal()]
    keys = [
        Line2D([], [], color=colour, linewidth=2, label=label, path_effects=rim)
        for colour, label in ((_ANNOTATED, "annotated"), (_FOUND, "found"))
    ]
    figure.legend(handles=keys, loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    with written_atomically(Path(target)) as draft:
        figure.savefig(draft, dpi=160)


def _draw(axes: Axes, tile: Tile) -> None:
    axes.imshow(tile.image, interpolation="bicubic")
    # A dark rim under both keeps them visible on pale plasma and on dark nuclei.
    for labels, colour, width in ((tile.annotated, _ANNOTATED, 1.4), (tile.found, _FOUND, 1.1)):
        for outline in _outlines(labels):
            axes.plot(outline[:, 1], outline[:, 0], color=_RIM, linewidth=width + 0.9, alpha=0.55)
        for outline in _outlines(labels):
            axes.plot(outline[:, 1], outline[:, 0], color=colour, linewidth=width)
    height, width_px = tile.image.shape[:2]
    axes.set(xlim=(-0.5, width_px - 0.5), ylim=(height - 0.5, -0.5))
    axes.text(0, -0.03, tile.caption, transform=axes.transAxes, fontsize=6.5, va="top", linespacing=1.25)


def _outlines(labels: NDArray[np.int32]) -> list[NDArray[np.float64]]:
    found = []
    for label in np.unique(labels[labels > 0]):
        # One pixel of smoothing takes the stairs off; the padding closes outlines at the edge.
        soft = ndimage.gaussian_filter(np.pad(labels == label, 1).astype(np.float32), 0.7)
        found += [contour - 1 for contour in find_contours(soft, 0.5)]
    return found


def _caption(case: Case) -> str:
    image = case.image
    numbers = [] if image.iou is None else [f"IoU {image.iou:.3f}"]
    if image.cells is not None and image.cells != image.cells_found:
        numbers.append(f"cells: {image.cells} annotated, {image.cells_found} found")
    chosen = range(len(image.classes)) if case.cell is None else [case.cell]
    names = []
    for cell in (image.classes[i] for i in chosen):
        sure = f" ({cell.confidence:.2f})" if cell.probabilities else ""
        names.append(f"{cell.true} → {cell.found}{sure}" if cell.true != cell.found else f"{cell.true}{sure}")
    return "\n".join([image.name, *numbers, *names[:2]])


def _window(meant: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Return top, left and side of a square around what is meant; the whole image if that is nothing."""
    rows, columns = (np.flatnonzero(meant.any(axis)) for axis in (1, 0))
    if not len(rows):
        rows, columns = np.arange(meant.shape[0]), np.arange(meant.shape[1])
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    side = int(np.ceil(extent * (1 + 2 * _MARGIN)))
    side = min(side, max(meant.shape))
    corner = [
        int(np.clip((span[0] + span[-1] + 1 - side) // 2, min(0, length - side), max(0, length - side)))
        for span, length in zip((rows, columns), meant.shape, strict=True)
    ]
    return corner[0], corner[1], side


def _cut(array: NDArray[Scalar], window: tuple[int, int, int], fill: int) -> NDArray[Scalar]:
    """Cut out a square; what is outside the image is filled."""
    top, left, side = window
    out = np.full((side, side, *array.shape[2:]), fill, array.dtype)
    y0, x0 = max(top, 0), max(left, 0)
    part = array[y0 : top + side, x0 : left + side]
    out[y0 - top : y0 - top + part.shape[0], x0 - left : x0 - left + part.shape[1]] = part
    return out
