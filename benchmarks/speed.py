"""Time a prediction and its parts, beside what a user would run instead, and keep the figures.

    python benchmarks/speed.py [IMAGE] [--rounds 7] [--history FILE]

Everything takes turns within one process, so that what else the machine does hits all alike; medians.
With one thread processor time is measured, with all threads time by the clock. Without an image it
draws a synthetic smear of 640x480. With ``--history`` the figures are added to a file of JSON lines, and
compared with the last ones there of the same machine: what became slower by a fifth, as a ratio to
U-Net in the same run, is named, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from roofline import measure_peaks, work_of
from speed_parts import DIAMETER, Part, parts_of_baselines, parts_of_crowds, parts_of_model
from threadpoolctl import threadpool_limits

from sgcldff_core.datasets import read_rgb
from sgcldff_core.inference import predict_image
from sgcldff_core.inference.allocation import keep_freed_memory
from sgcldff_core.inference.engines import with_engine
from sgcldff_core.inference.workforce import Threads
from sgcldff_core.model import Model, load_model
from sgcldff_core.smear import SmearSettings, make_smear

REFERENCE = "U-Net ResNet-34: forward, every pixel"
MODELS = ("leukocytes", "leukocytes-small")
CROWDS = (100, 1_000, 10_000)
SLOWER = 1.2
"""A ratio that grew by more than this is called a regression."""

STARTS = {
    "Python alone": "pass",
    "import sgcldff_core": "import sgcldff_core",
    "import torch": "import torch",
    "load a model": "from sgcldff_core.model import load_model; load_model()",
}

MEMORY = {
    "libraries alone": "import torch, skimage, timm",
    "predict a field, leukocytes": "from sgcldff_core.inference import predict_image\n"
    "from sgcldff_core.model import load_model\npredict_image(image, load_model(), diameter=120.0)",
    "predict a field, leukocytes-small": "from sgcldff_core.inference import predict_image\n"
    "from sgcldff_core.model import load_model\npredict_image(image, load_model('leukocytes-small'), diameter=120.0)",
    "U-Net ResNet-34, one pass": "import torch\nimport segmentation_models_pytorch as smp\n"
    "network = smp.Unet('resnet34', encoder_weights=None, classes=3).eval()\n"
    "with torch.inference_mode(): network(torch.rand(1, 3, 480, 640))",
}


def main() -> int:
    """Measure, print, keep; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--history", type=Path)
    options = parser.parse_args()
    image = read_rgb(options.image) if options.image else _field()
    keep_freed_memory()  # as the command does
    torch.set_num_threads(1)
    models = [with_engine(load_model(name)) for name in MODELS]
    parts = [part for model in models for part in parts_of_model(image, model)]
    parts += parts_of_baselines(image) + parts_of_crowds(CROWDS)

    one = alternate(parts, options.rounds, threads=1)
    everything = alternate(parts, options.rounds, threads=os.cpu_count() or 1)
    fields = {
        f"{model.name}, {count} at a time{'' if mirror else ', one look'}": throughput(
            image, model, count, 20 * options.rounds, mirror=mirror
        )
        for model in models
        for count in (1, os.cpu_count() or 1)
        for mirror in (True, False)
    }
    starts = {name: _started(code, 3) for name, code in STARTS.items()}
    starts["first result from a cold start, sgcldff predict"] = _first_result(3)
    memory = {name: _peak_memory(code) for name, code in MEMORY.items()}
    console = Console(width=160)
    console.print(_table(one, everything, image.shape[:2]))
    tables = (("fields a second, by the clock", fields, ""), ("cold start", starts, "s"), ("peak memory", memory, "MB"))
    for title, values, unit in tables:
        table = Table(title=title, title_justify="left")
        table.add_column("")
        table.add_column(unit, justify="right")
        for name, value in values.items():
            table.add_row(name, f"{value:.0f}" if unit == "MB" else f"{value:.2f}")
        console.print(table)
    for model in models:
        console.print(_roofline(model.name, model.network, one[f"{model.name}: forward, every pixel"]))
    if not options.history:
        return 0
    record = {
        "date": date.today().isoformat(),
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "ratios": {name: round(value / one[REFERENCE], 4) for name, value in one.items()},
        "reference_ms": round(1000 * one[REFERENCE]),
    }
    slower = regressions(options.history, record)
    with options.history.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(record) + "\n")
    for line in slower:
        console.print(f"slower than last time: {line}", markup=False)
    return 1 if slower else 0


