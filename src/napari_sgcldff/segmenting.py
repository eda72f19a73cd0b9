"""Segmenting an extent: planes one after the other, large ones in regions; runs in a worker's thread."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import sgcldff_core
from napari_sgcldff.torch_loading import load_torch
from sgcldff_core.errors import ConfigError, ModelNotFoundError
from sgcldff_core.model_folders import DESCRIPTION, find_model

if TYPE_CHECKING:
    from napari_sgcldff.extent import Extent
    from napari_sgcldff.tasks import Report
    from sgcldff_core.model import Model

__all__ = ["Finding", "ModelShelf", "Order", "estimate_diameter", "segment"]


@dataclass(frozen=True, slots=True)
class Order:
    """How to segment.

    Attributes
    ----------
    model : str
        Name or folder; empty for the one that ships.
    diameter : float
        Of a typical leukocyte in px; 0 to estimate it.
    explain : bool
        Whether to make a Grad-CAM map.
    device : str
        As torch names it, or ``auto``.
    tile : int
        Side of a tile in px at the model's scale; 0 for the usual one.
    mirror : bool
        Whether to look a second time, in a mirror; see `sgcldff_core.inference.predict_image`.
    """

    model: str = ""
    diameter: float = 0.0
    explain: bool = False
    device: str = "auto"
    tile: int = 0
    mirror: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What was found in an extent.

    Attributes
    ----------
    extent : Extent
        Where.
    labels : ndarray
        (..., h, w) int32, unique over all planes, 0 background.
    saliency : ndarray
        The same shape, floating, in [0, 1].
    gradcam : ndarray or None
        Likewise; None unless asked for.
    nucleus : ndarray or None
        (h, w) bool, nuclei of the cells of a single plane; None for several.
    cells : DataFrame
        One row a cell; places and boxes in px of `labels`.
    classes : tuple of str
        All that the model knows.
    diameter : float
        Of a typical cell in px, the median over planes.
    run : dict
        Model and parameters, for the layers' metadata.
    """

    extent: Extent
    labels: NDArray[np.int32]
    saliency: NDArray[np.floating]
    gradcam: NDArray[np.floating] | None
    nucleus: NDArray[np.bool_] | None
    cells: pd.DataFrame
    classes: tuple[str, ...]
    diameter: float
    run: dict[str, Any]


@dataclass(slots=True)
class ModelShelf:
    """Keeps the model that was used last, so that the next run need not load it again."""

    _held: list[tuple[Any, Model]] = field(default_factory=list)

    def load(self, name: str, device: str) -> Model:
        """Return a model on a device.

        Parameters
        ----------
        name : str
            Name or folder; empty for the one that ships.
        device : str
            As torch names it, or ``auto``.

        Raises
        ------
        ModelNotFoundError, CorruptModelError, ConfigError
            If there is no such model or device, or the model is damaged.
        """
        load_torch()
        # Imported here, in the worker's thread, because they bring torch.
        from sgcldff_core.inference import choose_device, with_engine
        from sgcldff_core.model import load_model

        device = choose_device(device)
        key = (_stamp(name), device)
        for held, model in self._held:
            if held == key:
                return model
        model = with_engine(load_model(name or None, device=device))
        self._held[:] = [(key, model)]
        return model


