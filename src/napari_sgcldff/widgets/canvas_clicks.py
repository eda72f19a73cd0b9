"""Clicks in the canvas that mean a thing to a widget."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from qtpy.QtCore import QObject

__all__ = ["on_click"]

_MOVED = 3  # px of the screen: more is a drag, no click


def on_click(widget: QObject, viewer: ViewerModel, to: Callable[[Any], None]) -> None:
    """Have a method of a widget called with each click in the canvas, until the widget is gone.

    A click is a press of the left button that is let go at the same place, while the active layer
    does not draw or erase.

    Parameters
    ----------
    widget : QObject
        Whose method `to` is.
    viewer : napari.components.ViewerModel
        The viewer itself, no proxy.
    to : callable
        A bound method of `widget`; it is called with napari's mouse event.
    """
    callback = partial(_watch, weakref.ref(widget), to.__name__)
    viewer.mouse_drag_callbacks.append(callback)
    widget.destroyed.connect(partial(_stop, viewer.mouse_drag_callbacks, callback))


def _watch(widget: weakref.ref[QObject], method: str, viewer: ViewerModel, event: Any) -> Iterator[None]:
    if event.button != 1 or _is_drawing(viewer):
        return
    start = event.pos
    yield
    while event.type == "mouse_move":
        yield
    there = widget()
    if there is not None and max(abs(float(a) - float(b)) for a, b in zip(event.pos, start, strict=True)) <= _MOVED:
        getattr(there, method)(event)


def _is_drawing(viewer: ViewerModel) -> bool:
    """Tell whether a click means something else to the layer that is active."""
    active = viewer.layers.selection.active
    return active is not None and str(getattr(active, "mode", "pan_zoom")) not in ("pan_zoom", "pick")


def _stop(callbacks: list[Any], callback: Any, *_: object) -> None:
    if callback in callbacks:
        callbacks.remove(callback)
