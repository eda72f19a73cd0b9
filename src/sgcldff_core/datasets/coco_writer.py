"""COCO instance JSON, readable by any tool of that field, with what COCO has no word for kept beside.

::

    annotations.json
    images/<name>.png     8-bit RGB, lossless

Each outlined cell is an annotation whose ``segmentation`` is an uncompressed run-length encoding
(column-major, exact where polygons are not), with its nucleus likewise under ``nucleus`` and its
instance label and class (null: unknown) under ``sgcldff``. Each image has under ``sgcldff`` its
name, source, group, split, class, boxes and points as in a curated folder, whether it has
``labels`` and ``nuclei``, and under ``nucleus`` nuclei that lie in no cell. Boxes are annotations
without ``segmentation``, too, unless they frame an outlined cell, so that other tools count no
cell twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sgcldff_core.datasets.drafts import folder_drafted
from sgcldff_core.datasets.history import COCO_INDEX
from sgcldff_core.datasets.kinds import NOT_LEUKOCYTES, UNNAMED
from sgcldff_core.datasets.pixels import Pixels, counted_cells, save_png
from sgcldff_core.datasets.writing import Tally, Written, in_order, known_of

if TYPE_CHECKING:
    from sgcldff_core.datasets.history import Provenance
    from sgcldff_core.sample import Box, Sample

__all__ = ["run_lengths", "write_coco"]

Rle = dict[str, list[int]]


def write_coco(
    samples: Iterable[Sample], folder: Path | str, *, provenance: Provenance, overwrite: bool = False
) -> Written:
    """Write samples as COCO instance JSON with a folder of images.

    Parameters
    ----------
    samples, folder, provenance, overwrite
        As for every `Writer`. A cell whose class is unknown has the category ``leukocyte``.

    Returns
    -------
    Written
        What was written, and what was left out and why.

    Raises
    ------
    DataError
        If `folder` may not be written, or not a single sample could be.
    ConfigError
        If a name is no file name, or appears twice.

    References
    ----------
    Lin et al.: Microsoft COCO: common objects in context. ECCV 2014; format at
    https://cocodataset.org/#format-data
    """
    folder = Path(folder)
    tally = Tally()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    with folder_drafted(folder, mark=COCO_INDEX, overwrite=overwrite) as draft:
        (draft / "images").mkdir()
        for sample, pixels in tally.readable(samples):
            tally.images += 1
            tally.cells += len(pixels.numbers)
            file = f"images/{sample.name}.png"
            save_png(draft / file, pixels.image)
            cells = _cells(sample, pixels)
            images.append({"id": tally.images, "file_name": file, **_image_of(sample, pixels)})
            annotations += [{"image_id": tally.images, **a} for a in (*cells, *_boxes(sample, cells))]
        categories = in_order(a["category"] for a in annotations)
        number = {name: n for n, name in enumerate(categories, start=1)}
        whole = {
            "info": {
                "description": provenance.title,
                "version": "1",
                "sgcldff": {"origin": provenance.origin, "history": provenance.steps},
            },
            "licenses": [],
            "categories": [{"id": n, "name": name, "supercategory": _kind_of(name)} for name, n in number.items()],
            "images": images,
            "annotations": [
                {"id": n, "category_id": number[a["category"]], **{k: v for k, v in a.items() if k != "category"}}
                for n, a in enumerate(annotations, start=1)
            ],
        }
        (draft / COCO_INDEX).write_text(_text(whole), encoding="utf-8")
        written = tally.written(folder)
    return written


def run_lengths(labels: NDArray[np.integer[Any]] | NDArray[np.bool_]) -> dict[int, Rle]:
    """Encode each label of an image as COCO's uncompressed run lengths.

    Parameters
    ----------
    labels : ndarray of int or bool, shape (H, W)
        0 is background.

    Returns
    -------
    dict of int to dict
        For each label ``size``, [H, W], and ``counts``: pixels outside, inside, outside, ...
        going down the columns, beginning with those outside.

    Examples
    --------
    >>> run_lengths(np.array([[0, 7], [7, 7]]))
    {7: {'size': [2, 2], 'counts': [1, 3]}}
    """
    size = [int(n) for n in labels.shape]
    if not labels.size:
        return {}
    down = labels.ravel(order="F")
    starts = np.concatenate([[0], np.flatnonzero(down[1:] != down[:-1]) + 1])
    stops = np.append(starts[1:], down.size)
    found = {}
    for label in np.unique(down[starts]):
        if label:
            runs = down[starts] == label
            edges = np.stack([starts[runs], stops[runs]], axis=1).ravel()
            counts = np.diff(edges, prepend=0, append=down.size)
            found[int(label)] = {"size": size, "counts": [int(n) for n in (counts if counts[-1] else counts[:-1])]}
    return found


def _image_of(sample: Sample, pixels: Pixels) -> dict[str, Any]:
    known = known_of(sample, pixels)
    height, width = known.pop("height"), known.pop("width")
    mine = {"name": sample.name, **known, "labels": pixels.labels is not None, "nuclei": pixels.nucleus is not None}
    if pixels.nucleus is not None:
        outside = pixels.nucleus if pixels.labels is None else pixels.nucleus & (pixels.labels == 0)
        if outside.any():
            mine["nucleus"] = run_lengths(outside)[1]
    without_pixels = {n: c for n, c in (sample.classes or {}).items() if n not in pixels.numbers}
    if without_pixels:
        mine["classes"] = {str(n): c for n, c in sorted(without_pixels.items())}
    return {"width": width, "height": height, "sgcldff": mine}


def _cells(sample: Sample, pixels: Pixels) -> list[dict[str, Any]]:
    """Return an annotation for each outlined cell."""
    if pixels.labels is None:
        return []
    classes: Mapping[int, str] = sample.classes or {}
    nuclei = None if pixels.nucleus is None else run_lengths(np.where(pixels.nucleus, pixels.labels, 0))
    numbers, compact = counted_cells(pixels.labels)
    areas = np.bincount(compact.ravel(), minlength=len(numbers) + 1)
    outlines = run_lengths(compact)
    cells = []
    for k, (n, window) in enumerate(zip(numbers, ndimage.find_objects(compact), strict=True), start=1):
        (y0, y1), (x0, x1) = ((span.start, span.stop) for span in window)
        cell: dict[str, Any] = {
            "category": classes.get(n, UNNAMED),
            "segmentation": outlines[k],
            "area": int(areas[k]),
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "iscrowd": 0,
            "sgcldff": {"label": n, "class": classes.get(n)},
        }
        if nuclei is not None:
            cell["nucleus"] = nuclei.get(n, {"size": outlines[k]["size"], "counts": [int(pixels.labels.size)]})
        cells.append(cell)
    return cells


def _boxes(sample: Sample, cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return an annotation for each box that does not frame an outlined cell."""
    outlined = [cell["bbox"] for cell in cells]
    return [
        {
            "category": box.kind,
            "segmentation": [],
            "area": (box.x1 - box.x0) * (box.y1 - box.y0),
            "bbox": [box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0],
            "iscrowd": 0,
        }
        for box in sample.boxes or ()
        if _kind_of(box.kind) != UNNAMED or not any(_overlap(box, other) >= 0.5 for other in outlined)
    ]


def _overlap(box: Box, other: list[int]) -> float:
    """Return the intersection over union of a box and COCO's x, y, width, height."""
    x, y, width, height = other
    across = max(0.0, min(box.x1, x + width) - max(box.x0, x))
    down = max(0.0, min(box.y1, y + height) - max(box.y0, y))
    union = (box.x1 - box.x0) * (box.y1 - box.y0) + width * height - across * down
    return across * down / union if union else 0.0


def _kind_of(name: str) -> str:
    """Return the super-category: whatever is no red cell and no platelet is a leukocyte here."""
    return name if name in NOT_LEUKOCYTES else UNNAMED


def _text(whole: dict[str, Any]) -> str:
    """Return JSON with one line an image and an annotation."""
    parts = []
    for key, value in whole.items():
        if isinstance(value, list) and value:
            lines = ",\n".join(f"  {json.dumps(item, ensure_ascii=False)}" for item in value)
            parts.append(f' "{key}": [\n{lines}\n ]')
        else:
            parts.append(f' "{key}": {json.dumps(value, ensure_ascii=False)}')
    return "{\n" + ",\n".join(parts) + "\n}\n"
