"""Listening to what outlives a widget, and no longer than the widget lives."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qtpy.QtCore import QObject

__all__ = ["listen"]


def listen(widget: QObject, *signals: Any, to: Callable[..., Any]) -> None:
    """Have a method of a widget called by signals until the widget is gone.

    Parameters
    ----------
    widget : QObject
        Whose method `to` is.
    *signals : psygnal.SignalInstance or napari.utils.events.EventEmitter
        Of a viewer, a layer or a session.
    to : callable
        A bound method of `widget`.
    """
    for signal in signals:
        signal.connect(to)
    widget.destroyed.connect(partial(_forget, weakref.ref(widget), signals, to.__name__))


def _forget(widget: weakref.ref[QObject], signals: tuple[Any, ...], method: str) -> None:
    gone = widget()
    if gone is None:
        return
    for signal in signals:
        try:
            signal.disconnect(getattr(gone, method))
        except ValueError:  # it was disconnected before, or its owner is gone as well
            continue
