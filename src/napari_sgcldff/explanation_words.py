"""An explanation in words and figures: what speaks for the name, what for the next one, and whether it is sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_sgcldff.figures import Figure, Verdict, verdict_of

if TYPE_CHECKING:
    from sgcldff_core.inference.explain_cell import CellExplanation

__all__ = ["evidence_in_words", "figures_of", "why_in_words"]

# Poor is what the review asks a look for; good are nine of ten cells of 83 of BCCD and Zheng.
_OVERLAP, _RANK = (0.05, 0.08), (0.1, 0.25)
_CLEAR_LEAD = 0.25  # in probability: below, the review asks for a look
_ALIKE = 0.85  # correlation above which two maps show the same place


def figures_of(cell: CellExplanation) -> list[Figure]:
    """Return how far the explanation of a cell can be trusted, measure by measure, the sum of them last.

    Parameters
    ----------
    cell : CellExplanation
        The cell.
    """
    return [
        Figure(
            "Evidence in the cell",
            f"{100 * cell.energy:.0f} %",
            verdict_of(cell.energy, 0.2, 0.9),
            "Share of the evidence that lies inside the outline; 0 % is chance, 100 % all of it. "
            "Good from 90 %, poor below 20 %.",
        ),
        Figure(
            "Strongest point",
            "in the cell" if cell.pointing else "elsewhere",
            Verdict.GOOD if cell.pointing else Verdict.POOR,
            "Whether the place that speaks most for the name is inside the outline.",
        ),
        Figure(
            "Cell covered",
            f"{100 * cell.overlap:.0f} %",
            verdict_of(cell.overlap, *_OVERLAP),
            "Overlap (intersection over union) of the outline with the strongest half of the evidence. "
            "It is on the nucleus as a rule. "
            f"Good from {100 * _OVERLAP[1]:.0f} %, poor below {100 * _OVERLAP[0]:.0f} %, where a single spot decides.",
        ),
        Figure(
            "Agrees with saliency",
            f"{cell.rank:+.2f}",
            verdict_of(cell.rank, *_RANK),
            "Rank correlation of the evidence with the saliency of the stain, from −1 to 1. "
            f"Good from {_RANK[1]:.2f}, poor below {_RANK[0]:.2f}.",
        ),
        Figure(
            "Outline is firm",
            f"{100 * cell.stability:.0f} %",
            verdict_of(cell.stability, 0.85, 0.95),
            "Overlap of the outline as seen directly and as seen in a mirror. Good from 95 %, poor below 85 %.",
        ),
        Figure(
            "Consistency",
            f"{cell.consistency:.2f}",
            Verdict.POOR if cell.reason else verdict_of(cell.consistency, 0.0, 0.75),
            "How far name and outline can be trusted, from 0 to 1, by all that is known of the cell; the column "
            "saliency_consistency of the table. Poor where a look at the cell is asked for, good from 0.75.",
        ),
    ]


def evidence_in_words(cell: CellExplanation, kind: str) -> str:
    """Say on which parts of the cell the evidence for a class lies.

    Parameters
    ----------
    cell : CellExplanation
        The cell.
    kind : str
        A class that was explained.
    """
    shown = cell.activation[kind]
    total = float(shown.sum())
    if total <= 0:
        return "nothing speaks for it"
    parts = {
        "nucleus": cell.nucleus,
        "cytoplasm": cell.inside & ~cell.nucleus,
        "around": ~cell.inside,
    }
    shares = {name: float(shown[part].sum()) / total for name, part in parts.items()}
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items() if round(100 * share) >= 1)


def why_in_words(cell: CellExplanation) -> str:
    """Say why a cell has its name and not the next one.

    Parameters
    ----------
    cell : CellExplanation
        The cell.
    """
    other = cell.runner_up
    if other is None:
        return f"The model knows no other class than {cell.named}."
    first, second = cell.probabilities[cell.named], cell.probabilities[other]
    if first - second < _CLEAR_LEAD:
        lead = f"{other.capitalize()} is almost as likely as {cell.named}"
    elif second < 0.01:
        lead = f"{other.capitalize()} comes next, but hardly anything speaks for it"
    else:
        lead = f"{cell.named.capitalize()} is {first / second:.0f} times as likely as {other}"
    one, two = cell.activation[cell.named], cell.activation[other]
    if not one.any() or not two.any():
        return f"{lead}."
    alike = float(np.corrcoef(one.ravel(), two.ravel())[0, 1])
    if alike >= _ALIKE:
        return f"{lead}. Both are argued from the same place: its texture decides."
    return f"{lead}. The two are argued from different places: compare them."
