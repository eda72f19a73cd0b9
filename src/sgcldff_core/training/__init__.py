"""Training: from samples to a model on disk."""

from sgcldff_core.training.config import AugmentationConfig, TrainingConfig, read_training_config
from sgcldff_core.training.gathering import TrainingData, gather, prepare_split, read_annotated
from sgcldff_core.training.loop import Progress, train
from sgcldff_core.training.prepared import PreparedSample, prepare, typical_diameters
from sgcldff_core.training.split import split_samples, without_copies

__all__ = [
    "AugmentationConfig",
    "PreparedSample",
    "Progress",
    "TrainingConfig",
    "TrainingData",
    "gather",
    "prepare",
    "prepare_split",
    "read_annotated",
    "read_training_config",
    "split_samples",
    "train",
    "typical_diameters",
    "without_copies",
]
