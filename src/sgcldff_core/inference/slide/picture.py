"""The picture of a slide that a person looks at first: where its cells are, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sgcldff_core.taxonomy import colour_of

if TYPE_CHECKING:
    import pandas as pd

    from sgcldff_core.inference.slide.overview import Overview
    from sgcldff_core.inference.slide.plan import SlidePlan

__all__ = ["draw_slide"]

_INK, _PAPER = (20, 20, 20), (250, 250, 250)
_THICK = (105, 105, 105)
_PALE = 0.55  # of the contrast with white: what was not looked at
_DOT = 4.5  # px, radius
_LINE, _LETTER = 34, 20  # px of the legend
_HATCH = 14  # px between lines over what was left out as too thick


def draw_slide(
    overview: Overview,
    plan: SlidePlan,
    worth: Mapping[int, str],
    cells: pd.DataFrame,
    classes: Sequence[str],
) -> Image.Image:
    """Draw the overview with a dot for each cell, in the colour of its class.

    Parameters
    ----------
    overview : Overview
        Of the slide.
    plan : SlidePlan
        With its regions.
    worth : mapping of int to str
        What each region was found worth. Where none was looked at, the slide is paler; what is too
        thick is hatched.
    cells : DataFrame
        With ``class``, ``centroid_y``, ``centroid_x`` and ``needs_review``; dots of the latter are open.
    classes : sequence of str
        Of the model, in the order of the legend.

    Returns
    -------
    PIL.Image.Image
        RGB, the overview with the legend below.
    """
    height, width = overview.image.shape[:2]
    picture = Image.fromarray(_paler_where_not_looked(overview, plan, worth))
    sheet = Image.new("RGB", (max(width, 480), height + _LINE * (len(classes) + 3)), _PAPER)
    sheet.paste(picture)
    pen = ImageDraw.Draw(sheet)
    for index, (_, core) in enumerate(plan.regions()):
        if worth.get(index) == "thick":
            _hatch(pen, [value / overview.factor for value in plan.on_slide(core)])
    for row in cells[["centroid_y", "centroid_x", "class", "needs_review"]].itertuples(index=False, name=None):
        y, x, name, doubtful = row
        _dot(pen, x / overview.factor, y / overview.factor, colour_of(name, classes), open_=bool(doubtful))
    _legend(pen, height, cells, classes, worth)
    return sheet


def _paler_where_not_looked(overview: Overview, plan: SlidePlan, worth: Mapping[int, str]) -> NDArray[np.uint8]:
    paler = np.rint(255 - (255 - np.arange(256)) * _PALE).astype(np.uint8)
    shown: NDArray[np.uint8] = paler[overview.image]
    for index, (_, core) in enumerate(plan.regions()):
        if worth.get(index) == "cells":
            y0, x0, y1, x1 = (round(value / overview.factor) for value in plan.on_slide(core))
            shown[y0:y1, x0:x1] = overview.image[y0:y1, x0:x1]
    return shown


def _hatch(pen: ImageDraw.ImageDraw, box: Sequence[float]) -> None:
    y0, x0, y1, x1 = box
    # Lines x + y = k, at the same k for all regions, so that neighbours join.
    for k in range(int((x0 + y0) // _HATCH + 1) * _HATCH, int(x1 + y1), _HATCH):
        top, bottom = max(y0, k - x1), min(y1, k - x0)
        pen.line([(k - top, top), (k - bottom, bottom)], fill=_THICK, width=1)


def _dot(pen: ImageDraw.ImageDraw, x: float, y: float, colour: tuple[int, int, int], *, open_: bool) -> None:
    pen.ellipse((x - _DOT - 1, y - _DOT - 1, x + _DOT + 1, y + _DOT + 1), fill=_INK)
    pen.ellipse((x - _DOT, y - _DOT, x + _DOT, y + _DOT), fill=colour)
    if open_:
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=_PAPER)


def _legend(
    pen: ImageDraw.ImageDraw, top: int, cells: pd.DataFrame, classes: Sequence[str], worth: Mapping[int, str]
) -> None:
    font = ImageFont.load_default(_LETTER)
    counts = cells["class"].value_counts()
    middle = top + _LINE * 0.7
    for name in classes:
        share = f" ({100 * counts.get(name, 0) / len(cells):.0f} %)" if len(cells) else ""
        _dot(pen, 20, middle, colour_of(name, classes), open_=False)
        pen.text((40, middle), f"{name}  {counts.get(name, 0)}{share}", fill=_INK, font=font, anchor="lm")
        middle += _LINE
    doubtful = int(cells["needs_review"].sum()) if len(cells) else 0
    listed = [sum(value == kind for value in worth.values()) for kind in ("cells", "empty", "thick")]
    pen.text((12, middle), f"{len(cells)} cells, {doubtful} to review (light centre)", _INK, font=font, anchor="lm")
    middle += _LINE
    told = f"regions: {listed[0]} looked at, {listed[1]} empty (pale), {listed[2]} too thick (hatched)"
    pen.text((12, middle), told, _INK, font=font, anchor="lm")
