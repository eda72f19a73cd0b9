"""What would be needed to do a run again: ``run.json``."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import sgcldff_core

if TYPE_CHECKING:
    from datetime import datetime

    from sgcldff_core.inference.batch_results import BatchResult
    from sgcldff_core.model import Model

__all__ = ["run_report"]

_REPORTED_VERSIONS = ("numpy", "scipy", "scikit-image", "pandas", "torch", "timm")


def run_report(result: BatchResult, model: Model, started: datetime, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``run.json`` holds.

    Parameters
    ----------
    result : BatchResult
        Of the run.
    model : Model
        The one that was used.
    started : datetime
        When the run began.
    parameters : mapping
        What was asked for, as JSON types.
    """
    return {
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(result.seconds, 3),
        "versions": {
            "sgcldff": sgcldff_core.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in _REPORTED_VERSIONS},
        },
        "model": {
            "name": model.name,
            "sha256": model.sha256,
            "classes": list(model.config.classes),
            "canonical_diameter": model.config.canonical_diameter,
            "temperature": model.temperature,
        },
        "parameters": dict(parameters),
        "images": [
            {
                "file": str(file.path),
                "image": file.stem,
                "cells": len(file.cells),
                "diameter_px": file.diameter,
                "seconds": round(file.seconds, 3),
            }
            for file in result.files
            if file.cells is not None and file.slide is None
        ],
        "slides": [
            {"file": str(file.path), "image": file.stem, **file.slide.to_dict()}
            for file in result.files
            if file.slide is not None
        ],
        "warnings": [{"file": str(file.path), "warning": file.warning} for file in result.files if file.warning],
        "failures": [{"file": str(file.path), "problem": file.problem} for file in result.failures],
    }
