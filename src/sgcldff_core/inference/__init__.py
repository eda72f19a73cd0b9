"""From an image to its cells: scale, tiles, forward pass, separation, names."""

from __future__ import annotations

from sgcldff_core.inference.device import choose_device
from sgcldff_core.inference.engines import with_engine
from sgcldff_core.inference.plane import estimate_plane_diameter, predict_plane
from sgcldff_core.inference.prediction import Prediction, predict_image
from sgcldff_core.inference.proposal import propose_cell
from sgcldff_core.inference.regions import predict_regions

__all__ = [
    "Prediction",
    "choose_device",
    "estimate_plane_diameter",
    "predict_image",
    "predict_plane",
    "predict_regions",
    "propose_cell",
    "with_engine",
]
