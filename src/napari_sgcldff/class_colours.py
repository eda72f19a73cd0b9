"""Labels coloured by class, one by one, as their classes change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sgcldff_core.taxonomy import colour_of

if TYPE_CHECKING:
    from napari.layers import Labels

__all__ = ["colour_by_class"]

_MOST_DIRECT = 2**16  # above, napari cannot colour label by label unless numba is installed
_UNNAMED = (0.63, 0.63, 0.63, 1.0)


def colour_by_class(layer: Labels, named: Mapping[int, str | None], classes: Sequence[str]) -> None:
    """Give labels the colours of their classes; other labels keep theirs.

    Parameters
    ----------
    layer : napari.layers.Labels
        The layer.
    named : mapping of int to str or None
        Class of each label that is to be coloured; those without one are grey, and so is a label that
        the layer has no colour for, such as a cell that is being painted.
    classes : sequence of str
        All classes, for the colours of those that a user defined.
    """
    from napari.utils.colormaps import DirectLabelColormap

    if max(named, default=0) > _MOST_DIRECT:
        return
    old = layer.colormap
    colours: dict[int | None, NDArray[np.float32]] = {}
    if isinstance(old, DirectLabelColormap):
        colours = {key: np.asarray(colour, np.float32) for key, colour in old.color_dict.items()}
    wanted: dict[int | None, NDArray[np.float32]] = {None: np.array(_UNNAMED, np.float32), 0: np.zeros(4, np.float32)}
    for label, name in named.items():
        rgb = colour_of(name, classes) if name else None
        wanted[label] = np.array(_UNNAMED if rgb is None else [*(c / 255 for c in rgb), 1], np.float32)
    unnamed = colours.get(None)
    new = {key: colour for key, colour in wanted.items() if not _same(colours.get(key, unnamed), colour)}
    # napari draws the whole layer anew, which takes a second where it is large: only where there is a reason.
    if new:
        layer.colormap = DirectLabelColormap(color_dict={**colours, **wanted})


def _same(a: NDArray[np.float32] | None, b: NDArray[np.float32]) -> bool:
    return a is not None and np.allclose(a, b, atol=1e-3)
