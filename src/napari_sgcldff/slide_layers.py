"""Slides, and what ``sgcldff predict`` wrote of them, as layers that read what is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sgcldff.layers import annotation_layer
from sgcldff_core.datasets.ome_zarr import open_ome_zarr
from sgcldff_core.datasets.slides import is_slide, open_slide
from sgcldff_core.errors import FormatError
from sgcldff_core.extras import wants_extra

if TYPE_CHECKING:
    import pandas as pd
    from napari.types import LayerDataTuple

__all__ = ["is_slide_output", "read_slide", "read_slide_labels", "slide_reader"]

_LABELS, _TABLE = "_labels.ome.zarr", "_cells.parquet"


def slide_reader(path: Path) -> Any:
    """Return what reads a path if it is a slide or the labels of one, else None.

    Parameters
    ----------
    path : Path
        A file, or a folder such as an OME-Zarr group; it need not exist.
    """
    if is_slide_output(path):
        return read_slide_labels
    if path.suffix.lower() in (".zarr", ".tif", ".tiff", ".svs") and is_slide(path):
        return read_slide
    return None


def is_slide_output(path: Path) -> bool:
    """Tell whether a folder is the label image of a slide, with its table beside it.

    Parameters
    ----------
    path : Path
        Of the OME-Zarr group; it need not exist.
    """
    return path.name.endswith(_LABELS) and _table_of(path).is_file()


def _table_of(labels: Path) -> Path:
    return labels.with_name(labels.name.removesuffix(_LABELS) + _TABLE)


def read_slide(path: str | Sequence[str]) -> list[LayerDataTuple]:
    """Read a slide as a multi-scale image of which only what is looked at is read.

    Parameters
    ----------
    path : str
        OME-Zarr, OME-TIFF or another TIFF in tiles.

    Returns
    -------
    list of (data, dict, str)
        One image layer.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    file = Path(str(path))
    levels = [level.as_dask() for level in open_slide(file).levels]  # stays open as long as the layer lives
    name = file.name.split(".")[0]
    several = len(levels) > 1
    attributes = {"name": name, "rgb": True, "multiscale": several, "contrast_limits": (0, 255)}
    return [(levels if several else levels[0], attributes, "image")]


def read_slide_labels(path: str | Sequence[str]) -> list[LayerDataTuple]:
    """Read the cells that were found on a slide.

    Parameters
    ----------
    path : str
        ``<stem>_labels.ome.zarr``, with ``<stem>_cells.parquet`` beside it.

    Returns
    -------
    list of (data, dict, str)
        One multi-scale labels layer, coloured by class, with the table as its features.

    Raises
    ------
    DataError
        If one of them cannot be read.
    """
    import dask.array as da

    folder = Path(str(path))
    levels = [da.from_array(level.array) for level in open_ome_zarr(folder / "labels" / "cells").levels]
    table = _read_table(_table_of(folder))
    named = dict(zip(table["label"].astype(int), table["class"].astype(str), strict=True))
    name = folder.name.removesuffix(_LABELS)
    data, attributes, kind = annotation_layer(levels[0], named, f"{name} WBC", {"role": "cells", "file": str(folder)})
    table.insert(0, "index", table["label"])
    several = len(levels) > 1
    return [(levels if several else data, {**attributes, "features": table, "multiscale": several}, kind)]


def _read_table(file: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        with wants_extra("slides", "slides"):
            return pd.read_parquet(file)
    except (OSError, ValueError) as problem:
        raise FormatError(file, f"this is no table of cells ({problem})", "write it again with predict") from problem
