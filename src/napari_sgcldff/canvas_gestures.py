"""Clicks and lines on a labels layer, in its pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_sgcldff.view import camera_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels, Shapes

__all__ = ["LINE_LAYER", "CanvasGestures"]

LINE_LAYER = "split line"
"""Name of the layer that shows a line while it is drawn."""

_STILL = 4  # px of the screen: a hand that moves less has clicked


class CanvasGestures:
    """Tells what a person does with the mouse on a layer, as long as it listens.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        The viewer.
    layer : napari.layers.Labels
        The layer; gestures are told while it is the active one.
    on_click : callable
        Called with row and column, in px of the layer, of a click without a drag.
    on_line : callable
        Called with the points (N, 2) of a line, likewise.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        layer: Labels,
        on_click: Callable[[float, float], None],
        on_line: Callable[[NDArray[np.float64]], None],
    ) -> None:
        self._viewer, self._layer = viewer, layer
        self._on_click, self._on_line = on_click, on_line
        self._kind = ""
        self._line: Shapes | None = None

    def listen(self, kind: str) -> None:
        """Listen for one kind of gesture.

        Parameters
        ----------
        kind : str
            ``"click"``, ``"line"``, or empty for none.
        """
        if self._follow not in self._layer.mouse_drag_callbacks:
            self._layer.mouse_drag_callbacks.append(self._follow)
        self._kind = kind
        if kind:
            self._layer.mode = "pan_zoom"
        self._layer.mouse_pan = kind != "line" and str(self._layer.mode) == "pan_zoom"
        if kind == "line":
            self._add_line_layer()
        else:
            self._remove_line_layer()

    def end(self) -> None:
        """Stop listening, and leave the layer as napari has it."""
        if self._follow in self._layer.mouse_drag_callbacks:
            self._layer.mouse_drag_callbacks.remove(self._follow)
        self._layer.mouse_pan = str(self._layer.mode) == "pan_zoom"
        self._remove_line_layer()

    def _follow(self, layer: Labels, event: Any) -> Iterator[None]:
        if not self._kind or event.button not in (0, 1) or self._viewer.dims.ndisplay != 2:
            return
        pressed = np.array(event.pos, float)
        path = [self._at(event)]
        still = True
        yield
        while event.type == "mouse_move":
            still = still and np.abs(np.array(event.pos, float) - pressed).max() < _STILL
            if self._at(event) != path[-1]:
                path.append(self._at(event))
            if self._kind == "line":
                self._draw(path)
            yield
        if self._kind == "line" and not still:
            self._draw([])
            self._on_line(np.array(path))
        elif self._kind == "click" and still:
            self._on_click(*path[0])

    def _at(self, event: Any) -> tuple[float, float]:
        y, x = self._layer.world_to_data(event.position)[-2:]
        return float(y), float(x)

    def _add_line_layer(self) -> None:
        if self._line is None or self._line not in self._viewer.layers:
            from napari.layers import Shapes

            layer = self._layer
            self._line = Shapes(
                ndim=2,
                name=LINE_LAYER,
                scale=tuple(layer.scale[-2:]),
                translate=tuple(layer.translate[-2:]),
                edge_color="white",
                edge_width=2,
            )
            self._viewer.add_layer(self._line)
            self._viewer.layers.selection.active = layer

    def _remove_line_layer(self) -> None:
        if self._line is not None and self._line in self._viewer.layers:
            self._viewer.layers.remove(self._line)
        self._line = None

    def _draw(self, path: list[tuple[float, float]]) -> None:
        if self._line is not None and self._line in self._viewer.layers:
            self._line.data = []
            if len(path) > 1:
                self._line.add_paths(np.array(path), edge_width=2 / self._zoom(), edge_color="white")

    def _zoom(self) -> float:
        return max(float(camera_of(self._viewer).zoom) * float(self._layer.scale[-1]), 1e-6)
