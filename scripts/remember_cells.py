"""Give a model that has none a memory of the cells that it learned from.

Training does so at its end; this is for models from before::

    python scripts/remember_cells.py src/sgcldff_core/models/leukocytes ../shared/data/zheng ../shared/data/bccd

What the model held out for validation stays out.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sgcldff_core.model import load_model
from sgcldff_core.training import prepare, read_annotated
from sgcldff_core.training.memory import PER_CLASS, remember, save_memory

if TYPE_CHECKING:
    from sgcldff_core.sample import Sample


def main() -> None:
    """Write the memory beside the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder of the model")
    parser.add_argument("datasets", nargs="+", type=Path, help="what it was trained on")
    options = parser.parse_args()
    model = load_model(options.model)
    held = set(model.training["validation_groups"])
    samples = [s for s in read_annotated(options.datasets)[0] if s.labels is not None and s.classes]
    samples = [s for s in samples if s.split != "test" and s.group not in held]
    counts: Counter[str] = Counter()
    chosen: list[Sample] = []
    for i in np.random.default_rng(0).permutation(len(samples)):
        named = [c for c in (samples[i].classes or {}).values() if c in model.config.classes]
        if any(counts[c] < PER_CLASS for c in named):
            counts.update(named)
            chosen.append(samples[i])
    config = model.config
    diameters = model.training["typical_diameters_px"]
    prepared, _ = prepare(chosen, config.classes, config.canonical_diameter, diameters, config.prior)
    memory = remember(model.network, prepared, config.classes, config.canonical_diameter)
    save_memory(memory, options.model, model.sha256)
    print(f"{options.model}: " + ", ".join(f"{n} {c}" for c, n in Counter(memory.classes).items()))  # noqa: T201


if __name__ == "__main__":
    main()
