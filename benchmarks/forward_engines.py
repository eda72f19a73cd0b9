"""What the forward pass costs by engine and by form of the network, in runs that alternate within one process.

    python benchmarks/forward_engines.py [--model leukocytes] [--rounds 7] [--height 480 --width 640]

Prints medians of the processor's time and of the clock's, as ratios to torch as it is, and the largest
difference in the logits. One thread. Only ratios of one run mean something, on a busy machine only those of
processor time.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from sgcldff_core.inference.engines import with_engine
from sgcldff_core.inference.forward import network_input
from sgcldff_core.model import Model, load_model
from sgcldff_core.model.folding import folded
from sgcldff_core.saliency import compute_prior
from sgcldff_core.smear import SmearSettings, make_smear

Run = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="leukocytes")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=640)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(options.model)
    settings = SmearSettings(
        height=options.height, width=options.width, diameter=model.config.canonical_diameter, leukocytes=4
    )
    image = np.asarray(make_smear(3, settings).image)
    x, p = network_input(model.network, image, compute_prior(image, model.config.prior))
    runs = contestants(model)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    logits: dict[str, Tensor] = {}
    with torch.inference_mode():
        for round_ in range(options.rounds + 1):
            for name, run in runs.items():
                cpu, clock = time.process_time(), time.perf_counter()
                logits[name] = run(x, p)[0].float()
                if round_:  # the first is for warming up
                    times[name].append((time.process_time() - cpu, time.perf_counter() - clock))
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in times.items()}
    print(f"{options.model}, {options.width} x {options.height} px, {options.rounds} rounds, one thread")  # noqa: T201
    for name, (cpu, clock) in medians.items():
        worst = (logits[name] - logits["torch"]).abs().max()
        ratios = f"{cpu / medians['torch'][0]:6.2f} {clock / medians['torch'][1]:6.2f}"
        print(f"{name:28} {ratios} of torch (CPU, clock); {cpu * 1e3:7.0f} ms; logits {worst:.1e}")  # noqa: T201


def contestants(model: Model) -> dict[str, Run]:
    """Return the ways to run a network, by name."""

    def plain(network: nn.Module) -> Run:
        def run(image: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
            out = network(image, prior)
            return out.logits, out.fused

        return run

    def half(image: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            return plain(model.network)(image, prior)

    def contiguous(image: Tensor, prior: Tensor) -> tuple[Tensor, Tensor]:
        return plain(model.network)(image.contiguous(memory_format=torch.contiguous_format), prior)

    last = copy.deepcopy(model.network).to(memory_format=torch.channels_last)
    runs: dict[str, Run] = {
        "torch": plain(model.network),
        "channels first input": contiguous,
        "channels_last weights": plain(last),
        "folded and channels_last": plain(folded(model.network)),
        "bf16": half,
    }
    for name in ("onnxruntime", "openvino"):
        engine = with_engine(replace(model), name).engine
        assert engine is not None
        runs[name] = engine
    return runs


if __name__ == "__main__":
    main()
