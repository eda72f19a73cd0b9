"""Trains a small network on one or two gloo processes; run by `test_loop`, not collected."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from lightning_fabric import Fabric

from sgcldff_core.losses import LossConfig
from sgcldff_core.model import ModelConfig
from sgcldff_core.smear import SmearSettings, make_smear
from sgcldff_core.training import TrainingConfig, prepare, train, typical_diameters


def main(processes: int, folder: Path) -> None:
    """Run three epochs; keep the checkpoint of the first beside the last."""
    torch.set_num_threads(1)
    fabric = Fabric(accelerator="cpu", devices=processes, strategy="ddp" if processes > 1 else "auto")
    fabric.launch()
    model = ModelConfig(swin=False, width=32, cardinality=8, embedding=32, dropout=0.0)
    settings = SmearSettings(height=96, width=96, diameter=48, leukocytes=1, stain="wright")
    samples = [make_smear(seed, settings).to_sample(f"s{seed}") for seed in range(4)]
    ready, _ = prepare(samples, model.classes, 48.0, typical_diameters(samples), "fused")
    config = TrainingConfig(
        epochs=2, views=8, batch=4, size=64, workers=0, model=model, saliency_warmup=0.0, loss=LossConfig(centre=0.01)
    )
    for progress in train(ready, [], config, folder, fabric=fabric):
        if progress.step == 2 and fabric.is_global_zero:
            (folder / "start").mkdir(exist_ok=True)
            data = (folder / "checkpoint.safetensors").read_bytes()
            (folder / "start" / "checkpoint.safetensors").write_bytes(data)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
