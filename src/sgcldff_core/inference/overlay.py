"""The picture that a pathologist gets: thin outlines, a short name beside each cell, a legend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from skimage.measure import find_contours

from sgcldff_core.taxonomy import ALL_CLASSES, colour_of

if TYPE_CHECKING:
    from sgcldff_core.inference.prediction import Prediction

__all__ = ["draw_overlay"]

_SHORTEST_SIDE = 480  # smaller images are enlarged, so that outlines and letters do not hide the cells
_LARGEST_ENLARGEMENT = 6
_SUPERSAMPLING = 4  # Pillow draws lines without anti-aliasing
_INK, _PAPER = (20, 20, 20), (250, 250, 250)

_CODES = {c.name: c.code for c in ALL_CLASSES}

Colour = tuple[int, int, int]
Rectangle = tuple[float, float, float, float]


def draw_overlay(image: NDArray[np.uint8], prediction: Prediction, classes: Sequence[str]) -> Image.Image:
    """Draw outlines, names and a legend over an image.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB, as it was predicted.
    prediction : Prediction
        Of that image.
    classes : sequence of str
        Of the model, in the order of the legend.

    Returns
    -------
    PIL.Image.Image
        RGB. The image, enlarged by a whole factor where it is small, its top left pixel at the top
        left; below it a strip with the legend. A cell's outline has the colour of its class, the
        nucleus a faint one; a dashed outline and a question mark ask for a look.
    """
    factor = int(np.clip(np.ceil(_SHORTEST_SIDE / min(image.shape[:2])), 1, _LARGEST_ENLARGEMENT))
    height, width = image.shape[0] * factor, image.shape[1] * factor
    picture = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
    cells = prediction.cells
    typical = float(cells["equivalent_diameter_px"].median()) * factor if len(cells) else 0.0
    line = float(np.clip(typical / 60, 1.5, 4))
    rows = [dict(zip(cells.columns, values, strict=True)) for values in cells.itertuples(index=False, name=None)]
    boxes = ndimage.find_objects(prediction.labels)
    for row in rows:
        box = boxes[row["label"] - 1]
        own = prediction.labels[box] == row["label"]
        colour = colour_of(row["class"], classes)
        corner = (box[0].start, box[1].start)
        _draw_outline(picture, own & prediction.nucleus[box], corner, factor, _faint(colour), 0.6 * line)
        # A dark rim keeps light colours visible on a light background.
        _draw_outline(picture, own, corner, factor, _INK, line + 1.2, dashed=row["needs_review"], opacity=0.4)
        _draw_outline(picture, own, corner, factor, colour, line, dashed=row["needs_review"])
    # Readable both beside the cell when zoomed in, and when the whole picture is on the screen.
    font = ImageFont.load_default(float(np.clip(max(typical / 9, min(height, width) / 90), 13, 30)))
    around = factor * cells[["bbox_x0", "bbox_y0", "bbox_x1", "bbox_y1"]].to_numpy(float)
    tags: list[Rectangle] = []
    draw = ImageDraw.Draw(picture)
    for index, row in enumerate(rows):
        text = f"{_code(row['class'])} {100 * row['confidence']:.0f}%" + (" ?" if row["needs_review"] else "")
        _draw_tag(draw, text, colour_of(row["class"], classes), index, around, tags, font, (height, width))
    return _with_legend(picture, prediction, classes)


def _code(name: str) -> str:
    return _CODES.get(name, name[:3].upper())


def _faint(colour: Colour) -> Colour:
    return tuple(round(0.5 * c + 0.5 * 255) for c in colour)  # type: ignore[return-value]


def _text_colour(colour: Colour) -> Colour:
    return _INK if np.dot(colour, (0.299, 0.587, 0.114)) > 120 else _PAPER


def _draw_outline(
    picture: Image.Image,
    mask: NDArray[np.bool_],
    corner: tuple[int, int],
    factor: int,
    colour: Colour,
    line: float,
    *,
    dashed: bool = False,
    opacity: float = 1.0,
) -> None:
    if not mask.any():
        return
    # One pixel of smoothing takes the stairs off the outline; it moves no straight edge.
    soft = ndimage.gaussian_filter(np.pad(mask, 3).astype(np.float32), 0.8)
    fine = factor * _SUPERSAMPLING if factor * max(mask.shape) < 1000 else factor
    layer = Image.new("L", (soft.shape[1] * fine, soft.shape[0] * fine))
    pen = ImageDraw.Draw(layer)
    thick = max(1, round(line * fine / factor))
    for contour in find_contours(soft, 0.5):
        points = (contour[:, ::-1] + 0.5) * fine
        for piece in _dashes(points, 8 * fine / factor) if dashed else [points]:
            pen.line([(float(x), float(y)) for x, y in piece], fill=round(255 * opacity), width=thick, joint="curve")
    size = (soft.shape[1] * factor, soft.shape[0] * factor)
    alpha = layer.resize(size, Image.Resampling.BOX)
    picture.paste(colour, ((corner[1] - 3) * factor, (corner[0] - 3) * factor), alpha)


def _dashes(points: NDArray[np.float64], length: float) -> list[NDArray[np.float64]]:
    travelled = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    dash = (travelled // length).astype(int)
    pieces = [points[dash == k] for k in range(0, int(dash[-1]) + 1, 2)]
    return [piece for piece in pieces if len(piece) > 1]


def _draw_tag(
    draw: ImageDraw.ImageDraw,
    text: str,
    colour: Colour,
    index: int,
    cells: NDArray[np.float64],
    tags: list[Rectangle],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    size: tuple[int, int],
) -> None:
    left, top, right, bottom = draw.textbbox((0, 0), text, font=font)
    pad = 0.2 * (bottom - top) + 1
    w, h = right - left + 2 * pad, bottom - top + 2 * pad
    x0, y0, x1, y1 = cells[index]
    middle = (x0 + x1 - w) / 2
    places = [(middle, y0 - h - 2), (middle, y1 + 2), (x1 + 2, (y0 + y1 - h) / 2), (x0 - w - 2, (y0 + y1 - h) / 2)]
    places += [(x0, y0 - h - 2), (x1 - w, y0 - h - 2), (x0, y1 + 2), (x1 - w, y1 + 2)]
    kept_inside = [(min(max(x, 1), size[1] - w - 1), min(max(y, 1), size[0] - h - 1)) for x, y in places]

    def cost(place: tuple[float, float], wanted: tuple[float, float]) -> float:
        tag = (place[0], place[1], place[0] + w, place[1] + h)
        moved = abs(place[0] - wanted[0]) + abs(place[1] - wanted[1])
        hidden = 10 * _shared(tag, np.array(tags).reshape(-1, 4)) + 4 * _shared(tag, cells)
        return hidden / (w * h) + moved / h

    x, y = min(zip(kept_inside, places, strict=True), key=lambda pair: cost(*pair))[0]
    tags.append((x, y, x + w, y + h))
    draw.rounded_rectangle((x, y, x + w, y + h), radius=h / 4, fill=colour)
    draw.text((x + pad - left, y + pad - top), text, fill=_text_colour(colour), font=font)


def _shared(a: Rectangle, others: NDArray[np.float64]) -> float:
    x0, y0, x1, y1 = others.T
    across = np.minimum(a[2], x1) - np.maximum(a[0], x0)
    down = np.minimum(a[3], y1) - np.maximum(a[1], y0)
    return float((across.clip(0) * down.clip(0)).sum())


def _with_legend(picture: Image.Image, prediction: Prediction, classes: Sequence[str]) -> Image.Image:
    cells = prediction.cells
    counts = cells["class"].value_counts()
    entries: list[tuple[str, Colour | None]] = [
        (f"{_code(name)}  {name}  {int(counts.get(name, 0))}", colour_of(name, classes)) for name in classes
    ]
    entries.append((f"all  {len(cells)}", None))
    flagged = int(cells["needs_review"].sum())
    if flagged:
        entries.append((f"?  look again  {flagged}", None))
    size = float(np.clip(min(picture.size) / 32, 13, 40))
    font = ImageFont.load_default(size)
    measure = ImageDraw.Draw(picture)
    gap, row = 0.8 * size, 1.6 * size
    x = y = gap
    placed = []
    for text, colour in entries:
        width = measure.textlength(text, font=font) + (size + 0.4 * gap if colour else 0)
        if x > gap and x + width > picture.width - gap:
            x, y = gap, y + row
        placed.append((x, y, text, colour))
        x += width + 1.5 * gap
    out = Image.new("RGB", (picture.width, picture.height + round(y + row)), _PAPER)
    out.paste(picture, (0, 0))
    draw = ImageDraw.Draw(out)
    for x, y, text, colour in placed:
        top, start = picture.height + y, x
        if colour:
            draw.rounded_rectangle((x, top, x + size, top + size), radius=size / 5, fill=colour)
            start += size + 0.4 * gap
        draw.text((start, top + size / 2), text, fill=_INK, font=font, anchor="lm")
    return out
