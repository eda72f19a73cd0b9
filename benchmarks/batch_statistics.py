"""Compare what normalises the encoder where the stain changes: frozen, trained and re-estimated statistics, and groups.

    python benchmarks/batch_statistics.py ../shared/data --out runs/statistics

Each network learns from the masks of Zheng 1 and the boxes of BCCD and is judged on Zheng 2, which it never saw,
and on a fifth of Zheng 1. *frozen*: ImageNet's, as in the models that ship. *re-estimated*: the same network, moved
to those of 20 images of Zheng 2, which the judged ones are without. *trained*: running statistics of the training's
batches. *group*: group norm, eight channels a group, with ImageNet's weights and offsets. What is done is not done
again.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from cross_stain import draw, judge, read
from rich.console import Console
from torch import Tensor, nn

from sgcldff_core.adaptation.scoring import look_at_all
from sgcldff_core.adaptation.statistics import activation_moments, cell_windows, with_statistics
from sgcldff_core.evaluation.trial import run_trial
from sgcldff_core.model import Model, ModelConfig, SgcldffNetwork, load_model
from sgcldff_core.model.architectures import find_builder, register_architecture
from sgcldff_core.training import read_training_config, split_samples

RECIPE = Path(__file__).resolve().parents[1] / "docs" / "recipes" / "short.toml"
CHANNELS = 8  # of a group: all layers of the encoder have a multiple of them
IMAGES = 20  # of each stain, to tell statistics


class GroupNormalised(nn.Module):
    """Group norm in the place of one batch norm, with its weights and what follows it."""

    def __init__(self, batch: nn.BatchNorm2d) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(batch.num_features // CHANNELS, batch.num_features, eps=batch.eps)
        self.norm.load_state_dict({"weight": batch.weight.detach(), "bias": batch.bias.detach()})
        self.act = getattr(batch, "act", nn.Identity())  # timm's batch norm holds its activation

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each image by itself."""
        return self.act(self.norm(x))


def in_groups(config: ModelConfig, imagenet: bool) -> SgcldffNetwork:
    """Build our network with group norm in the encoder."""
    network = find_builder("sgcldff")(config, imagenet)
    for parent in list(network.backbone.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.BatchNorm2d):
                setattr(parent, name, GroupNormalised(layer))
    return network


def main() -> None:
    """Train, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    register_architecture("sgcldff-groups", in_groups)
    data = read(options.data)
    learned, held = split_samples(data["zheng1"], 0.2, 0)
    unlabelled, judged = draw(data["zheng2"], IMAGES)
    recipe = read_training_config(RECIPE)
    say = Console(width=120).print

    def show(name: str, model: Model) -> None:
        figures = judge(model, held, judged)
        source, target = (np.mean(list(figures[k].values())) for k in ("source", "target"))
        say(f"{name:<13} IoU on Zheng 2 {target:.3f}, on held-out Zheng 1 {source:.3f}")

    for name, change in (
        ("frozen", {}),
        ("trained", {"frozen_statistics": False}),
        ("group", {"architecture": "sgcldff-groups"}),
    ):
        config = replace(recipe, model=replace(recipe.model, **change))
        run_trial([*learned, *data["bccd"]], [], config, options.out / name)
        model = load_model(options.out / name)
        show(name, model)
        if name == "frozen":
            own, _ = draw(learned, IMAGES)
            fill = model.network.mean
            old, new = (
                cell_windows([look.view for look in look_at_all([s.read_image() for s in some], model)], fill)
                for some in (own, unlabelled)
            )
            network = with_statistics(model.network, new, 1.0, activation_moments(model.network, old))
            show("re-estimated", replace(model, network=network, sha256=""))


if __name__ == "__main__":
    main()
