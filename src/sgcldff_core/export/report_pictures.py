"""Pictures of cells for a page that must stand alone: small, and within the text of the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.measure import approximate_polygon, find_contours

__all__ = ["CellPicture", "as_data_uri", "picture_cell"]

_SIDE = 160  # px of a crop: enough for paper at the size it is shown
_AROUND = 1.7  # side of the crop over the larger side of the cell's box
_CAM_OPACITY = 0.5


@dataclass(frozen=True, slots=True)
class CellPicture:
    """One cell, cut out.

    Attributes
    ----------
    crop : str
        The pixels as a ``data:`` address.
    cam : str
        The same under the evidence for the cell's class; empty without a Grad-CAM map.
    outline : str
        Path of an SVG over a crop of `side` px.
    side : int
        Height and width in px.
    """

    crop: str
    cam: str
    outline: str
    side: int = _SIDE


def picture_cell(
    image: NDArray[np.uint8],
    labels: NDArray[np.integer],
    label: int,
    box: tuple[int, int, int, int],
    gradcam: NDArray[np.floating] | None,
) -> CellPicture:
    """Cut a cell out with some of what is around it.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    labels : ndarray
        (H, W) integer labels.
    label : int
        Of the cell.
    box : tuple of int
        y0, x0, y1, x1 of the cell in px, half open.
    gradcam : ndarray or None
        (H, W) float in [0, 1].

    Returns
    -------
    CellPicture
        Beyond the image it is white.
    """
    y0, x0, y1, x1 = box
    side = max(4, round(_AROUND * max(y1 - y0, x1 - x0)))
    top, left = (y0 + y1 - side) // 2, (x0 + x1 - side) // 2
    crop = _window(image, top, left, side, 255)
    own = _window(labels == label, top, left, side, 0)
    pixels = _scaled(crop)
    cam = ""
    if gradcam is not None:
        heat = _window(np.clip(gradcam, 0, 1), top, left, side, 0)
        colours = 255 * colormaps["turbo"](heat)[..., :3]
        # What does not speak for the class keeps its own colours, so that the cell is still seen.
        opacity = _CAM_OPACITY * np.sqrt(heat)[..., None]
        cam = as_data_uri(_scaled((crop * (1 - opacity) + colours * opacity).astype(np.uint8)))
    return CellPicture(as_data_uri(pixels), cam, _outline(own, _SIDE / side))


def as_data_uri(picture: Image.Image, quality: int = 86) -> str:
    """Return a picture as the ``data:`` address of a JPEG.

    Parameters
    ----------
    picture : PIL.Image.Image
        In a mode that JPEG has, such as RGB.
    quality : int
        Of the JPEG, 0 to 95.
    """
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _window(values: NDArray[np.generic], top: int, left: int, side: int, beyond: int) -> NDArray[np.generic]:
    out = np.full((side, side, *values.shape[2:]), beyond, values.dtype)
    ys, xs = (
        slice(max(top, 0), min(top + side, values.shape[0])),
        slice(max(left, 0), min(left + side, values.shape[1])),
    )
    out[ys.start - top : ys.stop - top, xs.start - left : xs.stop - left] = values[ys, xs]
    return out


def _scaled(pixels: NDArray[np.generic]) -> Image.Image:
    return Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.LANCZOS)


def _outline(mask: NDArray[np.generic], factor: float) -> str:
    soft = ndimage.gaussian_filter(np.pad(mask, 1).astype(np.float32), 0.7)
    parts = []
    for contour in find_contours(soft, 0.5):
        points = (
            approximate_polygon(contour, 0.25) - 0.5
        ) * factor  # the middle of a pixel is half a pixel from its rim
        parts.append("M" + "L".join(f"{x:.1f} {y:.1f}" for y, x in points) + "Z")
    return "".join(parts)
