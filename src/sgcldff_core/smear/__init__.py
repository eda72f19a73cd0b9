"""Synthetic Romanowsky-stained blood smears with exact labels."""

from __future__ import annotations

from sgcldff_core.smear.field import Smear, make_smear
from sgcldff_core.smear.samples import make_samples
from sgcldff_core.smear.settings import SmearSettings
from sgcldff_core.smear.slide import Slide, make_slide
from sgcldff_core.smear.stain import STAINS

__all__ = ["STAINS", "Slide", "Smear", "SmearSettings", "make_samples", "make_slide", "make_smear"]
