"""Every edit of annotated cells: labels, features and colours stay in step, and each edit is one step to undo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sgcldff.class_colours import colour_by_class
from napari_sgcldff.edit_steps import Change, Step, Steps
from napari_sgcldff.edited_rows import as_features, as_table, replaced, rows_of_plane
from napari_sgcldff.layers import KEY
from napari_sgcldff.napari_history import NapariHistory
from napari_sgcldff.step_making import Surroundings, Window, pixel_step, row_step, where_different
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Labels

__all__ = ["Curation"]

_LARGE = 2**21  # px


class Curation:
    """The edits of one labels layer, from the moment it is made until `end`.

    The brush, the eraser and all else that napari does to the layer is followed. An edit through this
    class is written by ``Labels.data_setitem``, so that it stands in napari's own history, too.

    Parameters
    ----------
    layer : napari.layers.Labels
        Of a single resolution, see `napari_sgcldff.step_making.editable` for its data.
    classes : sequence of str
        All classes that a cell may be given, for the colours.
    image_name : callable
        Returns the name of the image of a plane, for the table of cells.
    plane : tuple of int
        The plane that is shown.
    saliency, nucleus : ndarray, optional
        (H, W), of the image, for measuring; only of a layer with a single plane.
    """

    changed = Signal(Change)
    """Something was edited, undone or done again; what it was."""

    ended = Signal(str)
    """The layer got other data, why no edit can follow."""

    def __init__(
        self,
        layer: Labels,
        *,
        classes: Sequence[str] = (),
        image_name: Callable[[tuple[int, ...]], str] = lambda plane: "",
        plane: tuple[int, ...] = (),
        saliency: NDArray[np.floating] | None = None,
        nucleus: NDArray[np.bool_] | None = None,
    ) -> None:
        self.layer = layer
        self.classes = list(classes)
        self.steps = Steps()
        self.saliency, self.nucleus = saliency, nucleus
        self.new_class: str | None = None  # of a cell that is painted from nothing
        self._image_name = image_name
        self._known: dict[tuple[int, ...], NDArray[np.integer]] = {}
        self._quiet, self._due = 0, False
        self._history = NapariHistory(layer)
        self.table = as_table(layer.features)
        self._largest = max(int(layer.data.max(initial=0)), *self.table.index, 0)
        self.plane = plane
        self.show_plane(plane)
        for event, follow in self._followed():
            event.connect(follow)

    def end(self) -> None:
        """Stop following the layer."""
        for event, follow in self._followed():
            event.disconnect(follow)

    def show_plane(self, plane: tuple[int, ...]) -> None:
        """Turn to another plane (indices before row and column); its cells are measured when it is first seen."""
        self.plane = plane
        if plane in self._known:
            self._follow()
            return
        pixels = self._known[plane] = np.array(self.layer.data[plane])
        rows = rows_of_plane(self.table, pixels, self._image_name(plane), self.saliency, self.nucleus)
        single = self.layer.data[..., 0, 0].size == 1
        stale = self.table.index.difference(rows.index).tolist() if single else []
        self._adopt(replaced(self.table, [*rows.index, *stale], rows), rows.index.tolist())

    def cell_at(self, y: float, x: float) -> int:
        """Return the label at a point of the plane that is shown, in px; 0 for none or outside."""
        pixels = self._known[self.plane]
        row, column = round(y), round(x)
        inside = 0 <= row < pixels.shape[0] and 0 <= column < pixels.shape[1]
        return int(pixels[row, column]) if inside else 0

    def next_label(self) -> int:
        """Return a label that no cell of the layer has had."""
        return max(self._largest, *self.table.index, 0) + 1

    def plane_of(self, label: int) -> tuple[int, ...]:
        """Return the plane that a cell is in; the one that is shown where that cannot be told."""
        offsets = self.layer.metadata.get(KEY, {}).get("offsets", ())  # of a stack that was read from files
        read = [(int(np.searchsorted(offsets, label)) - 1,)] if len(offsets) else []
        seen = (plane for plane in (self.plane, *self._known) if (self._known[plane] == label).any())
        return next(seen, *read or [self.plane])

    def pixels(self, plane: tuple[int, ...]) -> NDArray[np.integer]:
        """Return the labels (H, W) of a plane that has been shown; not to be written to."""
        return self._known[plane]

    @property
    def labels(self) -> NDArray[np.integer]:
        """(H, W) int, the plane that is shown; not to be written to."""
        return self._known[self.plane]

    def rewrite(
        self,
        what: str,
        window: Window,
        pixels: NDArray[np.integer],
        rows: Mapping[int, Mapping[str, Any]] | None = None,
        look_at: int = 0,
    ) -> None:
        """Edit pixels of the plane that is shown, as one step.

        Parameters
        ----------
        what : str
            What is done, in words.
        window : tuple of slice
            Rows and columns.
        pixels : ndarray
            (h, w) int, the labels of the window afterwards.
        rows : mapping of int to mapping of str to object, optional
            For each cell what its row says afterwards in some columns. A cell that is new begins as a
            copy of the row that ``"like"`` names, or unknown.
        look_at : int
            The cell to look at afterwards.

        Raises
        ------
        ConfigError
            If nothing would change.
        """
        before = self.labels[window].copy()
        pixels = np.asarray(pixels, before.dtype)
        if np.array_equal(before, pixels):
            raise ConfigError(f"{what}: there is nothing to change")
        step = self._step(what, window, before, pixels, rows or {}, look_at)
        self._put(step.done)
        self._take(step)

    def set_rows(self, what: str, rows: Mapping[int, Mapping[str, Any]], look_at: int = 0) -> None:
        """Edit what the table says of cells of the plane that is shown, as one step."""
        self._take(row_step(what, self.plane, self.table, rows, look_at))

    def undo(self) -> bool:
        """Take the latest step back; False if there is none."""
        step = self.steps.back()
        if step is not None:
            self._restore(step.undone, self.layer.undo, self.layer.redo)
        return step is not None

    def redo(self) -> bool:
        """Take the step again that was last taken back; False if there is none."""
        step = self.steps.again()
        if step is not None:
            self._restore(step.done, self.layer.redo, self.layer.undo)
        return step is not None

    def _followed(self) -> Iterator[tuple[Any, Callable[..., None]]]:
        events = self.layer.events
        # napari's own undo fires nothing but set_data.
        yield from ((events.paint, self._follow_paint), (events.set_data, self._follow_refresh))
        yield (events.labels_update, self._follow_due)
        yield from ((events.data, self._follow_data), (events.features, self._follow_features))

    def _follow_paint(self, event: object = None) -> None:
        # At the end of a stroke; of a single dab napari tells before it writes, so that nothing is different yet.
        self._due = not self._follow()

    def _follow_due(self, event: object = None) -> None:
        if self._due:  # else this is in the middle of a stroke
            self._due = not self._follow()

    def _follow_refresh(self, event: object = None) -> None:
        if not getattr(self.layer, "_block_history", False):  # else in the middle of a stroke, as above
            self._follow()

    def _follow(self) -> bool:
        """Make a step of what was done to the pixels by the brush, by napari's undo, or by anything else."""
        if self._quiet:
            return True
        known, pixels = self._known[self.plane], np.asarray(self.layer.data[self.plane])
        window = where_different(known, pixels) if known.shape == pixels.shape else None
        if window is None:
            return False
        by_undo, by_redo = self._history.since_noted()
        if by_undo and self.steps.taken and self._is(self.steps.taken[-1].undone, window, pixels):
            self._settle(self.steps.back().undone)  # type: ignore[union-attr]
        elif by_redo and self.steps.taken_back and self._is(self.steps.taken_back[-1].done, window, pixels):
            self._settle(self.steps.again().done)  # type: ignore[union-attr]
        else:
            step = self._step("", window, known[window].copy(), pixels[window].copy(), {}, 0)
            self._take(step)
        return True

    def _follow_data(self, event: object = None) -> None:
        if not self._quiet:
            self.end()
            self.ended.emit(f"{self.layer.name} got other data")

    def _follow_features(self, event: object = None) -> None:
        if not self._quiet:
            self.table = as_table(self.layer.features)

    def _is(self, change: Change, window: Window, pixels: NDArray[np.integer]) -> bool:
        """Tell whether all that is different is what a change makes."""
        if change.pixels is None or change.plane != self.plane:
            return False
        within = all(a.start >= b.start and a.stop <= b.stop for a, b in zip(window, change.window, strict=True))
        return within and np.array_equal(pixels[change.window], change.pixels)

    def _step(
        self,
        what: str,
        window: Window,
        before: NDArray[np.integer],
        after: NDArray[np.integer],
        said: Mapping[int, Mapping[str, Any]],
        look_at: int,
    ) -> Step:
        around = Surroundings(self.table, self.labels, self.plane, self._of_new_cell(), self.saliency, self.nucleus)
        return pixel_step(what, window, before, after, said, look_at, around)

    def _of_new_cell(self) -> dict[str, Any]:
        known: dict[str, Any] = {"image": self._image_name(self.plane), "class": self.new_class}
        return known if self.new_class else {**known, "needs_review": True, "review_reason": "it has no class yet"}

    def _put(self, change: Change) -> None:
        if change.pixels is None:
            return
        index = (*change.plane, *change.window)
        at = np.nonzero(np.asarray(self.layer.data[index]) != change.pixels)
        here = tuple(i + low for i, (low, _) in zip(at, change.place, strict=True))
        planes = tuple(np.full(len(at[0]), i) for i in change.plane)
        with self._silently():
            self.layer.data_setitem((*planes, *here), change.pixels[at])

    def _restore(self, change: Change, quick: Callable[[], None], opposite: Callable[[], None]) -> None:
        # By napari's own history where it has this very step on top, so that the two stay in step; else as an edit.
        # Not in a large image, which napari would draw anew as a whole.
        if change.pixels is not None and self._known[change.plane].size <= _LARGE:
            with self._silently():
                quick()
                wanted = self._known[change.plane].copy()
                wanted[change.window] = change.pixels
                moved = any(not np.array_equal(self.layer.data[p], known) for p, known in self._known.items())
                if moved and not np.array_equal(self.layer.data[change.plane], wanted):
                    opposite()
        self._put(change)
        self._settle(change)

    def _take(self, step: Step) -> None:
        self.steps.take(step)
        self._settle(step.done)

    def _settle(self, change: Change) -> None:
        """Bring table and colours in step with pixels that have changed."""
        self._history.note()
        if change.pixels is not None:
            self._known[change.plane][change.window] = change.pixels
            self._largest = max(self._largest, int(change.pixels.max(initial=0)))
        self._adopt(replaced(self.table, change.labels, change.rows), change.rows.index.tolist())
        self.changed.emit(change)

    def _adopt(self, table: pd.DataFrame, named: Sequence[int]) -> None:
        self.table = table
        with self._silently():
            self.layer.features = as_features(table)
            colour_by_class(self.layer, table["class"].reindex(named).to_dict(), self.classes)

    @contextmanager
    def _silently(self) -> Iterator[None]:
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1
