"""Train from twenty masks with a prior that no mask has shaped.

The weights of the fused prior were learned from several hundred masks, which a row of the ablation
that "learns from 20 images" must not know of. Here they are learned from synthetic smears alone,
scaled and set off by the rule of those that ship, and `sgcldff ablate --few 20` is run with them::

    python benchmarks/mask_free_prior.py ../shared/data --out runs/mask-free

What the row without any saliency reaches does not depend on the prior, and need not be trained again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from prior_weights import learn, synthetic

from sgcldff_core.cli.app import app
from sgcldff_core.saliency import fusion

REPOSITORY = Path(__file__).resolve().parents[1]
SHADES = 0.5  # of the regression's scale, as in the weights that ship


def best_offset(weights: np.ndarray) -> float:
    """Return the offset that puts the best single threshold for synthetic smears at 0.5."""
    values = [(np.tensordot(weights, terms, 1), mask) for terms, mask in synthetic()]
    levels = np.linspace(0, float(weights.clip(0).sum()), 200)
    iou = [np.mean([((v > t) & m).sum() / max(((v > t) | m).sum(), 1) for v, m in values]) for t in levels]
    return -float(levels[int(np.argmax(iou))])


def main() -> None:
    """Learn the weights, put them in place for this process, and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    weights = SHADES * learn(synthetic())
    fusion.TERMS.update(zip(fusion.TERMS, weights.tolist(), strict=True))
    fusion._OFFSET = best_offset(weights)
    print({name: round(w, 2) for name, w in fusion.TERMS.items()}, "offset", round(fusion._OFFSET, 2))  # noqa: T201
    recipes = REPOSITORY / "docs" / "recipes"
    data = [str(options.data / name) for name in ("zheng", "bccd")]
    recipe = ["--folds", str(recipes / "folds.json"), "--config", str(recipes / "short.toml")]
    app(
        [
            "ablate",
            *data,
            *recipe,
            "--out",
            str(options.out),
            "--rows",
            "full",
            "--seeds",
            str(options.seeds),
            "--few",
            "20",
        ]
    )


if __name__ == "__main__":
    main()
