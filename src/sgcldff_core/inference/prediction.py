"""The whole way of one image: scale, maps, cells, names, explanation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import expand_labels

from sgcldff_core.cells import UNLIKE_A_SMEAR, cell_table
from sgcldff_core.errors import ConfigError
from sgcldff_core.inference.classification import classify_cells
from sgcldff_core.inference.explanation import explain_cells
from sgcldff_core.inference.field import FieldView, look_again, look_at
from sgcldff_core.inference.instances import rim
from sgcldff_core.inference.resampling import resize_labels, resize_map
from sgcldff_core.inference.scale import find_scale
from sgcldff_core.inference.tiling import DEFAULT_TILE
from sgcldff_core.inference.trust import distance_from_smears, gather_evidence, review_cells

if TYPE_CHECKING:
    import pandas as pd

    from sgcldff_core.inference.forward import FieldMaps
    from sgcldff_core.model import Model

__all__ = ["Prediction", "describe_cells", "predict_image"]

_ONE_MIRROR = [(False, True)]
_ALL_MIRRORS = [(False, True), (True, False), (True, True)]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What was found in one image, at the image's own size.

    Attributes
    ----------
    labels : ndarray
        (H, W) int32 instance labels 1..N, 0 background.
    saliency : ndarray
        (H, W) float32 in [0, 1], the prior that guided the network; float16 of a large plane, see
        `sgcldff_core.inference.plane.predict_plane`.
    nucleus : ndarray
        (H, W) bool, nuclei of the cells.
    gradcam : ndarray or None
        The same for the evidence for each cell's class; None unless asked for.
    cells : DataFrame
        One row a label, see `sgcldff_core.cells.cell_table`.
    diameter : float
        Of a typical cell in px of the image, as given or as estimated.
    model : str
        Name of the model.
    stability : ndarray
        (N,) float32 in [0, 1], for each row of `cells`: intersection over union of the cell's outline
        as seen directly and as seen in a mirror, see `sgcldff_core.explain.outline_stability`; NaN
        after one look.
    evidence : DataFrame or None
        For each row of `cells`, what its review rests on, see `sgcldff_core.explain.EVIDENCE`. None
        where no network looked.
    unlike_smears : float or None
        How far the image is from a stained smear in focus, see `sgcldff_core.model.known_smears`:
        above 1 it is taken for none, and every cell is to be looked at. None where the model has no
        record of smears.
    """

    labels: NDArray[np.int32]
    saliency: NDArray[np.floating]
    nucleus: NDArray[np.bool_]
    gradcam: NDArray[np.floating] | None
    cells: pd.DataFrame
    diameter: float
    model: str
    stability: NDArray[np.float32]
    evidence: pd.DataFrame | None = None
    unlike_smears: float | None = None

    @property
    def is_smear(self) -> bool:
        """False for an image that is taken for no smear, or for one out of focus."""
        return self.unlike_smears is None or self.unlike_smears <= 1


