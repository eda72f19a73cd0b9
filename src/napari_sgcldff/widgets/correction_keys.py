"""Which key does what while cells are corrected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from napari_sgcldff.correction import Correction
from napari_sgcldff.widgets.tool_buttons import ACTIONS, TOOL_KEYS

__all__ = ["keys_of"]

_MOST_CLASSES = 9


def keys_of(
    correction: Correction, classes: Sequence[str], act: Callable[[str], None]
) -> dict[str, Callable[[], object]]:
    """Return what each key does, for `napari_sgcldff.borrowed_keys.BorrowedKeys`.

    Parameters
    ----------
    correction : Correction
        What they are about.
    classes : sequence of str
        The first nine have the keys 1 to 9.
    act : callable
        Called with a key of `ACTIONS`.
    """
    keys: dict[str, Callable[[], object]] = {key: partial(correction.choose, tool) for tool, key in TOOL_KEYS.items()}
    keys |= {key: partial(act, action) for action, (_, key, _) in ACTIONS.items()}
    keys |= {str(n): partial(correction.name_cell, name) for n, name in enumerate(classes[:_MOST_CLASSES], start=1)}
    keys |= {"A": correction.accept, "N": correction.next_cell}
    return keys | {"Control-Z": correction.undo, "Control-Shift-Z": correction.redo}