def segment(extent: Extent, order: Order, shelf: ModelShelf, report: Report) -> Finding:
    """Find every leukocyte of an extent.

    Parameters
    ----------
    extent : Extent
        Read here, plane by plane and region by region.
    order : Order
        How.
    shelf : ModelShelf
        Where the model is kept.
    report : callable
        Told of the progress; may raise to stop.

    Returns
    -------
    Finding
        With the place of each cell in px of the results, not of the picture.

    Raises
    ------
    SgcldffError
        If a setting, the model or the picture is not usable.
    """
    report("loading the model", 0, 0)
    model = shelf.load(order.model, order.device)
    from sgcldff_core.inference import predict_plane

    begun = time.perf_counter()
    shape, several = (*extent.stack, *extent.shape), len(extent.planes) > 1
    labels = np.zeros(shape, np.int32)
    # On a stack or a slide half precision is enough to look at, and half the memory.
    halved = np.float16 if several else np.float32
    saliency = np.zeros(shape, halved)
    gradcam = np.zeros(shape, halved) if order.explain else None
    nucleus = None
    tables, diameters, count = [], [], 0
    for index in range(len(extent.planes)):
        box = extent.part(index)
        height, width = box[2] - box[0], box[3] - box[1]
        if not height or not width:
            continue
        found = predict_plane(
            partial(_read, extent, index, box[:2]),
            (height, width),
            model,
            name=extent.names[index],
            diameter=order.diameter or None,
            explain=order.explain,
            mirror=order.mirror,
            progress=partial(_tell, report, index, len(extent.planes)),
            **({"tile": order.tile} if order.tile else {}),
        )
        place = (*extent.place(index), slice(0, height), slice(0, width))
        cells = found.cells
        if several:
            labels[place] = np.where(found.labels > 0, found.labels + count, 0)
            cells = cells.assign(label=cells["label"] + count)
            saliency[place] = found.saliency
        else:  # in place of copies that a slide has no room for
            nucleus = found.nucleus if found.nucleus.shape == shape[-2:] else None
            labels = _lifted(found.labels, labels, place)
            saliency = _lifted(found.saliency, saliency, place)
        if gradcam is not None and found.gradcam is not None:
            gradcam[place] = found.gradcam
        count += len(cells)
        diameters.append(found.diameter)
        tables.append(cells)
    if not tables:
        raise ConfigError(f"nothing of {extent.name!r} is visible; move the view to it, or take the whole image")
    filled = [table for table in tables if len(table)] or tables[:1]
    diameter = float(np.median(diameters))
    run = {
        "model": model.name,
        "sha256": model.sha256,
        "version": sgcldff_core.__version__,
        "classes": list(model.config.classes),
        "diameter": diameter,
        "diameter_given": order.diameter > 0,
        "explain": order.explain,
        "device": order.device,
        "seconds": time.perf_counter() - begun,
        "origin": [int(extent.box[0]), int(extent.box[1])],
        "planes": {name: list(extent.place(i)) for i, name in enumerate(extent.names)},
    }
    cells = pd.concat(filled, ignore_index=True)
    return Finding(extent, labels, saliency, gradcam, nucleus, cells, tuple(model.config.classes), diameter, run)


def estimate_diameter(extent: Extent, order: Order, shelf: ModelShelf, report: Report) -> float:
    """Estimate the diameter of a typical leukocyte in the first plane of an extent.

    Parameters
    ----------
    extent, order, shelf, report
        As for `segment`.

    Returns
    -------
    float
        In px.
    """
    report("loading the model", 0, 0)
    model = shelf.load(order.model, order.device)
    from sgcldff_core.inference import estimate_plane_diameter

    box = extent.part(0)
    return estimate_plane_diameter(
        partial(_read, extent, 0, box[:2]),
        (box[2] - box[0], box[3] - box[1]),
        model,
        progress=report,
        **({"tile": order.tile} if order.tile else {}),
    )


def _read(extent: Extent, index: int, corner: tuple[int, int], box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    y, x = corner
    return extent.read(index, (box[0] + y, box[1] + x, box[2] + y, box[3] + x))


def _tell(report: Report, index: int, planes: int, stage: str, done: int, total: int) -> None:
    if planes == 1:
        report(stage, done, total)
    else:
        report(f"image {index + 1} of {planes}", index, planes)


def _lifted(found: NDArray[Any], empty: NDArray[Any], place: tuple[Any, ...]) -> NDArray[Any]:
    if found.shape == empty.shape[-2:] and empty[place].size == empty.size:
        return found.reshape(empty.shape)
    empty[place] = found
    return empty


def _stamp(name: str) -> tuple[str, int]:
    """Return what tells one model from another, and from what it was before it was trained on."""
    try:
        folder = find_model(name or None)
        return str(folder), (folder / DESCRIPTION).stat().st_mtime_ns
    except (ModelNotFoundError, OSError):
        return name, 0
