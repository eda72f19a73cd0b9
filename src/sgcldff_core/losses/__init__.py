"""Losses, each a function or small module, and `MultiTaskLoss` that puts them together."""

from sgcldff_core.losses.multitask import LossConfig, MultiTaskLoss
from sgcldff_core.losses.targets import UNKNOWN, Targets

__all__ = ["UNKNOWN", "LossConfig", "MultiTaskLoss", "Targets"]
