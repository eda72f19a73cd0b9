"""Live mode: the cells in view, found anew as the view moves."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_sgcldff.extent import Extent
from napari_sgcldff.segmenting import Finding, ModelShelf, Order, segment
from napari_sgcldff.session import session_of
from napari_sgcldff.tasks import Ending, Report, Task
from napari_sgcldff.view import bare, camera_of, visible_box
from napari_sgcldff.widgets.listening import listen
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["LiveMode"]

_PAUSE = 300  # ms for which the view must stay where it is
_BUSY = 200  # ms after which to ask again while another task is on
_MOST = 2560  # px: side of a square as large as a view may be for a quick look


class LiveMode(QCheckBox):
    """Switches the live mode on and off, and runs it.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Whose view it follows.
    image : callable
        Returns the image layer to look at, None without one.
    order : callable
        Returns the `Order` to look with.
    shelf : ModelShelf
        Where the model is kept.
    parent : QWidget, optional
        The widget it lies in.
    """

    found = Signal(object)
    """A `Finding`: what is in view now."""

    said = Signal(str)
    """What a person should know."""

    def __init__(
        self,
        viewer: ViewerModel,
        image: Callable[[], Any],
        order: Callable[[], Order],
        shelf: ModelShelf,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__("Live", parent)
        self._viewer, self._session = bare(viewer), session_of(viewer)
        self._image, self._order, self._shelf = image, order, shelf
        self._task: Task[Finding] | None = None
        self._seen: Any = None
        self._diameter: dict[str, float] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._look)
        self.toggled.connect(self._switched)
        camera = camera_of(self._viewer)
        listen(self, camera.events.center, camera.events.zoom, to=self.look_soon)
        listen(self, self._viewer.dims.events.current_step, to=self.look_soon)
        listen(self, self._session.events.model, self._session.events.diameter, to=self.look_anew)
        self.destroyed.connect(partial(_abandon, weakref.ref(self)))

    @property
    def looking(self) -> bool:
        """Whether a look is under way."""
        return self._task is not None and self._task.running

    def look_soon(self, event: object = None) -> None:
        """Look once the view has stayed where it is for a moment; a look that is on is given up.

        Parameters
        ----------
        event : object, optional
            Of napari, when the view moved; not looked at.
        """
        if self.isChecked() and self._wanted() != self._seen:
            self._timer.start(_PAUSE)
            if self._task is not None:
                self._task.cancel()

    def look_anew(self, event: object = None) -> None:
        """Look again, even at the same view: model, diameter or image are others.

        Parameters
        ----------
        event : object, optional
            What made this necessary; not looked at.
        """
        self._seen = None
        self.look_soon()

    def hideEvent(self, event: Any) -> None:
        """Switch off with the widget: nobody would see what goes on."""
        self.setChecked(False)
        super().hideEvent(event)

    def _wanted(self) -> Any:
        image = self._image()
        if image is None:
            return None
        leading = tuple(self._viewer.dims.current_step)[: max(image.ndim - 2, 0)]
        return str(image.unique_id), leading, visible_box(self._viewer, image)

    def _switched(self, on: bool) -> None:
        self._timer.stop()
        self._seen = None
        if on:
            self._timer.start(0)
        elif self._task is not None:
            self._task.cancel()

    def _look(self) -> None:
        image = self._image()
        if not self.isChecked() or image is None:
            return
        if self.looking or self._session.busy:
            self._timer.start(_BUSY)
            return
        wanted = self._wanted()
        _, _, (y0, x0, y1, x1) = wanted
        if (y1 - y0) * (x1 - x0) > _MOST**2:
            self._seen = wanted
            self.said.emit("Live: zoom in; the view is too large for a quick look.")
            return
        try:
            extent = Extent.of(image, self._viewer.dims.current_step, box=wanted[2])
        except ConfigError as nothing:
            self._seen = wanted
            self.said.emit(f"Live: {nothing}")
            return
        if not self._session.occupy("Live view"):
            return
        order, shelf, uid = self._order(), self._shelf, str(image.unique_id)
        if not order.diameter and uid in self._diameter:  # estimated once, not at every move
            order = replace(order, diameter=self._diameter[uid])

        def work(report: Report) -> Finding:
            return segment(extent, order, shelf, report)

        self._seen = wanted
        self._task = Task("Live view", work, on_result=self._show, on_end=self._end, listed=False)
        self._task.start()

    def _show(self, finding: Finding) -> None:
        if not self.isChecked() or finding.extent.uid not in {str(one.unique_id) for one in self._viewer.layers}:
            return
        if len(finding.cells):
            self._diameter.setdefault(finding.extent.uid, finding.diameter)
        self.found.emit(finding)

    def _end(self, ending: Ending) -> None:
        self._session.release()
        self._task = None
        if ending is Ending.FAILED:
            self.setChecked(False)
            self.said.emit("Live was switched off: it failed, and the notification says why.")
        elif ending is Ending.STOPPED:
            self._seen = None
            if self.isChecked() and not self._timer.isActive():
                self._timer.start(_PAUSE)


def _abandon(live: weakref.ref[LiveMode]) -> None:
    """Stop a look once its window is gone."""
    gone = live()
    if gone is not None and gone._task is not None and gone._task.running:
        gone._task.abandon()
        gone._session.release()
