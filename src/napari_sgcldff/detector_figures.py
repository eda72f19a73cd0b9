"""How good a saliency is as a detector of cells by itself, in figures that say what to think of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sgcldff.figures import Figure, verdict_of

if TYPE_CHECKING:
    from sgcldff_core.evaluation.prior_figures import PriorFigures

__all__ = ["detector_figures"]


def detector_figures(figures: PriorFigures) -> list[Figure]:
    """Return how good a saliency is as a detector by itself, measure by measure.

    Parameters
    ----------
    figures : PriorFigures
        As measured against labelled cells.
    """
    return [
        Figure(
            "Tells cells apart",
            f"AUC {figures.auc:.3f}",
            verdict_of(figures.auc, 0.8, 0.95),
            "Area under the ROC curve: how often a pixel of a cell is more salient than one of the background. "
            "0.5 is chance, 1 always. "
            "Good from 0.95, poor below 0.80.",
        ),
        Figure(
            "Best overlap",
            f"{100 * figures.iou:.0f} % at {figures.threshold:.2f}",
            verdict_of(figures.iou, 0.4, 0.65),
            "Overlap (intersection over union) of the cells with what is above the threshold that suits best. "
            "Good from 65 %, poor below 40 %.",
        ),
        Figure(
            "Saliency in the cells",
            f"{100 * figures.energy:.0f} % of it",
            verdict_of(figures.energy, 0.3, 0.6),
            f"Share of all saliency that lies on cells, which cover {100 * figures.foreground:.0f} % of the image. "
            "Good from 60 %, poor below 30 %.",
        ),
    ]
