"""Keys that are bound for a while are bound as before afterwards."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from napari.layers import Labels
from napari.utils.key_bindings import KeymapHandler

from napari_sgcldff.borrowed_keys import BorrowedKeys


def _layer() -> tuple[Labels, KeymapHandler]:
    layer = ViewerModel().add_labels(np.zeros((4, 4), np.int32))
    handler = KeymapHandler()
    handler.keymap_providers = [layer]
    return layer, handler


def test_a_key_is_ours_and_then_what_it_was() -> None:
    layer, handler = _layer()
    pressed: list[str] = []
    layer.bind_key("B", lambda layer: pressed.append("theirs"))
    before = dict(layer.keymap)
    keys = BorrowedKeys(layer)
    keys.borrow({"B": lambda: pressed.append("ours"), "2": lambda: pressed.append("two")})
    keys.borrow({"B": lambda: pressed.append("ours again")})
    for key in ("B", "2"):
        handler.press_key(key)
    keys.give_back()
    assert layer.keymap == before
    handler.press_key("2")  # napari's own again, which is bound once a window was open
    handler.press_key("B")
    assert pressed == ["ours again", "two", "theirs"]


def test_what_somebody_binds_meanwhile_stays() -> None:
    layer, handler = _layer()
    pressed: list[str] = []
    keys = BorrowedKeys(layer)
    keys.borrow({"B": lambda: pressed.append("ours")})
    layer.bind_key("B", lambda layer: pressed.append("later"), overwrite=True)
    keys.give_back()
    handler.press_key("B")
    assert pressed == ["later"]
