"""Loading torch into a process that already draws a window, so that the window goes on drawing."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

__all__ = ["load_torch"]

# What a run needs besides: imported here, where it does not hold up the window.
_ALONG = ("sgcldff_core.inference", "sgcldff_core.model")


def load_torch() -> None:
    """Import torch, and what of the library builds on it, in a worker's thread.

    Three things would hold up the window, or worse. Linking torch's libraries takes up to a second
    in which Python is locked: it is done beforehand by a call that leaves Python free. The garbage
    collector looks through hundreds of thousands of new objects again and again: it waits. And on
    Linux, Mesa loads LLVM for all to see when napari draws its first picture. Triton, which comes
    with torch and which torchvision imports, has an LLVM of another version inside; loaded the
    usual way it would call into Mesa's, and the process would die of a segmentation fault.
    """
    if "torch" not in sys.modules:
        _link()
    with _no_collection():
        if sys.platform == "linux" and "triton" not in sys.modules:
            flags = sys.getdlopenflags()
            sys.setdlopenflags(flags | os.RTLD_DEEPBIND)  # prefer one's own symbols to those already there
            try:
                with suppress(ImportError):  # builds of torch for the CPU come without it
                    import_module("triton")
            finally:
                sys.setdlopenflags(flags)
        import_module("torch")
        for name in _ALONG:
            import_module(name)


def _link() -> None:
    """Have the system link torch's libraries; what fails here is left to torch itself."""
    spec = find_spec("torch")
    if sys.platform != "linux" or spec is None or spec.origin is None:
        return
    library = Path(spec.origin).parent / "lib" / "libtorch_python.so"
    # Python's own loader keeps the interpreter locked, a call of a C function does not.
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.restype, dlopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_int]
    dlopen(os.fsencode(library), os.RTLD_NOW)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Put off garbage collection, and count what is made meanwhile as old."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if gc.get_freeze_count() == 0:
            gc.freeze()
            gc.unfreeze()  # back, but among the old, which are looked at seldom
        else:
            gc.freeze()  # as the task that is on did with all that was there
        if before:
            gc.enable()
