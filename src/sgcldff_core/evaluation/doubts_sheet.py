"""A sheet of pictures of cells whose class is in doubt, to be looked through by a person."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.evaluation.assessment import judged_labels
from sgcldff_core.files import written_atomically

if TYPE_CHECKING:
    from sgcldff_core.evaluation.doubts import Doubt, SourceDoubts
    from sgcldff_core.evaluation.named_cells import CellKey
    from sgcldff_core.sample import Sample

__all__ = ["cell_picture", "doubt_pictures", "draw_doubts"]

_MARGIN = 0.25  # of the cell's larger side, on each side
_COLUMNS, _TILE_INCHES, _DPI = 8, 1.6, 110


def cell_picture(sample: Sample, position: int, classes: Collection[str]) -> NDArray[np.uint8]:
    """Cut a judged cell out of its image.

    Parameters
    ----------
    sample : Sample
        In which the cell is.
    position : int
        From 0 among its judged cells: those whose class is in `classes`, in the sample's order.
    classes : collection of str
        Of the model that judged.

    Returns
    -------
    ndarray
        (h, w, 3) uint8 RGB, the cell with some of what is around it; the whole image where the
        sample has no outline of it.
    """
    image, labels = sample.read_image(), sample.read_labels()
    judged = judged_labels(sample, classes)
    if labels is None or position >= len(judged) or not (labels == judged[position]).any():
        return image
    rows, columns = np.nonzero(labels == judged[position])
    margin = round(_MARGIN * max(np.ptp(rows), np.ptp(columns)) + 1)
    y, x = max(rows.min() - margin, 0), max(columns.min() - margin, 0)
    return image[y : rows.max() + margin + 1, x : columns.max() + margin + 1]


def doubt_pictures(sources: Iterable[SourceDoubts], samples: Sequence[Sample]) -> dict[CellKey, NDArray[np.uint8]]:
    """Cut all cells in doubt out of their images.

    Parameters
    ----------
    sources : iterable of SourceDoubts
        With the cells in doubt.
    samples : sequence of Sample
        The data sets that were judged.

    Returns
    -------
    dict of CellKey to ndarray
        (h, w, 3) uint8 RGB each; a cell whose image is not among the samples is missing.
    """
    known = {(sample.source, sample.name): sample for sample in samples}
    return {
        doubt.key: cell_picture(known[doubt.key.source, doubt.key.name], doubt.key.position, source.classes)
        for source in sources
        for doubt in source.doubts
        if (doubt.key.source, doubt.key.name) in known
    }


def draw_doubts(doubts: Sequence[Doubt], pictures: Mapping[CellKey, NDArray[np.uint8]], target: Path) -> None:
    """Draw one tile a cell, with the class as annotated and as suggested below it.

    Parameters
    ----------
    doubts : sequence of Doubt
        In the order of the tiles; those without a picture are left out.
    pictures : mapping of CellKey to ndarray
        (h, w, 3) uint8 RGB each.
    target : Path
        The PNG to write, whole or not at all.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [doubt for doubt in doubts if doubt.key in pictures]
    rows = max(-(-len(shown) // _COLUMNS), 1)
    figure = Figure(figsize=(_COLUMNS * _TILE_INCHES, rows * _TILE_INCHES * 1.5))
    FigureCanvasAgg(figure)
    figure.set_layout_engine("constrained", h_pad=0.08)  # else the first line of the text is cut
    panels = np.ravel(figure.subplots(rows, _COLUMNS))
    for axes in panels:
        axes.set_axis_off()
    for axes, doubt in zip(panels, shown, strict=False):
        axes.imshow(pictures[doubt.key])
        axes.set_title(
            f"{doubt.key.source}\n{doubt.key.name}\n{doubt.annotated} ({doubt.self_confidence:.2f})\n"
            f"→ {doubt.suggested} ({doubt.suggested_confidence:.2f})",
            fontsize=7,
            parse_math=False,
        )
    with written_atomically(target) as draft:
        figure.savefig(draft, dpi=_DPI)
