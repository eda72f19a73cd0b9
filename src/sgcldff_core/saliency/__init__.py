"""Saliency priors: where in a stained smear the leukocytes are likely to be, before anything is learned."""

from __future__ import annotations

from sgcldff_core.saliency.registry import PRIORS, available_priors, compute_prior
from sgcldff_core.saliency.scale import estimate_diameter

__all__ = ["PRIORS", "available_priors", "compute_prior", "estimate_diameter"]
