"""What a method costs: weights, processor time, memory."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch

from sgcldff_core.errors import ConfigError, FormatError
from sgcldff_core.evaluation.classical import ClassicalPipeline
from sgcldff_core.evaluation.comparison import OURS, method_config
from sgcldff_core.files import write_json
from sgcldff_core.model import STRIDE, ModelConfig, build_network
from sgcldff_core.smear import SmearSettings, make_smear

if TYPE_CHECKING:
    from sgcldff_core.training import TrainingConfig

__all__ = ["FIELD", "Cost", "kept_costs", "measure_costs"]

FIELD = (480, 640)
"""Height and width of the field that is timed, in px at the canonical scale of our network."""

_STATUS = Path("/proc/self/status")
_REACH = 0.4  # of the classical pipeline; what it is does not change the time


@dataclass(frozen=True, slots=True)
class Cost:
    """What one field costs.

    Attributes
    ----------
    parameters : int
        Of the network; 0 for the classical pipeline.
    seconds : float
        Processor time of one forward pass, median over rounds, summed over threads. Of the classical
        pipeline: of outlining and measuring the cells.
    time_ratio : float
        Over that of our network in the same rounds.
    memory_mb : float or None
        By how much the peak of resident memory of a process that builds the network and runs it once
        lies above that of one that only loads the libraries, in 10^6 bytes; None elsewhere
        than on Linux.
    """

    parameters: int
    seconds: float
    time_ratio: float
    memory_mb: float | None


def measure_costs(
    methods: Sequence[str],
    recipe: TrainingConfig,
    *,
    rounds: int = 7,
    field: tuple[int, int] = FIELD,
    report: Callable[[str], None] | None = None,
) -> dict[str, Cost]:
    """Time methods in turns on one field, and weigh each in a process of its own.

    Weights are random: they do not change what is computed.

    Parameters
    ----------
    methods : sequence of str
        Names of methods; ours is timed in any case.
    recipe : TrainingConfig
        Ours.
    rounds : int
        How often each is timed, after one round that is not counted; at least 1.
    field : tuple of int
        Height and width in px at the scale of our network; one that looks at cells at another size
        gets a field of that size.
    report : callable, optional
        Called with what is being done.

    Returns
    -------
    dict of str to Cost
        For each of `methods`.

    Raises
    ------
    ConfigError
        If a method is unknown or cannot be built, or there is to be no round.
    """
    if rounds < 1:
        raise ConfigError(f"each method must be timed at least once, got {rounds} rounds")
    say = report or (lambda _what: None)
    models = {name: _model_of(name, recipe) for name in dict.fromkeys([OURS, *methods])}
    sizes = {name: _input_size(model, recipe, field) for name, model in models.items()}
    passes, parameters = {}, {}
    for name, model in models.items():
        passes[name], parameters[name] = _pass(model, sizes[name])
    spent: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(rounds + 1):
        say(f"timing, round {turn} of {rounds}")
        for name, run in passes.items():
            start = time.process_time()
            run()
            if turn:
                spent[name].append(time.process_time() - start)
    passes.clear()
    idle = _peak_of_child(None, sizes[OURS])
    costs = {}
    for name in methods:
        say(f"weighing {name}")
        seconds = median(spent[name])
        peak = _peak_of_child(models[name] or "classical", sizes[name])
        memory = None if peak is None or idle is None else (peak - idle) / 1e6
        costs[name] = Cost(parameters[name], seconds, seconds / median(spent[OURS]), memory)
    return costs


def kept_costs(
    methods: Sequence[str], recipe: TrainingConfig, out: Path, *, rounds: int = 7, field: tuple[int, int] = FIELD
) -> dict[str, Cost]:
    """Return the costs that a comparison's folder keeps; measure and keep them where one is missing.

    Parameters
    ----------
    methods : sequence of str
        Names of methods.
    recipe : TrainingConfig
        Ours.
    out : Path
        The folder; gets ``costs.json``.
    rounds, field
        As for `measure_costs`.

    Raises
    ------
    FormatError
        If the file is damaged.
    ConfigError
        As `measure_costs` does.
    """
    path = out / "costs.json"
    if path.is_file():
        try:
            kept = {name: Cost(**values) for name, values in json.loads(path.read_text(encoding="utf-8")).items()}
        except (ValueError, TypeError, AttributeError) as broken:
            raise FormatError(path, f"does not hold costs ({broken})", "delete it to measure them again") from broken
        if set(methods) <= kept.keys():
            return kept
    # A ratio is only good within one run, so all are measured again.
    costs = measure_costs(methods, recipe, rounds=rounds, field=field)
    write_json(path, {name: asdict(cost) for name, cost in costs.items()})
    return costs


def _model_of(method: str, recipe: TrainingConfig) -> ModelConfig | None:
    config = method_config(method, recipe)
    return None if config is None else config.model


def _input_size(model: ModelConfig | None, recipe: TrainingConfig, field: tuple[int, int]) -> tuple[int, int]:
    if model is None:
        return field
    scale = model.canonical_diameter / recipe.model.canonical_diameter
    height, width = (math.ceil(side * scale / STRIDE) * STRIDE for side in field)
    return height, width


def _pass(model: ModelConfig | None, size: tuple[int, int]) -> tuple[Callable[[], object], int]:
    """Return what makes one pass over a field, and how many parameters it has."""
    height, width = size
    if model is None:
        image = make_smear(0, SmearSettings(height=height, width=width)).image
        pipeline = ClassicalPipeline(ModelConfig().classes, _REACH, None)
        return lambda: pipeline.predict(image), 0
    network = build_network(model).eval().to(memory_format=torch.channels_last)
    shown = torch.rand(1, 3, height, width).contiguous(memory_format=torch.channels_last)
    prior = torch.rand(1, 1, height, width)

    def run() -> None:
        with torch.inference_mode():
            network(shown, prior)

    return run, sum(p.numel() for p in network.parameters())


def _peak_of_child(model: ModelConfig | str | None, size: tuple[int, int]) -> float | None:
    """Return the peak of resident memory, in bytes, of a new process that makes one pass."""
    if not _STATUS.is_file():
        return None
    settings = model.to_dict() if isinstance(model, ModelConfig) else model
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak, settings, size).result()


def _peak(settings: Mapping[str, object] | str | None, size: tuple[int, int]) -> float:
    if settings is not None:
        _pass(ModelConfig.from_dict(settings) if isinstance(settings, Mapping) else None, size)[0]()
    # Not getrusage: its peak is inherited from the process that started this one.
    (line,) = (line for line in _STATUS.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
    return 1024.0 * int(line.split()[1])
