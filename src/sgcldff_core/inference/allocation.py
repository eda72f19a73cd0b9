"""Memory that is asked for again and again is kept, instead of being given back in between."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

# Of glibc's malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_KEPT = 1 << 30  # bytes


def keep_freed_memory() -> bool:
    """Let this process keep up to a gigabyte that it has freed.

    A forward pass asks for maps of tens of megabytes, each of which glibc takes from the system and
    gives back at once; to have the pages cleared anew costs up to a third of the pass. The setting
    holds for the whole process, so it is for programs of our own, not for a viewer that is shared
    with others.

    Returns
    -------
    bool
        Whether it could be set: on Linux with glibc.

    References
    ----------
    mallopt(3), M_MMAP_THRESHOLD and M_TRIM_THRESHOLD.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    return all(mallopt(parameter, _KEPT) == 1 for parameter in (_MMAP_THRESHOLD, _TRIM_THRESHOLD))
