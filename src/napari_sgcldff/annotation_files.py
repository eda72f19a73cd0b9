"""Annotations of one image in a file of its own: boxes in the XML of Pascal VOC, centres in ALL-IDB's XYC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_sgcldff.layers import KEY
from sgcldff_core.datasets.all_idb import read_centres
from sgcldff_core.datasets.layout import child, images_of, stem_key
from sgcldff_core.datasets.rasters import read_rgb
from sgcldff_core.datasets.report import ReadReport
from sgcldff_core.datasets.voc import read_voc_boxes
from sgcldff_core.taxonomy import colour_of

if TYPE_CHECKING:
    from napari.types import LayerDataTuple

    from sgcldff_core.sample import Box, Point

__all__ = ["boxes_layer", "is_voc", "points_layer", "read_voc_file", "read_xyc_file", "say_problems"]

_BESIDE = ("JPEGImages", "images", "im", "img", "original")
_UNKNOWN_SIZE = (10**9, 10**9)  # where there is no image to clip to
_HEAD = 4096  # bytes in which the first element of an XML file stands


def is_voc(path: Path) -> bool:
    """Tell whether a file is an annotation of Pascal VOC, by its beginning alone.

    Parameters
    ----------
    path : Path
        A file that can be opened.
    """
    with path.open("rb") as stream:
        return b"<annotation" in stream.read(_HEAD)


def read_voc_file(path: str | Sequence[str]) -> list[LayerDataTuple]:
    """Read the boxes of one image, and the image where it can be found.

    Parameters
    ----------
    path : str
        An XML file of Pascal VOC; the image of the same name lies in its folder or in one beside it.

    Returns
    -------
    list of (data, dict, str)
        The image, where it was found, and the boxes.

    Raises
    ------
    DataError
        If the file is no VOC annotation, or the image cannot be read.
    """
    return _read(Path(str(path)), read_voc_boxes, boxes_layer)


def read_xyc_file(path: str | Sequence[str]) -> list[LayerDataTuple]:
    """Read the centres of the blasts of one image, and the image where it can be found.

    Parameters
    ----------
    path : str
        An XYC file of ALL-IDB; the image of the same name lies in its folder or in one beside it.

    Returns
    -------
    list of (data, dict, str)
        The image, where it was found, and the points.

    Raises
    ------
    DataError
        If the image cannot be read.
    """
    return _read(Path(str(path)), read_centres, points_layer)


def boxes_layer(boxes: Sequence[Box], name: str, planes: Sequence[int] | None = None) -> LayerDataTuple:
    """Turn boxes into a shapes layer, coloured by what is in them.

    Parameters
    ----------
    boxes : sequence of Box
        Of one image or, with `planes`, of a stack.
    name : str
        Of the image.
    planes : sequence of int, optional
        In which plane of the stack each box is.
    """
    corners = [
        np.array([[b.y0, b.x0], [b.y0, b.x1], [b.y1, b.x1], [b.y1, b.x0]], float) - 0.5  # napari counts from middles
        for b in boxes
    ]
    if planes is not None:
        corners = [np.column_stack([np.full(4, plane), c]) for plane, c in zip(planes, corners, strict=True)]
    attributes = {
        **_common(f"{name} boxes", [box.kind for box in boxes]),
        "shape_type": "rectangle",
        "edge_color": _colours([box.kind for box in boxes]),
        "edge_width": 2,
        "face_color": "transparent",
        "ndim": 2 if planes is None else 3,
    }
    return corners, attributes, "shapes"


def points_layer(points: Sequence[Point], name: str, planes: Sequence[int] | None = None) -> LayerDataTuple:
    """Turn points into a layer of rings, coloured by what is there.

    Parameters
    ----------
    points : sequence of Point
        Of one image or, with `planes`, of a stack.
    name : str
        Of the image.
    planes : sequence of int, optional
        In which plane of the stack each point is.
    """
    where = np.array([(point.y, point.x) for point in points], float).reshape(-1, 2)
    if planes is not None:
        where = np.column_stack([np.asarray(planes, float), where])
    attributes = {
        **_common(f"{name} points", [point.kind for point in points]),
        "symbol": "ring",
        "size": 40,
        "border_color": _colours([point.kind for point in points]),
        "face_color": _colours([point.kind for point in points]),
    }
    return where, attributes, "points"


def say_problems(report: ReadReport, path: Path) -> None:
    """Tell the user which files could not be used, or only in part; the first few by name.

    Parameters
    ----------
    report : ReadReport
        What was met while reading; nothing is said if it is empty.
    path : Path
        What the user opened.
    """
    from napari.utils.notifications import show_warning

    told = [*report.unusable, *report.notes]
    if told:
        first = "\n".join(f"{problem.path.name}: {problem.problem}" for problem in told[:3])
        more = f"\nand {len(told) - 3} more" if len(told) > 3 else ""
        show_warning(f"{path.name}: {len(report.unusable)} files left out, {len(report.notes)} mended\n{first}{more}")


def _read(
    file: Path,
    annotations: Callable[[Path, tuple[int, int], ReadReport], Sequence[Any]],
    layer: Callable[[Sequence[Any], str], LayerDataTuple],
) -> list[LayerDataTuple]:
    report = ReadReport()
    image = _image_of(file)
    layers: list[LayerDataTuple] = []
    size = _UNKNOWN_SIZE
    if image is not None:
        pixels = read_rgb(image)
        size = (pixels.shape[0], pixels.shape[1])
        layers.append((pixels, {"name": image.stem, "rgb": True}, "image"))
    layers.append(layer(annotations(file, size, report), file.stem))
    say_problems(report, file)
    return layers


def _image_of(file: Path) -> Path | None:
    beside = child(file.parent.parent, *_BESIDE)
    folders = [file.parent, *([beside] if beside is not None and beside.is_dir() else [])]
    return next((image for folder in folders for image in images_of(folder) if stem_key(image) == stem_key(file)), None)


def _common(name: str, kinds: Sequence[str]) -> dict[str, Any]:
    return {"name": name, "features": pd.DataFrame({"class": list(kinds)}), "metadata": {KEY: {"role": "annotation"}}}


def _colours(kinds: Sequence[str]) -> Any:
    if not kinds:
        return "white"
    return [np.array([*colour_of(kind, list(dict.fromkeys(kinds))), 255], float) / 255 for kind in kinds]
