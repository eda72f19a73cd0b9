"""Keys that mean something else for a while, and then again what they meant before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

__all__ = ["BorrowedKeys", "HasKeys"]


class HasKeys(Protocol):
    """A viewer or a layer."""

    def bind_key(self, key_bind: Any, func: Any = ..., *, overwrite: bool = False) -> Any:
        """Bind a key; return what it was bound to.

        Parameters
        ----------
        key_bind : str
            As napari writes keys, such as ``"Control-Z"``.
        func : callable, optional
            Called with the owner; None binds nothing.
        overwrite : bool, default False
            Whether the key may be bound already.
        """
        ...


class BorrowedKeys:
    """Keys of a viewer or a layer that are bound anew until they are given back.

    Parameters
    ----------
    owner : HasKeys
        Whose keys; those of its class, such as napari's own, are only hidden meanwhile.
    """

    def __init__(self, owner: HasKeys) -> None:
        self._owner = owner
        self._lent: dict[str, tuple[Any, Any]] = {}

    def borrow(self, keys: Mapping[str, Callable[[], object]]) -> None:
        """Bind keys, written as napari writes them, to what they do.

        Parameters
        ----------
        keys : mapping of str to callable
            What is done, called without arguments, by key.
        """
        for key, act in keys.items():

            def call(owner: object, act: Callable[[], object] = act) -> None:
                act()

            before = self._owner.bind_key(key, call, overwrite=True)
            self._lent[key] = (call, self._lent[key][1] if key in self._lent else before)

    def give_back(self) -> None:
        """Bind each key to what it was bound to before, unless somebody bound it meanwhile."""
        for key, (call, before) in self._lent.items():
            now = self._owner.bind_key(key, None)
            wanted = before if now is call else now
            if wanted is not None:
                self._owner.bind_key(key, wanted, overwrite=True)
        self._lent.clear()
