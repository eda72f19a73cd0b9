"""Masks as they are published become instance labels and nuclei."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sgcldff_core.datasets.rasters import read_grey

__all__ = ["cells_of", "central_first", "read_single_cell", "read_single_nucleus"]

# A stray dab of the brush: smaller than this share of the largest cell in the picture.
_SPECK = 0.02


def cells_of(foreground: NDArray[np.bool_], speck: float = _SPECK) -> NDArray[np.int32]:
    """Label connected cells, 8-connected, and drop specks.

    Parameters
    ----------
    foreground : ndarray of bool, shape (H, W)
        Where leukocytes are.
    speck : float, default 0.02
        Parts smaller than this share of the largest are dropped.

    Returns
    -------
    ndarray of int32, shape (H, W)
        1 to N in reading order, 0 background.
    """
    labels, count = ndimage.label(foreground, structure=np.ones((3, 3)))
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    kept = areas >= speck * areas.max(initial=0)
    if kept.all():
        return np.asarray(labels, np.int32)
    numbers = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.int32)
    cells: NDArray[np.int32] = numbers[labels]
    return cells


def central_first(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Exchange labels so that the cell nearest to the image's centre is number 1.

    A crop is taken around one cell, whose class the data set gives; neighbours reach into it.

    Parameters
    ----------
    labels : ndarray of int32, shape (H, W)
        Instance labels, 0 background.

    Returns
    -------
    ndarray of int32, shape (H, W)
        The same cells; the other numbers stay as they were.
    """
    rows, columns = np.nonzero(labels)
    if rows.size == 0:
        return labels
    height, width = labels.shape
    nearest = np.argmin((rows - (height - 1) / 2) ** 2 + (columns - (width - 1) / 2) ** 2)
    central = labels[rows[nearest], columns[nearest]]
    exchange = np.arange(labels.max() + 1, dtype=np.int32)
    exchange[[1, central]] = exchange[[central, 1]]
    return exchange[labels]


def read_single_cell(path: Path, *, cell_above: int) -> NDArray[np.int32]:
    """Read the mask of a crop around one cell.

    Parameters
    ----------
    path : Path
        A mask whose greys rise from background over cytoplasm to nucleus.
    cell_above : int
        Greys above this are leukocyte.

    Returns
    -------
    ndarray of int32, shape (H, W)
        Instance labels; 1 is the cell nearest to the centre.
    """
    return central_first(cells_of(read_grey(path) > cell_above))


def read_single_nucleus(path: Path, *, cell_above: int, nucleus_above: int) -> NDArray[np.bool_]:
    """Read the nuclei of what `read_single_cell` labels.

    Parameters
    ----------
    path : Path
        As for `read_single_cell`.
    cell_above, nucleus_above : int
        Greys above these are leukocyte, and nucleus.

    Returns
    -------
    ndarray of bool, shape (H, W)
        True in nuclei, those of neighbours left out.
    """
    grey = read_grey(path)
    return (grey > nucleus_above) & (cells_of(grey > cell_above) > 0)
