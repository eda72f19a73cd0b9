"""How far a forward pass is from what the processor could do: multiply-adds and bytes against measured peaks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["Peaks", "Work", "measure_peaks", "work_of"]

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.LayerNorm, nn.BatchNorm2d)


@dataclass(frozen=True, slots=True)
class Peaks:
    """What this processor reaches at best, on as many threads as torch is set to.

    Attributes
    ----------
    flops : float
        Floating-point operations a second in a large matrix product, float32.
    bandwidth : float
        Bytes a second, read and written, in a copy far larger than the caches.
    """

    flops: float
    bandwidth: float


@dataclass(frozen=True, slots=True)
class Work:
    """What one forward pass has to do.

    Attributes
    ----------
    multiply_adds : float
        Of convolutions and matrix products; a multiply-add is two operations.
    moved : float
        Bytes of weights, and of what each convolution, linear layer and norm reads and writes. What
        lies between two layers may stay in a cache, so this is an upper bound.
    """

    multiply_adds: float
    moved: float

    def least_seconds(self, peaks: Peaks) -> float:
        """Return the time that the roofline allows: the longer of computing and of moving."""
        return max(2 * self.multiply_adds / peaks.flops, self.moved / peaks.bandwidth)


def measure_peaks(rounds: int = 7) -> Peaks:
    """Measure both peaks; the best round counts, since nothing can be faster than the peak."""
    side, length = 1536, 64_000_000
    a, b = torch.rand(side, side), torch.rand(side, side)
    source, target = torch.rand(length), torch.empty(length)
    product = min(_seconds(lambda: a @ b) for _ in range(rounds))
    copy = min(_seconds(lambda: target.copy_(source)) for _ in range(rounds))
    return Peaks(2 * side**3 / product, 2 * 4 * length / copy)


def work_of(network: nn.Module, *inputs: Tensor) -> Work:
    """Count what a forward pass does.

    Parameters
    ----------
    network : Module
        In evaluation mode.
    *inputs : Tensor
        Its inputs.
    """
    moved = float(sum(p.numel() * p.element_size() for p in network.parameters()))

    def count(_: nn.Module, taken: tuple[Tensor, ...], given: Tensor) -> None:
        nonlocal moved
        moved += sum(t.numel() * t.element_size() for t in (*taken, given) if isinstance(t, Tensor))

    hooks = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, _CONVOLUTIONS)]
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return Work(counter.get_total_flops() / 2, moved)


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return float(np.float64(time.perf_counter() - started))
