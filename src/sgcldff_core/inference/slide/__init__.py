"""Whole slides in bounded memory: planned, looked at region by region, stitched, and resumed where they broke off."""

from __future__ import annotations

from sgcldff_core.inference.slide.predict import SlideResult, predict_slide

__all__ = ["SlideResult", "predict_slide"]
