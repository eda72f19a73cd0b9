"""Labels that lie on disk, read into memory to be edited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sgcldff.step_making import editable

if TYPE_CHECKING:
    from napari_sgcldff.tasks import Report

__all__ = ["read_labels"]


def read_labels(lazy: Any, report: Report) -> NDArray[np.integer]:
    """Read labels plane by plane, as work for the background.

    Parameters
    ----------
    lazy : array-like
        (..., H, W) int, such as a dask array.
    report : callable
        See `napari_sgcldff.tasks.Report`.

    Returns
    -------
    ndarray
        As `napari_sgcldff.step_making.editable` makes them.
    """
    planes = list(np.ndindex(*lazy.shape[:-2]))
    whole = np.empty(lazy.shape, lazy.dtype)
    for done, plane in enumerate(planes):
        report("reading the labels", done, len(planes))
        whole[plane] = np.asarray(lazy[plane])
    return editable(whole)
