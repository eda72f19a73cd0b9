"""What the network makes of cells that are already outlined: names, figures and reasons to look again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.inference.classification import classify_cells
from sgcldff_core.inference.explanation import explain_cells
from sgcldff_core.inference.instances import rim
from sgcldff_core.inference.trust import gather_evidence, review_cells

if TYPE_CHECKING:
    from sgcldff_core.explain import Agreement
    from sgcldff_core.inference.neighbourhood import LabelledField, Neighbourhood
    from sgcldff_core.model import Model

__all__ = ["Judgement"]


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """All cells of a neighbourhood, in the order of their labels there; those of the table of cells.

    Attributes
    ----------
    probabilities : ndarray
        (M, classes) float32, calibrated.
    agreement : Agreement
        Of the evidence for each cell's name on the fused map with its outline.
    stability, consistency : ndarray
        (M,) float32 in [0, 1].
    reasons : list of str
        Why a person should look at a cell; empty where nobody needs to.
    """

    probabilities: NDArray[np.float32]
    agreement: Agreement
    stability: NDArray[np.float32]
    consistency: NDArray[np.float32]
    reasons: list[str]

    @classmethod
    def of(cls, model: Model, field: LabelledField, around: Neighbourhood) -> Judgement:
        """Judge the cells of a part of a field.

        Parameters
        ----------
        model : Model
            The one that looked.
        field : LabelledField
            Tells which cells the border of the image cuts.
        around : Neighbourhood
            The part.
        """
        named = classify_cells(model, around.image, around.maps, around.labels)
        agreement, _ = explain_cells(around.maps, around.prior, around.labels, named.evidence)
        evidence = gather_evidence(
            model,
            around.image,
            around.labels,
            around.maps,
            around.seen,
            named,
            agreement,
            np.isin(around.present, rim(field.labels)),
            whole=field.image,
        )
        consistency, reasons = review_cells(model, named.probabilities, agreement, evidence)
        stability = evidence["stability"].to_numpy(np.float32)
        return cls(named.probabilities, agreement, stability, consistency, reasons)

    def ranking(self, row: int) -> list[int]:
        """Return the classes of one cell, the most probable first.

        Parameters
        ----------
        row : int
            The cell, by its place among those judged.

        Returns
        -------
        list of int
            Indices into the model's classes.
        """
        return [int(index) for index in np.argsort(-self.probabilities[row], kind="stable")]
