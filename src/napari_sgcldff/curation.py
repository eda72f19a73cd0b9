"""Every edit of annotated cells: labels, features and colours stay in step, and each edit is one step to undo."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from psygnal import Signal

from napari_sgcldff.cell_rows import as_features, as_table, measured, replaced, row_of
from napari_sgcldff.class_colours import colour_by_class
from napari_sgcldff.edit_steps import Change, Step, Steps
from sgcldff_core.errors import ConfigError

if TYPE_CHECKING:
    from napari.layers import Labels

__all__ = ["Curation", "Window", "editable"]

Window = tuple[slice, slice]
"""Rows and columns of a plane."""


def editable(data: Any) -> NDArray[np.integer]:
    """Return labels as edits need them: in memory, writable, with room for more labels than 8 bits have."""
    array = np.asarray(data)
    if array.dtype.itemsize < 2 or array.dtype.kind not in "iu":
        return array.astype(np.int32)
    return array if array is data and array.flags.writeable else array.copy()


class Curation:
    """The edits of one labels layer, from the moment it is made until `end`.

    The brush, the eraser and all else that napari does to the layer is followed. An edit through this
    class is written by ``Labels.data_setitem``, so that it stands in napari's own history, too.

    Parameters
    ----------
    layer : napari.layers.Labels
        Of a single resolution, see `editable` for its data.
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
        self._quiet = 0
        self._due = False
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
        """Turn to another plane; when it is first seen, each of its cells gets a row with its measurements."""
        self.plane = plane
        if plane in self._known:
            self._follow()
            return
        pixels = np.array(self.layer.data[plane])
        self._known[plane] = pixels
        name = self._image_name(plane)
        present = [int(label) for label in np.unique(pixels) if label > 0]
        single = self.layer.data[..., 0, 0].size == 1
        stale = [] if not single else self.table.index.difference(present).tolist()
        new = [row_of(self.table, label, {"image": name}) for label in present if label not in self.table.index]
        rows = pd.concat([self.table[self.table.index.isin(present)], *new]) if present else self.table[:0]
        rows = rows.assign(image=name) if name else rows
        if rows["area_px"].isna().any():
            rows = measured(rows, pixels, (0, 0), self.saliency, self.nucleus)
        self._adopt(replaced(self.table, [*present, *stale], rows), present, stale)

    def cell_at(self, y: float, x: float) -> int:
        """Return the label at a point of the plane that is shown, in px; 0 for none or outside."""
        pixels = self._known[self.plane]
        row, column = round(y), round(x)
        inside = 0 <= row < pixels.shape[0] and 0 <= column < pixels.shape[1]
        return int(pixels[row, column]) if inside else 0

    def next_label(self) -> int:
        """Return a label that no cell of the layer has had."""
        return max(self._largest, *self.table.index, 0) + 1

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
        before = self.table[self.table.index.isin(list(rows))]
        after = before.copy()
        for label, known in rows.items():
            for name, value in known.items():
                after.at[label, name] = value
        self._take(
            Step(
                Change(what, self.plane, (), None, tuple(rows), after, look_at),
                Change(f"undid: {what}", self.plane, (), None, tuple(rows), before, look_at),
            )
        )

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
        yield from ((events.paint, self._follow_paint), (events.set_data, self._follow))
        yield (events.labels_update, self._follow_due)
        yield from ((events.data, self._follow_data), (events.features, self._follow_features))

    def _follow_paint(self, event: object = None) -> None:
        # At the end of a stroke; of a single dab napari tells before it writes, so that nothing is different yet.
        self._due = not self._follow()

    def _follow_due(self, event: object = None) -> None:
        if self._due:  # else this is in the middle of a stroke
            self._due = not self._follow()

    def _follow(self, event: object = None) -> bool:
        """Make a step of what was done to the pixels by the brush, by napari's undo, or by anything else."""
        if self._quiet:
            return True
        known, pixels = self._known[self.plane], np.asarray(self.layer.data[self.plane])
        window = _where_different(known, pixels) if known.shape == pixels.shape else None
        if window is None:
            return False
        if self.steps.taken and self._is(self.steps.taken[-1].undone, window, pixels):
            self._settle(self.steps.back().undone)  # type: ignore[union-attr]
        elif self.steps.taken_back and self._is(self.steps.taken_back[-1].done, window, pixels):
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
        different = before != after
        touched = {int(n) for n in np.unique([before[different], after[different]]) if n > 0} | set(said)
        old = self.table[self.table.index.isin(touched)]
        rows = [old]
        for label in sorted(touched - set(old.index)):
            like = said.get(label, {}).get("like")
            known = self.table.loc[like].to_dict() if like in self.table.index else self._of_new_cell()
            rows.append(row_of(self.table, label, known))
        new = pd.concat(rows) if len(rows) > 1 else old.copy()
        new["curated"] = True
        for label, known in said.items():
            for name, value in known.items():
                if name != "like" and label in new.index:
                    new.at[label, name] = value
        around = _around(old, window, self.labels.shape)
        pixels = self.labels[around].copy()
        offset = (around[0].start, around[1].start)
        pixels[tuple(slice(s.start - o, s.stop - o) for s, o in zip(window, offset, strict=True))] = after
        guides = [None if guide is None else guide[around] for guide in (self.saliency, self.nucleus)]
        new = measured(new, pixels, offset, *guides)
        look_at = look_at or next((int(label) for label in new.index), 0)
        what = what or f"painted {_cells(sorted(touched))}"
        place = tuple((s.start, s.stop) for s in window)
        labels = tuple(sorted(touched))
        return Step(
            Change(what, self.plane, place, after, labels, new, look_at),
            Change(f"undid: {what}", self.plane, place, before, labels, old, int(old.index[0]) if len(old) else 0),
        )

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
        if change.pixels is not None:
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
        if change.pixels is not None:
            self._known[change.plane][change.window] = change.pixels
            self._largest = max(self._largest, int(change.pixels.max(initial=0)))
        gone = [label for label in change.labels if label not in change.rows.index]
        self._adopt(replaced(self.table, change.labels, change.rows), change.rows.index.tolist(), gone)
        self.changed.emit(change)

    def _adopt(self, table: pd.DataFrame, named: Sequence[int], gone: Sequence[int]) -> None:
        self.table = table
        with self._silently():
            self.layer.features = as_features(table)
            colour_by_class(self.layer, table["class"].reindex(named).to_dict(), self.classes, gone)

    @contextmanager
    def _silently(self) -> Iterator[None]:
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1


def _where_different(a: NDArray[np.integer], b: NDArray[np.integer]) -> Window | None:
    different = a != b
    rows, columns = np.flatnonzero(different.any(1)), np.flatnonzero(different.any(0))
    if not len(rows):
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _around(rows: pd.DataFrame, window: Window, shape: tuple[int, ...]) -> Window:
    """Return the window in which cells lie as a whole, before and after an edit in another window."""
    known = rows.dropna(subset=["bbox_y0"])
    y0, x0 = (int(min([s.start, *known[name]])) for s, name in zip(window, ("bbox_y0", "bbox_x0"), strict=True))
    y1, x1 = (int(max([s.stop, *known[name]])) for s, name in zip(window, ("bbox_y1", "bbox_x1"), strict=True))
    return slice(max(y0, 0), min(y1, shape[0])), slice(max(x0, 0), min(x1, shape[1]))


def _cells(labels: Sequence[int]) -> str:
    return f"{'cell' if len(labels) == 1 else 'cells'} {', '.join(map(str, labels[:5]))}"
