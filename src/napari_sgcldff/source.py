"""The picture that is shown, in memory, and where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sgcldff.extent import Extent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image
    from numpy.typing import NDArray

__all__ = ["Source"]


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The picture that a result belongs to: what is shown of an image layer, and where it lies.

    Attributes
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    name : str
        Of the layer.
    uid : str
        Identifies the layer even after it was renamed.
    leading : int
        Number of axes before rows and columns, each of which the results have at length 1.
    placement : dict
        What a layer with the results needs to lie on the picture: scale, translate and so on.
    """

    image: NDArray[np.uint8]
    name: str
    uid: str
    leading: int
    placement: dict[str, Any]

    @classmethod
    def of(cls, layer: Image, step: Sequence[int] = ()) -> Source:
        """Take the plane that is shown of an image layer.

        Parameters
        ----------
        layer : napari.layers.Image
            RGB; a stack or a multi-scale image will do.
        step : sequence of int, optional
            ``viewer.dims.current_step``; the plane of a stack is chosen by it.

        Returns
        -------
        Source
            Its pixels are in memory.

        Raises
        ------
        ConfigError
            If the layer is not RGB, or has values on no known scale.
        """
        extent = Extent.of(layer, step)
        return cls(extent.read(0, extent.part(0)), extent.name, extent.uid, layer.ndim - 2, extent.placement)

    def lift(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return a (H, W) result with an axis of length 1 for each leading axis of the picture.

        Parameters
        ----------
        plane : ndarray, shape (H, W)
            A result for the picture, such as labels or a map.
        """
        return plane[(None,) * self.leading]
