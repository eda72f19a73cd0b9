"""The network, its parts, and models on disk."""

from sgcldff_core.model.architectures import available_architectures, register_architecture
from sgcldff_core.model.checkpoint import (
    DEFAULT_MODEL,
    Model,
    add_model,
    available_models,
    find_model,
    load_model,
    save_model,
    save_parts,
)
from sgcldff_core.model.config import ModelConfig
from sgcldff_core.model.engine import Engine
from sgcldff_core.model.network import FUSED_STRIDE, STRIDE, NetworkOutput, SgcldffNetwork, build_network

__all__ = [
    "DEFAULT_MODEL",
    "FUSED_STRIDE",
    "STRIDE",
    "Engine",
    "Model",
    "ModelConfig",
    "NetworkOutput",
    "SgcldffNetwork",
    "add_model",
    "available_architectures",
    "available_models",
    "build_network",
    "find_model",
    "load_model",
    "register_architecture",
    "save_model",
    "save_parts",
]
