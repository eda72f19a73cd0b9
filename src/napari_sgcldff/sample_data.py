"""Sample data for *File > Open Sample*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_sgcldff.layers import annotation_layer
from sgcldff_core.smear import SmearSettings, make_smear

if TYPE_CHECKING:
    from napari.types import LayerDataTuple

__all__ = ["synthetic_field"]


def synthetic_field() -> list[LayerDataTuple]:
    """Draw a synthetic field of a Wright-stained smear with the outline and class of every leukocyte.

    Returns
    -------
    list of (data, dict, str)
        An image layer and a labels layer.
    """
    smear = make_smear(12, SmearSettings(height=768, width=1024, diameter=110, leukocytes=9, cut=0, stain="wright"))
    return [
        (smear.image, {"name": "synthetic field", "rgb": True}, "image"),
        annotation_layer(smear.labels, smear.classes, "synthetic field truth"),
    ]
