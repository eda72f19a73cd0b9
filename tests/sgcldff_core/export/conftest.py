"""A run of predict, made by hand: what is exported is then known exactly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from sgcldff_core.cells import cell_table

CLASSES = ("neutrophil", "lymphocyte", "monocyte", "eosinophil", "basophil")

MakeRun = Callable[..., Path]


def _field(name: str, cells: int, flagged: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(len(name) + cells)
    across = int(np.ceil(np.sqrt(max(cells, 1))))
    image = rng.integers(120, 255, (across * side, across * side, 3), np.uint8)
    labels = np.zeros(image.shape[:2], np.int32)
    yy, xx = np.ogrid[:side, :side]
    disc = np.hypot(yy - side / 2, xx - side / 2) < side / 3
    for k in range(cells):
        y, x = divmod(k, across)
        labels[y * side : (y + 1) * side, x * side : (x + 1) * side][disc] = k + 1
    heat = rng.random(labels.shape, np.float32)
    odds = np.full((cells, 5), 0.05, np.float32)
    odds[np.arange(cells), np.arange(cells) % 3] = 0.8 - 0.002 * np.arange(cells)
    odds /= odds.sum(1, keepdims=True)
    reasons = ["touches the border; mask unstable"] * flagged + [""] * (cells - flagged)
    table = cell_table(
        name, labels, labels > 0, heat, CLASSES, odds, np.linspace(0.2, 0.9, cells).astype(np.float32), reasons
    )
    return image, labels, heat, table


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a run of images (name to cells and flagged cells), beside a folder ``images``."""

    def _make(fields: dict[str, tuple[int, int]], *, side: int = 40, gradcam: bool = True) -> Path:
        run, images = tmp_path / "run", tmp_path / "images"
        run.mkdir()
        images.mkdir()
        tables, listed = [], []
        for name, (cells, flagged) in fields.items():
            image, labels, heat, table = _field(name, cells, flagged, side)
            Image.fromarray(image).save(images / f"{name}.png")
            Image.fromarray(image).save(run / f"{name}_overlay.png")
            tifffile.imwrite(run / f"{name}_labels.tif", labels.astype(np.uint16), compression="zlib")
            if gradcam:
                tifffile.imwrite(run / f"{name}_gradcam.tif", heat, compression="zlib")
            tables.append(table)
            listed.append({"file": str(images / f"{name}.png"), "image": name, "cells": cells, "diameter_px": 27.0})
        pd.concat(tables).to_csv(run / "cells.csv", index=False, float_format="%.6g")
        told = {
            "started": "2026-11-24T18:00:00+00:00",
            "versions": {"sgcldff": "0.1.0"},
            "model": {"name": "leukocytes", "sha256": "ab" * 32, "classes": list(CLASSES)},
            "images": listed,
            "failures": [],
        }
        (run / "run.json").write_text(json.dumps(told), encoding="utf-8")
        return run

    return _make
