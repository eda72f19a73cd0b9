"""Layers saved as data sets: curated folders and COCO.

Both are folders. A curated folder is ``<path>``, by custom with the suffix ``.curated``, so that napari
never takes this writer for another's; an image is added to one that exists. For ``<path>/smear.json``
the COCO data set is the folder ``<path>/smear`` with ``annotations.json`` in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sgcldff.autosave import login_name
from napari_sgcldff.edited_rows import as_table
from napari_sgcldff.layers import KEY
from sgcldff_core.datasets.history import Change, Provenance
from sgcldff_core.errors import ConfigError
from sgcldff_core.sample import Raster, Sample

if TYPE_CHECKING:
    import pandas as pd
    from napari.types import FullLayerData

__all__ = ["write_coco_layers", "write_curated_labels", "write_curated_layers"]


def write_curated_layers(path: str, layers: Sequence[FullLayerData]) -> list[str]:
    """Save images and the cells in them as a curated folder, or into one.

    Parameters
    ----------
    path : str
        The folder.
    layers : list of (data, dict, str)
        Images and labels; of a stack each image that has cells is saved.

    Returns
    -------
    list of str
        The folder.

    Raises
    ------
    ConfigError
        If there is nothing to save.
    DataError
        If the folder cannot be used.
    """
    from sgcldff_core.datasets.curated_update import free_name, update_curated

    folder = Path(path)
    for name, image, labels, table, trusted in _planes(layers):
        kept = free_name(folder, name, image)
        sure = table["curated"] | trusted
        update_curated(
            folder,
            _sample(kept, image, labels, table[sure]),
            changes=[Change.now(login_name(), f"{kept}: saved from napari")],
            predicted=_classes(table[~sure]),
            title=folder.stem,
            origin="layers of napari",
        )
    return [str(folder)]


def write_curated_labels(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Save cells with the image of the viewer that they belong to, as `write_curated_layers` does.

    Parameters
    ----------
    path : str
        The folder.
    data : array-like
        (..., H, W) labels.
    meta : dict
        Of the layer.

    Returns
    -------
    list of str
        The folder.

    Raises
    ------
    ConfigError
        If no open image belongs to the cells.
    """
    import napari

    from napari_sgcldff.pairing import image_of

    viewer = napari.current_viewer()
    layers = () if viewer is None else tuple(viewer.layers)
    own = next((layer for layer in layers if layer.name == meta["name"] and layer.data is data), None)
    image = None if own is None else image_of(layers, own)
    if image is None:
        raise ConfigError(
            f"it is not known which image the cells of {meta['name']!r} belong to; "
            "select the image and the labels together, and save both"
        )
    return write_curated_layers(path, [image.as_layer_data_tuple(), (data, dict(meta), "labels")])


def write_coco_layers(path: str, layers: Sequence[FullLayerData]) -> list[str]:
    """Save images and the cells in them as COCO.

    Parameters
    ----------
    path : str
        Without its suffix it is the folder that is made.
    layers : list of (data, dict, str)
        Images and labels; all that is known of a cell's class is written, whoever said it.

    Returns
    -------
    list of str
        The file with the annotations.

    Raises
    ------
    ConfigError
        If there is nothing to save.
    DataError
        If the folder exists.
    """
    from sgcldff_core.datasets.coco_writer import write_coco
    from sgcldff_core.datasets.history import COCO_INDEX

    folder = Path(path).with_suffix("") if path.endswith(".json") else Path(path)
    samples = [_sample(name, image, labels, table) for name, image, labels, table, _ in _planes(layers)]
    history = (Change.now(login_name(), "saved from napari"),)
    write_coco(samples, folder, provenance=Provenance(folder.name, "layers of napari", history))
    return [str(folder / COCO_INDEX)]


def _planes(
    layers: Sequence[FullLayerData],
) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.int32], pd.DataFrame, bool]]:
    """Yield name, image, labels, table and whether people named the cells, for each image that has cells."""
    pictures = [(data, meta) for data, meta, kind in layers if kind == "image" and meta.get("rgb")]
    found = False
    for data, meta, kind in layers:
        if kind != "labels":
            continue
        labels = data[0] if meta.get("multiscale") else data
        image, about = _picture_of(labels, meta, pictures)
        table = as_table(_features(meta))
        trusted = meta.get("metadata", {}).get(KEY, {}).get("role") != "cells"
        for index in np.ndindex(labels.shape[:-2]):
            plane = np.asarray(labels[index]).astype(np.int32)
            if not plane.any():
                continue
            found = True
            name, picture = _plane_of(image, about, _lying_at(index, meta, about))
            plane = plane[: picture.shape[0], : picture.shape[1]]
            yield name, picture, plane, table[table.index.isin(np.unique(plane))], trusted
    if not found:
        raise ConfigError("there are no cells in these layers; outline some, or choose other layers")


def _picture_of(labels: Any, meta: Mapping[str, Any], pictures: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
    fitting = [(data, own) for data, own in pictures if _level(data, own).shape[:-1][-2:] == labels.shape[-2:]]
    named = [pair for pair in fitting if str(meta["name"]).startswith(pair[1]["name"])]
    if not fitting:
        raise ConfigError(
            f"no colour image of {labels.shape[-2]}x{labels.shape[-1]} px, as {meta['name']!r} has, is among the layers"
        )
    return max(named or fitting[:1], key=lambda pair: len(pair[1]["name"]))


def _lying_at(index: tuple[int, ...], meta: Mapping[str, Any], below: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the index in an image of a plane of labels: those of one plane of a stack may be a layer of their own."""
    count = len(index)
    (scale, shift), (under, offset) = (
        (np.array(own.get("scale", (1.0,) * (count + 2)), float), np.array(own.get("translate", (0.0,) * (count + 2))))
        for own in (meta, below)
    )
    if not len(scale) == len(under) == count + 2:
        return index
    at = (shift[:count] + np.array(index, float) * scale[:count] - offset[:count]) / under[:count]
    return tuple(int(i) for i in np.rint(at))


def _plane_of(data: Any, meta: Mapping[str, Any], index: tuple[int, ...]) -> tuple[str, NDArray[np.uint8]]:
    from sgcldff_core.datasets.depth import to_uint8

    level, about = _level(data, meta), meta.get("metadata", {}).get(KEY, {})
    leading = level.ndim - 3
    at = tuple(min(max(i, 0), n - 1) for i, n in zip(index[-leading:] if leading else (), level.shape, strict=False))
    picture = to_uint8(np.asarray(level[at])[..., :3])
    if at and about.get("sizes") is not None:
        height, width = about["sizes"][at[0]]
        picture = picture[:height, :width]
    several = any(n > 1 for n in level.shape[:leading])
    names = about.get("names")
    name = (
        str(names[at[0]]) if names and at else f"{meta['name']} {'-'.join(map(str, at))}" if several else meta["name"]
    )
    return name, np.ascontiguousarray(picture)


def _level(data: Any, meta: Mapping[str, Any]) -> Any:
    return data[0] if meta.get("multiscale") else data


def _features(meta: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    features = meta.get("features")
    return pd.DataFrame({"index": []}) if features is None else pd.DataFrame(features)


def _classes(table: pd.DataFrame) -> dict[int, str]:
    return {int(label): str(kind) for label, kind in table["class"].dropna().items()}


def _sample(name: str, image: NDArray[np.uint8], labels: NDArray[np.int32], table: pd.DataFrame) -> Sample:
    return Sample(
        name=name,
        image=Raster.of(image),
        source="napari",
        group=name,
        labels=Raster.of(labels),
        classes=_classes(table),
    )
