"""Images of the public data sets that show one and the same cell, found by ``sgcldff datasets duplicates``.

Two pairs of them bear two names: 060 and 090 of Zheng 1 (neutrophil, monocyte), 00206 and 00278 of BCCD
(lymphocyte, monocyte). 112 and 139 of Zheng 1 are the same file; the others differ in focus, light or place.
"""

from __future__ import annotations

__all__ = ["shown_first"]

_PAIRS = {
    "zheng1": "019=075 021=082 026=089 030=086 051=073 054=091 060=090 070=072 071=084 112=139",
    "bccd": (
        "00037=00038 00166=00193 00204=00277 00206=00278 00207=00279 00223=00263 00224=00264 00228=00259 00230=00257 "
        "00231=00256 00232=00255 00237=00252 00243=00250 00244=00247 00364=00409 00377=00400 00381=00397 00382=00395 "
        "00384=00393"
    ),
}
_FIRST = {
    f"{source}/{later}": f"{source}/{first}"
    for source, pairs in _PAIRS.items()
    for first, later in (pair.split("=") for pair in pairs.split())
}


def shown_first(group: str) -> str:
    """Return the group of the first photograph of what an image shows.

    Groups keep their names, by which files of folds and models know them; whoever draws a split draws these.

    Parameters
    ----------
    group : str
        Source and number, ``bccd/00278``.

    Returns
    -------
    str
        ``bccd/00206``; of an image that no other is known to repeat, its own.
    """
    return _FIRST.get(group, group)
