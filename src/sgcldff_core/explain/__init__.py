"""Why a cell was given its name, and whether a person should look at it."""

from __future__ import annotations

from sgcldff_core.explain.consistency import (
    Agreement,
    cam_agreement,
    outline_stability,
    saliency_consistency,
    threshold_stability,
)
from sgcldff_core.explain.evidence import EVIDENCE, cell_evidence
from sgcldff_core.explain.gradcam import Look, class_activation, class_evidence, level_activation
from sgcldff_core.explain.methods import METHODS, Method, explain_subject, find_method
from sgcldff_core.explain.review import UNLIKE_THE_STAIN, reasons_by_rule, review_reasons
from sgcldff_core.explain.subject import Score, Subject

__all__ = [
    "EVIDENCE",
    "METHODS",
    "UNLIKE_THE_STAIN",
    "Agreement",
    "Look",
    "Method",
    "Score",
    "Subject",
    "cam_agreement",
    "cell_evidence",
    "class_activation",
    "class_evidence",
    "explain_subject",
    "find_method",
    "level_activation",
    "outline_stability",
    "reasons_by_rule",
    "review_reasons",
    "saliency_consistency",
    "threshold_stability",
]
