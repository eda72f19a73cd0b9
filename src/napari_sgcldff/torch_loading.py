"""Loading torch into a process that already draws a window."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module

__all__ = ["load_torch"]


def load_torch() -> None:
    """Import torch so that its copy of LLVM and that of the graphics driver do not meet.

    On Linux, Mesa loads LLVM for all to see when napari draws its first picture. Triton, which comes
    with torch and which torchvision imports, has an LLVM of another version inside; loaded the
    usual way it would call into Mesa's, and the process would die of a segmentation fault.
    """
    if sys.platform == "linux" and "triton" not in sys.modules:
        flags = sys.getdlopenflags()
        sys.setdlopenflags(flags | os.RTLD_DEEPBIND)  # prefer one's own symbols to those already there
        try:
            with suppress(ImportError):  # builds of torch for the CPU come without it
                import_module("triton")
        finally:
            sys.setdlopenflags(flags)
    import_module("torch")
