"""From an image to its cells: scale, tiles, forward pass, separation, names."""

from __future__ import annotations

from sgcldff_core.inference.prediction import Prediction, predict_image
from sgcldff_core.inference.proposal import propose_cell

__all__ = ["Prediction", "predict_image", "propose_cell"]