def predict_image(
    image: NDArray[np.uint8],
    model: Model,
    *,
    name: str = "image",
    diameter: float | None = None,
    explain: bool = False,
    tile: int = DEFAULT_TILE,
    flips: bool = False,
    mirror: bool = True,
    size: tuple[int, int] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Prediction:
    """Find, outline, name and explain every leukocyte of an image.

    Parameters
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    model : Model
        On any device; its network's mode is left as it was.
    name : str
        The image's name in the table of cells.
    diameter : float, optional
        Of a typical leukocyte in px; estimated from the image by default.
    explain : bool
        Whether to return the Grad-CAM map; the table's columns are filled either way.
    tile : int
        Side of a tile in px at the canonical scale, a multiple of 32.
    flips : bool
        Average over all four mirror images instead of two: slower.
    mirror : bool
        Whether to look a second time, in a mirror. Without, it takes little more than half the time;
        outlines are those of one look, and how firm they are is not known: `Prediction.stability` is
        NaN, and the review goes by the rest.
    size : tuple of int, optional
        Height and width at which everything is returned, where `image` is a smaller copy of a
        plane; by default those of `image`.
    progress : callable, optional
        Called with the name of the stage, steps done and steps in all; may raise to stop.

    Returns
    -------
    Prediction
        Everything at the size of `image`, or at `size`; the diameter is in px of `image`.

    Raises
    ------
    ConfigError
        If the image is not (H, W, 3) uint8, or a setting is out of range.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ConfigError(f"expected an RGB image of shape (H, W, 3) and dtype uint8, got {image.shape} {image.dtype}")
    if diameter is not None and not 1 <= diameter < np.inf:
        raise ConfigError(f"diameter must be at least 1 px, got {diameter}")

    image = model.in_own_stain(image)

    def stage(title: str) -> Callable[[int, int], None] | None:
        return None if progress is None else lambda done, total: progress(title, done, total)

    def step(title: str) -> None:
        if progress is not None:
            progress(title, 0, 0)

    if diameter is None:
        direct = find_scale(image, model, tile=tile, progress=stage("finding the scale"))
    else:
        direct = look_at(image, model, diameter, tile=tile, progress=stage("finding cells"))
    # The mirror image tells how firm each outline is, and the mean of both is better than either.
    mirrors = _ALL_MIRRORS if flips else _ONE_MIRROR if mirror and direct.foreground.any() else []
    view, reflected = look_again(direct, model, mirrors, tile=tile, progress=stage("looking in the mirror"))
    looks = (direct.maps, reflected) if mirrors else None
    return describe_cells(view, model, looks, size or image.shape[:2], name=name, explain=explain, step=step)


def describe_cells(
    view: FieldView,
    model: Model,
    looks: tuple[FieldMaps, FieldMaps] | None,
    shape: tuple[int, int],
    *,
    name: str,
    explain: bool,
    step: Callable[[str], None] | None = None,
) -> Prediction:
    """Name, measure and judge the cells of a view, and bring all to the size of the image.

    Parameters
    ----------
    view : FieldView
        With the cells.
    model : Model
        The one that made it.
    looks : tuple of FieldMaps, or None
        As seen directly, and as seen in a mirror and turned back; None after one look.
    shape : tuple of int
        Height and width of the image.
    name, explain
        As for `predict_image`.
    step : callable, optional
        Called with what is done next; may raise to stop.

    Returns
    -------
    Prediction
        Everything at the size of the image.
    """
    step = step or (lambda _: None)
    step("naming cells")
    named = classify_cells(model, view.image, view.maps, view.labels)
    step("explaining")
    agreement, activation = explain_cells(view.maps, view.prior, view.labels, named.evidence)
    evidence = gather_evidence(
        model, view.image, view.labels, view.maps, looks, named, agreement, _at_border(view.labels)
    )
    consistency, reasons = review_cells(model, named.probabilities, agreement, evidence)
    unlike = distance_from_smears(model, view.image, view.labels)
    if unlike is not None and unlike > 1:
        reasons = ["; ".join(filter(None, (UNLIKE_A_SMEAR, reason))) for reason in reasons]
    step("drawing outlines")
    labels, nucleus = _at_original_size(view, shape)
    # A cell may vanish where the image is much smaller than the canonical scale.
    kept = np.unique(labels[labels > 0])
    labels = np.searchsorted(kept, labels, side="right").astype(np.int32)
    rows = kept - 1
    saliency = resize_map(view.prior, labels.shape)
    step("measuring cells")
    cells = cell_table(
        name,
        labels,
        nucleus,
        saliency,
        model.config.classes,
        named.probabilities[rows],
        consistency[rows],
        [reasons[row] for row in rows],
    )
    stability, kept_evidence = evidence["stability"].to_numpy(np.float32), evidence.iloc[rows].reset_index(drop=True)
    gradcam = np.clip(resize_map(activation, labels.shape), 0, 1) if explain else None
    return Prediction(
        labels,
        saliency,
        nucleus,
        gradcam,
        cells,
        float(view.diameter),
        model.name,
        stability[rows],
        kept_evidence,
        unlike,
    )


def _at_border(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    at_border = np.zeros(int(labels.max(initial=0)) + 1, bool)
    at_border[rim(labels)] = True
    return at_border[1:]


def _at_original_size(view: FieldView, shape: tuple[int, int]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    # The outline is resized as a smooth map; the labels only say to whom a pixel belongs.
    logits = view.maps.logits[:2].cpu().numpy()
    # What was filled must not open again, and what lies between two cells stays parted.
    outline = np.where(view.labels > 0, np.maximum(logits[0], 1e-3), logits[0])
    owner = resize_labels(expand_labels(view.labels, 3), shape)
    labels = np.where(resize_map(outline, shape) > 0, owner, 0).astype(np.int32)
    nucleus = (resize_map(logits[1], shape) > 0) & (labels > 0)
    return labels, nucleus
