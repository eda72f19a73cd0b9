"""A map of evidence laid over its image, with outlines, names and a scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sgcldff_core.inference.overlay import draw_overlay

if TYPE_CHECKING:
    from sgcldff_core.inference.prediction import Prediction

__all__ = ["COLOURS", "coloured", "draw_evidence"]

COLOURS = "turbo"
"""The colour map, as in the viewer."""

_STRONGEST = 0.7  # opacity of the largest value: the cell stays visible beneath
_WEAKEST = 0.08  # below it a map is not shown
_INK, _PAPER = (20, 20, 20), (250, 250, 250)


def coloured(activation: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return a map in `COLOURS`, (H, W, 3) uint8 RGB.

    Parameters
    ----------
    activation : ndarray
        (H, W) float; clipped to [0, 1].
    """
    colours = np.asarray(matplotlib.colormaps[COLOURS](np.clip(activation, 0, 1)))
    return np.asarray(np.rint(255 * colours[..., :3]), np.uint8)


def draw_evidence(
    image: NDArray[np.uint8],
    activation: NDArray[np.float32],
    prediction: Prediction,
    classes: Sequence[str],
    title: str,
) -> Image.Image:
    """Lay a map over its image, and draw outlines and names as in the overlay of a prediction.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB, as it was predicted.
    activation : ndarray
        (H, W) float32 in [0, 1]; the stronger, the less of the image shows through.
    prediction : Prediction
        Of that image.
    classes : sequence of str
        Of the model.
    title : str
        What the map shows; stands beside the scale.

    Returns
    -------
    PIL.Image.Image
        RGB, with the legend and the scale in strips below.
    """
    opacity = (_STRONGEST * np.clip(activation, 0, 1) ** 0.75 * (activation > _WEAKEST))[..., None]
    blended = image * (1 - opacity) + coloured(activation) * opacity
    return _with_scale(draw_overlay(np.rint(blended).astype(np.uint8), prediction, classes), title)


def _with_scale(picture: Image.Image, title: str) -> Image.Image:
    size = float(np.clip(min(picture.size) / 32, 13, 40))
    font = ImageFont.load_default(size)
    out = Image.new("RGB", (picture.width, picture.height + round(2 * size)), _PAPER)
    out.paste(picture, (0, 0))
    draw = ImageDraw.Draw(out)
    long, middle = round(7 * size), picture.height + 0.7 * size
    bar = Image.fromarray(coloured(np.broadcast_to(np.linspace(0, 1, long), (round(0.8 * size), long))))
    start = round(0.8 * size)
    out.paste(bar, (start, round(middle - 0.4 * size)))
    text = f"0 to each cell's largest: {title}"
    draw.text((start + long + 0.6 * size, middle), text, fill=_INK, font=font, anchor="lm")
    return out
