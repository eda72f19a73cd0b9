"""Core results to napari layers and back: the only place that knows both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_sgcldff.extent import is_smear
from napari_sgcldff.metadata import KEY, NUCLEUS
from napari_sgcldff.source import Source
from sgcldff_core.taxonomy import colour_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels, Layer
    from napari.types import LayerDataTuple

    from napari_sgcldff.segmenting import Finding
    from sgcldff_core.inference import Prediction

__all__ = [
    "KEY",
    "Source",
    "annotation_layer",
    "classes_of",
    "finding_layers",
    "is_smear",
    "prediction_layers",
    "show_layers",
]

_OUTLINE = 3  # px
_MOST_OUTLINED = 1_500_000  # px of a plane: above, drawing outlines anew at every change holds up the window
_TITLES = {"saliency": "saliency", "gradcam": "Grad-CAM"}
_LOOKS: dict[str, dict[str, Any]] = {
    "saliency": {"colormap": "inferno", "blending": "additive", "opacity": 0.6},
    "gradcam": {"colormap": "turbo", "blending": "translucent", "opacity": 0.5},
}
_OF_ONE_RUN = dict.fromkeys(("saliency", "gradcam", "cells"), ("saliency", "gradcam", "cells"))
_MOST_DIRECT = 2**16  # above, napari cannot colour label by label unless numba is installed


def prediction_layers(
    prediction: Prediction, source: Source, run: Mapping[str, Any], classes: Sequence[str] = ()
) -> list[LayerDataTuple]:
    """Turn a prediction into layers that lie on its picture.

    Parameters
    ----------
    prediction : Prediction
        Of ``source.image``.
    source : Source
        The picture.
    run : mapping
        The model and the parameters, kept in the metadata of each layer.
    classes : sequence of str, optional
        All classes of the model, for the colours of those that a user defined.

    Returns
    -------
    list of (data, dict, str)
        Saliency, Grad-CAM where there is one, and the cells on top.
    """
    maps = {"saliency": source.lift(prediction.saliency)}
    if prediction.gradcam is not None:
        maps["gradcam"] = source.lift(prediction.gradcam)
    about = {"source": source.uid, **run}
    layers = _results(
        source.name, source.placement, about, maps, source.lift(prediction.labels), prediction.cells, classes
    )
    layers[-1][1]["metadata"][NUCLEUS] = prediction.nucleus  # edited cells are measured with it
    return layers


def finding_layers(finding: Finding, *, live: bool = False) -> list[LayerDataTuple]:
    """Turn what was found in an extent into layers that lie on its picture.

    Parameters
    ----------
    finding : Finding
        From `napari_sgcldff.segmenting.segment`.
    live : bool
        Return a layer of the cells only, one that does not take the place of those of a run.

    Returns
    -------
    list of (data, dict, str)
        As from `prediction_layers`.
    """
    extent = finding.extent
    maps = {} if live else {"saliency": finding.saliency}
    if finding.gradcam is not None and not live:
        maps["gradcam"] = finding.gradcam
    about = {"source": extent.uid, **finding.run}
    layers = _results(extent.name, extent.placement, about, maps, finding.labels, finding.cells, finding.classes)
    if finding.nucleus is not None:
        layers[-1][1]["metadata"][NUCLEUS] = finding.nucleus
    if live:
        layers[-1][1]["name"] += " (live)"
        layers[-1][1]["metadata"][KEY]["role"] = "live"
    return layers


def _results(
    name: str,
    placement: Mapping[str, Any],
    about: Mapping[str, Any],
    maps: Mapping[str, NDArray[Any]],
    labels: NDArray[Any],
    cells: pd.DataFrame,
    classes: Sequence[str],
) -> list[LayerDataTuple]:
    layers: list[LayerDataTuple] = []
    for role, values in maps.items():
        looks = {"contrast_limits": (0.0, 1.0), "visible": False, **_LOOKS[role]}
        attributes = {"name": f"{name} {_TITLES[role]}", "metadata": {KEY: {"role": role, **about}}, **placement}
        layers.append((values, {**attributes, **looks}, "image"))
    named = dict(zip(cells["label"].astype(int), cells["class"].astype(str), strict=True))
    features = cells.sort_values("label", ignore_index=True)
    features.insert(0, "index", features["label"])  # by which napari finds the row of a label
    attributes = {"name": f"{name} WBC", "metadata": {KEY: {"role": "cells", **about}}, **placement}
    layers.append(_labels(labels, features, named, attributes, classes))
    return layers


def annotation_layer(
    labels: Any, classes: Mapping[int, str] | None, name: str, about: Mapping[str, Any] | None = None
) -> LayerDataTuple:
    """Turn annotated instances into a layer.

    Parameters
    ----------
    labels : array-like
        (..., H, W) integer instance labels, in memory or lazy.
    classes : mapping of int to str, or None
        Class of each label, as far as it is known.
    name : str
        Name of the layer.
    about : mapping, optional
        For the layer's metadata.

    Returns
    -------
    (data, dict, str)
        A labels layer, coloured by class where there are classes (and not too many labels).
    """
    known = dict(classes or {})
    features = pd.DataFrame({"index": list(known), "class": list(known.values())})
    attributes = {"name": name, "metadata": {KEY: {"role": "annotation", **(about or {})}}}
    if not known:
        return labels, attributes, "labels"
    return _labels(labels, features, known, attributes, tuple(dict.fromkeys(known.values())))


def classes_of(layer: Labels) -> dict[int, str]:
    """Read the class of each cell back from the features of a labels layer.

    Parameters
    ----------
    layer : napari.layers.Labels
        With the columns ``index`` and ``class``.

    Returns
    -------
    dict of int to str
        Empty where the layer has no such features; cells without a class are left out.
    """
    features = layer.features
    if not {"index", "class"} <= set(features.columns):
        return {}
    known = features[features["class"].notna() & (features["index"] > 0)]
    return {int(label): str(name) for label, name in zip(known["index"], known["class"], strict=True)}


def show_layers(
    viewer: ViewerModel,
    layers: Sequence[LayerDataTuple],
    *,
    all_results: bool = True,
    between: Callable[[], None] | None = None,
) -> list[Layer]:
    """Put results into the viewer; those of an earlier run on the same picture are updated.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where to.
    layers : sequence of (data, dict, str)
        From `prediction_layers`.
    all_results : bool
        Whether these are all results of their pictures, so that others, of an earlier run, are removed.
    between : callable, optional
        Called after each layer; napari takes its time for each, in which a window could be drawn.

    Returns
    -------
    list of Layer
        The layers in the viewer. What the user set on a layer (visible, opacity, name) stays, and
        so does a layer whose cells were corrected by hand: it is renamed, and a new one is made.
    """
    from napari.layers import Layer

    shown = []
    for data, attributes, kind in layers:
        about = attributes["metadata"][KEY]
        old = next((layer for layer in viewer.layers if _is_same(layer, about)), None)
        if old is not None and _is_curated(old):
            old.metadata = {**old.metadata, KEY: {**old.metadata[KEY], "role": "corrected"}}
            old.name, old = f"{old.name} corrected", None
        if old is None:
            old = viewer.add_layer(Layer.create(data, attributes, kind))
            if kind == "labels" and data.shape[-2] * data.shape[-1] <= _MOST_OUTLINED:
                # Outlines, so that the cell itself can be judged; the constructor takes none.
                old.contour, old.opacity = _OUTLINE, 1.0
        else:
            _update(old, data, attributes, kind)
        shown.append(old)
        if between is not None:
            between()
    if not all_results:
        return shown
    # What this run did not make again, like a Grad-CAM that is no longer asked for, belongs to no run any more.
    made = {(about["source"], role) for about in _about(shown) for role in _OF_ONE_RUN.get(about["role"], ())}
    for layer in list(viewer.layers):
        about = layer.metadata.get(KEY, {})
        if layer not in shown and (about.get("source"), about.get("role")) in made:
            viewer.layers.remove(layer)
    return shown


def _update(layer: Layer, data: Any, attributes: Mapping[str, Any], kind: str) -> None:
    visible, layer.visible = layer.visible, False  # or each attribute would be drawn for itself
    if kind == "labels" and data.shape[-2] * data.shape[-1] > _MOST_OUTLINED:
        layer.contour = 0
    layer.data = data
    for name in ("translate", "scale"):
        if name in attributes and not np.array_equal(getattr(layer, name), attributes[name]):
            setattr(layer, name, attributes[name])
    for name in ("metadata", "features", "colormap"):
        if name in attributes and (name != "colormap" or kind == "labels"):
            setattr(layer, name, attributes[name])
    layer.visible = visible


def _about(layers: Sequence[Layer]) -> list[Mapping[str, Any]]:
    return [layer.metadata[KEY] for layer in layers]


def _is_curated(layer: Layer) -> bool:
    features = getattr(layer, "features", {})
    return "curated" in features and bool(features["curated"].fillna(False).astype(bool).any())


def _is_same(layer: Layer, about: Mapping[str, Any]) -> bool:
    own = layer.metadata.get(KEY, {})
    return own.get("role") == about["role"] and own.get("source") == about["source"]


def _labels(
    labels: Any,
    features: pd.DataFrame,
    named: Mapping[int, str],
    attributes: dict[str, Any],
    classes: Sequence[str],
) -> LayerDataTuple:
    from napari.utils.colormaps import DirectLabelColormap

    if max(named, default=0) > _MOST_DIRECT:
        return labels, {**attributes, "features": features}, "labels"
    colours: dict[int | None, NDArray[np.float32]] = {None: np.zeros(4, np.float32), 0: np.zeros(4, np.float32)}
    for label, name in named.items():
        colours[label] = np.array([*colour_of(name, classes), 255], np.float32) / 255
    colormap = DirectLabelColormap(color_dict=colours)
    return labels, {"opacity": 0.6, **attributes, "features": features, "colormap": colormap}, "labels"
