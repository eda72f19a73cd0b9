"""Annotations in the XML of Pascal VOC, as BCCD has them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse

from sgcldff_core.datasets.kinds import kind_named
from sgcldff_core.errors import FormatError
from sgcldff_core.sample import Box

if TYPE_CHECKING:
    from sgcldff_core.datasets.report import ReadReport

__all__ = ["read_voc_boxes"]


def read_voc_boxes(path: Path, size: tuple[int, int], report: ReadReport) -> tuple[Box, ...]:
    """Read the boxes of one image.

    Parameters
    ----------
    path : Path
        The XML file.
    size : tuple of int
        Height and width of the image, to which boxes are clipped.
    report : ReadReport
        Receives each box that was mended or dropped.

    Returns
    -------
    tuple of Box
        In the order of the file.

    Raises
    ------
    FormatError
        If the file is no VOC annotation.
    """
    try:
        root = parse(path).getroot()
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise FormatError(path, f"this is no usable XML ({error})", "export the annotation again") from error
    if root.tag != "annotation":
        raise FormatError(path, f"this is <{root.tag}>, not <annotation> of Pascal VOC", "export the annotation as VOC")
    boxes = (_box(n, element, path, size, report) for n, element in enumerate(root.iter("object"), start=1))
    return tuple(box for box in boxes if box is not None)


def _box(n: int, element: Element, path: Path, size: tuple[int, int], report: ReadReport) -> Box | None:
    height, width = size
    name = (element.findtext("name") or "").strip()
    try:
        xmin, ymin, xmax, ymax = (
            float(element.findtext(f"bndbox/{corner}", "")) for corner in ("xmin", "ymin", "xmax", "ymax")
        )
    except ValueError:
        name = ""
    if not name:
        report.note(path, f"object {n} lacks a name or a corner; it was dropped")
        return None
    told = f"object {n}, {name} {xmin:g},{ymin:g} to {xmax:g},{ymax:g}"
    if xmin > xmax or ymin > ymax:
        report.note(path, f"{told}, is inside out; its corners were exchanged")
        xmin, xmax, ymin, ymax = min(xmin, xmax), max(xmin, xmax), min(ymin, ymax), max(ymin, ymax)
    if xmin == xmax or ymin == ymax:
        report.note(path, f"{told}, has no area; it was dropped")
        return None
    # VOC counts pixels from 1 and both corners are in the box; some tools write a 0.
    x0, y0, x1, y1 = max(xmin - 1, 0.0), max(ymin - 1, 0.0), min(xmax, float(width)), min(ymax, float(height))
    if x0 >= x1 or y0 >= y1:
        report.note(path, f"{told}, lies outside the image of {width}×{height}; it was dropped")
        return None
    if xmin < 0 or ymin < 0 or xmax > width or ymax > height:
        report.note(path, f"{told}, leaves the image of {width}×{height}; it was clipped")
    return Box(y0=y0, x0=x0, y1=y1, x1=x1, kind=kind_named(name))