def alternate(parts: Sequence[Part], rounds: int, threads: int) -> dict[str, float]:
    """Return the median seconds of each part; one thread by processor time, several by the clock."""
    clock = time.process_time if threads == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {part.name: [] for part in parts}
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        for turn in range(rounds + 1):
            for part in parts:
                started = clock()
                part.run()
                if turn:  # the first warms up
                    seconds[part.name].append(clock() - started)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def throughput(image: NDArray[np.uint8], model: Model, threads: int, count: int, *, mirror: bool) -> float:
    """Return how many fields a second are predicted, so many of them at a time."""

    def predict(model: Model, _: int) -> int:
        return len(predict_image(image, model, diameter=DIAMETER, mirror=mirror).cells)

    torch.set_num_threads(threads)  # which the workers share
    workers = Threads(model, threads)
    list(workers.each(predict, range(threads)))
    started = time.perf_counter()
    done = len(list(workers.each(predict, range(count))))
    return done / (time.perf_counter() - started)


def regressions(history: Path, record: Mapping[str, object]) -> list[str]:
    """Compare ratios with the last record of the same machine, and name those that grew too much."""
    if not history.is_file():
        return []
    earlier = [json.loads(line) for line in history.read_text(encoding="utf-8").splitlines() if line]
    same = [known for known in earlier if known["machine"] == record["machine"]]
    if not same:
        return []
    before, now = same[-1]["ratios"], record["ratios"]
    assert isinstance(now, Mapping)
    return [
        f"{name}: {before[name]:.3f} to {now[name]:.3f} of {REFERENCE}"
        for name in now
        if name in before and now[name] > SLOWER * before[name]
    ]


def _field() -> NDArray[np.uint8]:
    return np.asarray(make_smear(1, SmearSettings(height=480, width=640, leukocytes=3)).image)


def _table(one: Mapping[str, float], everything: Mapping[str, float], shape: tuple[int, int]) -> Table:
    megapixels = shape[0] * shape[1] / 1e6
    table = Table(title=f"{shape[1]}x{shape[0]} px, {os.cpu_count()} cores", title_justify="left")
    titles = ("one thread, ms of CPU", "ms per megapixel", f"{REFERENCE.split(':')[0]} takes", "all threads, ms")
    for column in ("", *titles, "U-Net takes"):
        table.add_column(column, justify="right" if column else "left")
    for name, value in one.items():
        whole = f"{1000 * value / megapixels:.0f}" if "predict" in name or "forward" in name else ""
        ratio = [f"{times[REFERENCE] / times[name]:.1f} x" for times in (one, everything)]
        table.add_row(name, f"{1000 * value:.1f}", whole, ratio[0], f"{1000 * everything[name]:.1f}", ratio[1])
    return table


def _roofline(name: str, network: torch.nn.Module, seconds: float) -> str:
    torch.set_num_threads(1)
    peaks = measure_peaks()
    work = work_of(network.eval(), torch.rand(1, 3, 480, 640), torch.rand(1, 1, 480, 640))
    return (
        f"{name}, 640x480, one thread: {work.multiply_adds / 1e9:.2f} G multiply-adds, {work.moved / 1e6:.0f} MB "
        f"moved; peak {peaks.flops / 1e9:.0f} GFLOPS and {peaks.bandwidth / 1e9:.1f} GB/s; the roofline allows "
        f"{1000 * work.least_seconds(peaks):.0f} ms, {100 * work.least_seconds(peaks) / seconds:.0f} % of it is reached"
    )


def _started(code: str, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def _first_result(rounds: int) -> float:
    import tempfile

    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        field = Path(folder) / "field.png"
        Image.fromarray(_field()).save(field)
        command = "from sgcldff_core.cli.app import main; import sys; sys.argv[1:] = {}; main()"
        arguments = ["predict", str(field), "--out", str(Path(folder) / "out"), "--model", "leukocytes-small"]
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-W", "ignore", "-c", command.format(arguments)], check=True, stdout=-3)
            times.append(time.perf_counter() - started)
    return float(np.median(times))


def _peak_memory(code: str) -> float:
    drawn = (
        "import numpy as np\nfrom sgcldff_core.smear import SmearSettings, make_smear\n"
        "image = np.asarray(make_smear(1, SmearSettings(height=480, width=640, leukocytes=3)).image)\n"
    )
    tail = "\nprint(next(l for l in open('/proc/self/status') if l.startswith('VmHWM')).split()[1])"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", drawn + code + tail], check=True, capture_output=True, text=True
    )
    return int(done.stdout.split()[-1]) * 1024 / 1e6


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
