"""What the widgets of one viewer share: model, diameter, the cell that is looked at, the task that is on."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from psygnal import EventedModel
from pydantic import PrivateAttr
from qtpy.QtCore import QSettings

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["Session", "session_of", "settings"]


class Session(EventedModel):
    """State of the work in one viewer; every widget of it reads and writes the same one.

    Attributes
    ----------
    model : str
        Name or folder of a model; empty for the one that ships.
    diameter : float
        Of a typical leukocyte in px of the image; 0 to estimate it.
    measured_on, measured_name : str
        ``unique_id`` and name of the image that the diameter was set for; empty where that is not known.
    cells : str
        ``unique_id`` of the labels layer whose cells are looked at; empty for none.
    label : int
        The cell of that layer that is looked at; 0 for none.
    """

    model: str = ""
    diameter: float = 0.0
    measured_on: str = ""
    measured_name: str = ""
    cells: str = ""
    label: int = 0
    _busy: str = PrivateAttr(default="")

    @property
    def busy(self) -> str:
        """Title of the task that is on in this viewer, empty without one."""
        return self._busy

    def occupy(self, title: str) -> bool:
        """Take the viewer for a task; False, and nothing changes, where another one is on.

        Parameters
        ----------
        title : str
            What the task is called where another one is refused because of it.
        """
        if self._busy:
            return False
        self._busy = title
        return True

    def release(self) -> None:
        """Let the next task have the viewer."""
        self._busy = ""


_sessions: weakref.WeakKeyDictionary[ViewerModel, Session] = weakref.WeakKeyDictionary()


def session_of(viewer: ViewerModel) -> Session:
    """Return the session of a viewer, the same one each time; it ends with the viewer.

    A new one starts with the model and the diameter that were used last.

    Parameters
    ----------
    viewer : ViewerModel
        The viewer, or the proxy that plugins are handed.
    """
    viewer = getattr(viewer, "__wrapped__", viewer)  # plugins are handed a proxy, a new one each time
    session = _sessions.get(viewer)
    if session is None:
        kept = settings()
        session = Session(
            model=str(kept.value("model", "")),
            diameter=float(kept.value("diameter", 0.0)),
            measured_name=str(kept.value("measured_name", "")),
        )
        session.events.model.connect(lambda value: settings().setValue("model", value))
        session.events.diameter.connect(lambda value: settings().setValue("diameter", value))
        session.events.measured_name.connect(lambda value: settings().setValue("measured_name", value))
        _sessions[viewer] = session
    return session


def settings() -> QSettings:
    """Return what is remembered from one start of napari to the next."""
    return QSettings("sgcldff", "napari-sgcldff")
