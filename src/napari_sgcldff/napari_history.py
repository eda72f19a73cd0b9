"""Whether napari's own undo or redo changed a labels layer, or a stroke that may make the same pixels did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari.layers import Labels

__all__ = ["NapariHistory"]


class NapariHistory:
    """What became of a layer's history since it was last noted.

    napari fires the same event after undo, redo and edits by program. Its undo alone lays something on
    the stack of redo, its redo takes the top of that stack over to the other, and every edit empties it.

    Parameters
    ----------
    layer : napari.layers.Labels
        Its history is only looked at.
    """

    def __init__(self, layer: Labels) -> None:
        self._layer = layer
        self.note()

    def note(self) -> None:
        """Begin anew from what the history is now."""
        to_redo = self._stack("_redo_history")
        self._count = len(to_redo)
        self._next: Any = to_redo[-1] if to_redo else None

    def since_noted(self) -> tuple[bool, bool]:
        """Return whether it was undo that changed the layer, and whether redo."""
        to_undo, to_redo = self._stack("_undo_history"), self._stack("_redo_history")
        by_undo = len(to_redo) > self._count
        # What is done again is laid on the other stack in reverse order, made of the same parts.
        by_redo = self._next is not None and bool(to_undo) and to_undo[-1][0] is self._next[-1]
        return by_undo, by_redo

    def _stack(self, name: str) -> Any:
        return getattr(self._layer, name, ())  # napari's own affair: without it, every change is an edit
