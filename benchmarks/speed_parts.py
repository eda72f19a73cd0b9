"""What `speed.py` times: each step of a prediction, the whole of it, and what a user would run instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import segmentation_models_pytorch as smp
import torch
from numpy.typing import NDArray
from skimage.draw import disk

from sgcldff_core.cells import cell_table
from sgcldff_core.evaluation.classical import ClassicalPipeline
from sgcldff_core.inference import predict_image, with_engine
from sgcldff_core.inference.field import look_at
from sgcldff_core.inference.forward import run_network
from sgcldff_core.inference.instances import separate_cells
from sgcldff_core.inference.tiling import DEFAULT_TILE
from sgcldff_core.model import Model, ModelConfig
from sgcldff_core.saliency import compute_prior

__all__ = ["Part", "crowd", "parts_of_baselines", "parts_of_crowds", "parts_of_model"]

DIAMETER = 120.0
"""Of a leukocyte in the timed field, px: about what it is in BCCD."""

_SPACING = 24  # px between the centres of a crowd's cells, which are 18 px wide


@dataclass(frozen=True, slots=True)
class Part:
    """Something to time.

    Attributes
    ----------
    name : str
        As the table shows it.
    run : callable
        Does it once.
    """

    name: str
    run: Callable[[], object]


def parts_of_model(image: NDArray[np.uint8], model: Model) -> list[Part]:
    """Return the steps of a prediction by a model, and the whole.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB, with leukocytes about `DIAMETER` px wide.
    model : Model
        On the CPU.
    """
    view = look_at(image, model, DIAMETER, tile=DEFAULT_TILE)
    maps = view.maps.logits.sigmoid().numpy()
    found = predict_image(image, model, diameter=DIAMETER)
    probabilities = found.cells[[f"prob_{name}" for name in model.config.classes]].to_numpy(np.float32)
    whole = compute_prior(image, model.config.prior)
    other = with_engine(model, "onnxruntime").engine  # takes the number of threads that torch has now: one

    def tabulate() -> object:
        ones = np.ones(len(probabilities), np.float32)
        arrays = (found.labels, found.nucleus, found.saliency, model.config.classes, probabilities, ones)
        return cell_table("field", *arrays, [""] * len(probabilities))

    steps = {
        "prior, scaled": lambda: compute_prior(view.image, model.config.prior),
        "forward, scaled": lambda: run_network(model.network, view.image, view.prior, engine=model.engine),
        "forward, every pixel": lambda: run_network(model.network, image, whole, engine=model.engine),
        "forward, every pixel, not folded": lambda: run_network(model.network, image, whole),
        "forward, every pixel, onnxruntime": lambda: run_network(model.network, image, whole, engine=other),
        "separation of cells": lambda: separate_cells(*maps, model.config.canonical_diameter),
        "cell table": tabulate,
        "predict, diameter given": lambda: predict_image(image, model, diameter=DIAMETER),
        "predict, diameter given, one look": lambda: predict_image(image, model, diameter=DIAMETER, mirror=False),
        "predict, diameter sought": lambda: predict_image(image, model),
    }
    return [Part(f"{model.name}: {name}", run) for name, run in steps.items()]


def parts_of_baselines(image: NDArray[np.uint8]) -> list[Part]:
    """Return what a user would run instead: U-Net with ResNet-34 on every pixel, and thresholds with a watershed.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    """
    # Random weights: they do not change what is computed.
    network = smp.Unet("resnet34", encoder_weights=None, classes=3).eval()
    shown = torch.tensor(image).permute(2, 0, 1)[None].float().div(255).contiguous()
    last = network.to(memory_format=torch.channels_last)
    pipeline = ClassicalPipeline(ModelConfig().classes, 0.4, None)

    def forward() -> object:
        with torch.inference_mode():
            return last(shown.contiguous(memory_format=torch.channels_last))

    return [
        Part("U-Net ResNet-34: forward, every pixel", forward),
        Part("classical pipeline: whole", lambda: pipeline.predict(image)),
    ]


def parts_of_crowds(counts: tuple[int, ...]) -> list[Part]:
    """Return separation and table of so many cells each, on maps that a network might have made.

    Parameters
    ----------
    counts : tuple of int
        Cells in each of the fields.
    """
    parts = []
    for count in counts:
        labels, distance = crowd(count)
        mask = (labels > 0).astype(np.float32)
        classes = ModelConfig().classes
        even = np.full((count, len(classes)), 1 / len(classes), np.float32)

        def both(
            labels: NDArray[np.int32] = labels,
            mask: NDArray[np.float32] = mask,
            distance: NDArray[np.float32] = distance,
            even: NDArray[np.float32] = even,
            count: int = count,
        ) -> None:
            found = separate_cells(mask, mask, distance, 18.0)
            if found.max() != count:
                raise AssertionError(f"{found.max()} of {count} cells were found")
            ones = np.ones(count, np.float32)
            cell_table("crowd", labels, labels > 0, mask, ModelConfig().classes, even, ones, [""] * count)

        parts.append(Part(f"separation and table of {count:,} cells", both))
    return parts


def crowd(count: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Draw round cells in a square field.

    Parameters
    ----------
    count : int
        How many.

    Returns
    -------
    labels : ndarray
        (H, H) int32, 1..count.
    distance : ndarray
        (H, H) float32 in [0, 1], 1 in the middle of a cell.
    """
    columns = int(np.ceil(np.sqrt(count)))
    side = columns * _SPACING
    labels, distance = np.zeros((side, side), np.int32), np.zeros((side, side), np.float32)
    for i in range(count):
        centre = (np.array(divmod(i, columns)) + 0.5) * _SPACING
        rows, cols = disk(tuple(centre), 9, shape=labels.shape)
        labels[rows, cols] = i + 1
        distance[rows, cols] = 1 - np.hypot(rows - centre[0], cols - centre[1]) / 9
    return labels, distance
