"""Fitting a model to the stain of another laboratory, from images that nobody annotated."""

from __future__ import annotations

from sgcldff_core.adaptation.choosing import Adaptation, Candidate, adapt, known_stains
from sgcldff_core.adaptation.keeping import keep, place_for
from sgcldff_core.adaptation.self_training import SelfTraining
from sgcldff_core.adaptation.stains import StainStatistics, stain_statistics

__all__ = [
    "Adaptation",
    "Candidate",
    "SelfTraining",
    "StainStatistics",
    "adapt",
    "keep",
    "known_stains",
    "place_for",
    "stain_statistics",
]
