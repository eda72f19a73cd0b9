"""Which devices a model could run on here, known without importing torch."""

from __future__ import annotations

import ctypes.util
import platform
import sys
from importlib.util import find_spec
from pathlib import Path

__all__ = ["DEVICES", "hindrance"]

DEVICES = {
    "auto": "the graphics card where there is one, else the processor",
    "cpu": "the processor",
    "cuda": "a graphics card by NVIDIA, or by AMD with ROCm",
    "mps": "the graphics unit of Apple silicon",
}
"""Names as torch knows them, and what they stand for."""


def hindrance(device: str) -> str:
    """Say why a device cannot be used here; empty where it probably can.

    Once torch is loaded it is asked itself. Before, what speaks against a device is what can be
    told from the computer and from torch's files.

    Parameters
    ----------
    device : str
        One of `DEVICES`.
    """
    torch = sys.modules.get("torch")
    if device == "cuda":
        if torch is not None and hasattr(torch, "cuda"):
            return "" if torch.cuda.is_available() else "No graphics card that PyTorch can use was found."
        if not _built_for_gpu():
            return "The installed PyTorch is one for the processor only."
        if not _has_driver():
            return "No driver of a graphics card was found."
    if device == "mps" and (sys.platform != "darwin" or platform.machine() != "arm64"):
        return "Only on Macs with Apple silicon."
    return ""


def _has_driver() -> bool:
    if sys.platform == "linux":  # NVIDIA, AMD, and either of them within Windows
        return any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))
    return any(ctypes.util.find_library(name) for name in ("nvcuda", "amdhip64"))


def _built_for_gpu() -> bool:
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    version = Path(spec.origin).parent / "version.py"
    try:
        lines = version.read_text(encoding="utf-8").splitlines()
    except OSError:
        return True  # let torch say it when it is loaded
    kinds = ("cuda", "hip")
    return any(line.split(":")[0].strip() in kinds and not line.endswith("= None") for line in lines if ":" in line)
