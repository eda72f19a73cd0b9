"""What ``sgcldff predict`` wrote of an image, as layers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sgcldff.layers import annotation_layer
from sgcldff_core.datasets.rasters import read_image_size, read_labels, read_rgb
from sgcldff_core.errors import FormatError
from sgcldff_core.sample import Raster, Sample

if TYPE_CHECKING:
    import pandas as pd
    from napari.types import LayerDataTuple

__all__ = ["LABELS_SUFFIX", "is_output", "output_samples", "read_cells_table", "read_outputs"]

LABELS_SUFFIX = "_labels.tif"
_SALIENCY_SUFFIX, _GRADCAM_SUFFIX = "_saliency.tif", "_gradcam.tif"
_TABLE, _REPORT = "cells.csv", "run.json"


def is_output(path: Path) -> bool:
    """Tell whether a file is a label image with its table beside it.

    Parameters
    ----------
    path : Path
        Any file.
    """
    return path.name.endswith(LABELS_SUFFIX) and (path.parent / _TABLE).is_file()


def read_outputs(labels: Path, image: Path | None = None) -> list[LayerDataTuple]:
    """Read the outputs of one image.

    Parameters
    ----------
    labels : Path
        ``<stem>_labels.tif``.
    image : Path, optional
        The image itself; where ``run.json`` says that it is by default.

    Returns
    -------
    list of (data, dict, str)
        The image where it can be found, saliency and Grad-CAM where they were written, and the
        cells with their table on top.

    Raises
    ------
    DataError
        If a file cannot be read, or the table lacks its columns.
    """
    folder, stem = labels.parent, labels.name.removesuffix(LABELS_SUFFIX)
    report = _report(folder)
    if image is None:
        listed = {entry.get("image"): entry.get("file") for entry in report.get("images", [])}
        image = Path(listed[stem]) if listed.get(stem) else None
    layers: list[LayerDataTuple] = []
    if image is not None and image.is_file():
        layers.append((read_rgb(image), {"name": stem, "rgb": True}, "image"))
    for suffix, title, colours in (
        (_SALIENCY_SUFFIX, "saliency", {"colormap": "inferno", "blending": "additive", "opacity": 0.6}),
        (_GRADCAM_SUFFIX, "Grad-CAM", {"colormap": "turbo", "blending": "translucent", "opacity": 0.5}),
    ):
        file = folder / f"{stem}{suffix}"
        if file.is_file():
            attributes = {"name": f"{stem} {title}", "visible": False, "contrast_limits": (0.0, 1.0), **colours}
            layers.append((_read_map(file), attributes, "image"))
    table = read_cells_table(folder / _TABLE)
    own = table[table["image"] == stem].sort_values("label", ignore_index=True)
    own.insert(0, "index", own["label"])
    known = own[own["class"] != ""]
    named = dict(zip(known["label"].astype(int), known["class"].astype(str), strict=True))
    about: dict[str, Any] = {"role": "cells", "file": str(labels)}
    model, parameters = report.get("model", {}), report.get("parameters", {})
    diameters = {entry.get("image"): entry.get("diameter_px") for entry in report.get("images", [])}
    about |= {"model": model["name"]} if "name" in model else {}
    about |= {"diameter": diameters[stem]} if diameters.get(stem) else {}
    about |= {"diameter_given": parameters.get("diameter") is not None}
    data, attributes, kind = annotation_layer(read_labels(labels), named, f"{stem} WBC", about)
    layers.append((data, {**attributes, "features": own, "opacity": 1.0}, kind))
    return layers


def output_samples(labels: Sequence[Path]) -> list[Sample]:
    """Return images with outputs as samples, whose pixels are read when they are asked for.

    Parameters
    ----------
    labels : sequence of Path
        Label images in one folder.

    Returns
    -------
    list of Sample
        One a label image; where the image itself is gone, a white one of its size.
    """
    folder = labels[0].parent
    table = read_cells_table(folder / _TABLE)
    classes = {
        stem: {int(n): str(kind) for n, kind in zip(part["label"], part["class"], strict=True) if kind}
        for stem, part in table.groupby("image")
    }
    files = {entry.get("image"): Path(str(entry.get("file"))) for entry in _report(folder).get("images", [])}
    samples = []
    for path in labels:
        stem = path.name.removesuffix(LABELS_SUFFIX)
        image = files.get(stem)
        there = image is not None and image.is_file()
        samples.append(
            Sample(
                name=stem,
                image=Raster(read_rgb, image) if there else Raster(_white, path),
                source=folder.name,
                group=stem,
                labels=Raster(read_labels, path),
                classes=classes.get(stem, {}),
            )
        )
    return samples


def _white(labels: Path) -> Any:
    return np.full((*read_image_size(labels), 3), 255, np.uint8)


def read_cells_table(file: Path) -> pd.DataFrame:
    """Read ``cells.csv``, as ``sgcldff predict`` and curated folders have it.

    Parameters
    ----------
    file : Path
        CSV with the columns ``image``, ``label`` and ``class`` at least.

    Raises
    ------
    FormatError
        If it is no such table.
    """
    import pandas as pd

    text = {"image": str, "class": str, "review_reason": str}
    try:
        table = pd.read_csv(file, dtype=text, keep_default_na=True)
    except (ValueError, OSError) as problem:
        raise FormatError(file, f"this is no table of cells ({problem})", "write it again with predict") from problem
    missing = [name for name in ("image", "label", "class") if name not in table.columns]
    if missing:
        raise FormatError(file, f"it lacks the columns {', '.join(missing)}", "write it again with predict")
    for name in set(text) & set(table.columns):
        table[name] = table[name].fillna("")
    return table


def _read_map(file: Path) -> Any:
    import tifffile

    try:
        return tifffile.imread(file)
    except (ValueError, OSError) as problem:
        raise FormatError(file, f"this map cannot be read ({problem})", "write it again with predict") from problem


def _report(folder: Path) -> dict[str, Any]:
    try:
        report = json.loads((folder / _REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # moved without it: all else is there
    return report if isinstance(report, dict) else {}
