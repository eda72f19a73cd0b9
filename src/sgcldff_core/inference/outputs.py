"""What a prediction leaves on disk: label image, saliency, overlay, tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from sgcldff_core.files import written_atomically
from sgcldff_core.inference.overlay import draw_overlay

if TYPE_CHECKING:
    import pandas as pd

    from sgcldff_core.inference.prediction import Prediction

__all__ = ["OUTPUT_SUFFIXES", "write_prediction", "write_table"]

OUTPUT_SUFFIXES = (
    *("_labels.tif", "_saliency.tif", "_gradcam.tif", "_overlay.png"),
    *("_labels.ome.zarr", "_cells.parquet", "_overview.png"),
)
"""What follows the stem in the names of the files of one image, and of one slide."""


def write_prediction(
    prediction: Prediction, image: NDArray[np.uint8], classes: Sequence[str], folder: Path, stem: str
) -> None:
    """Write the files of one image; each appears whole or not at all.

    ``<stem>_labels.tif`` (uint16, or uint32 for more than 65,535 cells), ``<stem>_saliency.tif``
    (float32), ``<stem>_gradcam.tif`` (float32, where it was asked for), ``<stem>_overlay.png``.

    Parameters
    ----------
    prediction : Prediction
        Of `image`.
    image : ndarray
        (H, W, 3) uint8 RGB.
    classes : sequence of str
        Of the model.
    folder : Path
        Made if it is missing.
    stem : str
        What the names begin with.
    """
    count = int(prediction.labels.max(initial=0))
    labels = prediction.labels.astype(np.uint16 if count <= np.iinfo(np.uint16).max else np.uint32)
    maps: dict[str, NDArray[Any]] = {"_labels.tif": labels, "_saliency.tif": prediction.saliency}
    if prediction.gradcam is not None:
        maps["_gradcam.tif"] = prediction.gradcam
    for suffix, values in maps.items():
        with written_atomically(folder / f"{stem}{suffix}") as draft:
            tifffile.imwrite(draft, values, compression="zlib", metadata=None, software="sgcldff")
    with written_atomically(folder / f"{stem}_overlay.png") as draft:
        draw_overlay(image, prediction, classes).save(draft)


def write_table(table: pd.DataFrame, file: Path) -> None:
    """Write a table as CSV (UTF-8, six significant digits), whole or not at all.

    Parameters
    ----------
    table : DataFrame
        Its index is not written.
    file : Path
        Replaced if it exists.
    """
    with written_atomically(file) as draft:
        table.to_csv(draft, index=False, float_format="%.6g")
