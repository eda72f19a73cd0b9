"""Core results to napari layers and back: the only place that knows both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sgcldff_core.errors import ConfigError
from sgcldff_core.taxonomy import colour_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer
    from napari.types import LayerDataTuple

    from sgcldff_core.inference import Prediction

__all__ = [
    "KEY",
    "Source",
    "annotation_layer",
    "classes_of",
    "is_smear",
    "prediction_layers",
    "show_layers",
]

KEY = "sgcldff"
"""Under this key of a layer's metadata stands what the layer is and how it was made."""

_OUTLINE = 3  # px
_MOST_DIRECT = 2**16  # above, napari cannot colour label by label unless numba is installed


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The picture that a result belongs to: what is shown of an image layer, and where it lies.

    Attributes
    ----------
    image : ndarray
        (H, W, 3) uint8 RGB.
    name : str
        Of the layer.
    uid : str
        Identifies the layer even after it was renamed.
    leading : int
        Number of axes before rows and columns, each of which the results have at length 1.
    placement : dict
        What a layer with the results needs to lie on the picture: scale, translate and so on.
    """

    image: NDArray[np.uint8]
    name: str
    uid: str
    leading: int
    placement: dict[str, Any]

    @classmethod
    def of(cls, layer: Image, step: Sequence[int] = ()) -> Source:
        """Take the plane that is shown of an image layer.

        Parameters
        ----------
        layer : napari.layers.Image
            RGB; a stack or a multi-scale image will do.
        step : sequence of int, optional
            ``viewer.dims.current_step``; the plane of a stack is chosen by it.

        Returns
        -------
        Source
            Its pixels are in memory.

        Raises
        ------
        ConfigError
            If the layer is not RGB, or has values on no known scale.
        """
        # Imported when it is needed: it brings half of SciPy, and a widget is to open at once.
        from sgcldff_core.datasets.depth import to_uint8

        if not is_smear(layer):
            raise ConfigError(f"the layer {layer.name!r} is no RGB image; choose a colour image of a stained smear")
        leading = layer.ndim - 2
        # Layers of fewer axes than the viewer lie along its last ones.
        plane = tuple(int(i) for i in tuple(step)[len(step) - layer.ndim :][:leading]) if leading else ()
        plane = tuple(min(max(i, 0), n - 1) for i, n in zip(plane, layer.data.shape, strict=False))
        pixels = layer.data[0] if layer.multiscale else layer.data
        try:
            image = to_uint8(np.asarray(pixels[plane])[..., :3])
        except ValueError as problem:
            raise ConfigError(f"the layer {layer.name!r} cannot be used: {problem}") from problem
        sizes = layer.metadata.get(KEY, {}).get("sizes")
        if sizes is not None:  # images of several sizes in one stack
            height, width = sizes[plane[0]]
            image = image[:height, :width]
        translate = np.array(layer.translate, float)
        translate[:leading] += np.array(plane, float) * np.array(layer.scale[:leading], float)
        placement = {
            "scale": tuple(layer.scale),
            "translate": tuple(translate),
            "rotate": layer.rotate,
            "shear": layer.shear,
            "affine": layer.affine.affine_matrix,
            "units": layer.units,
        }
        return cls(np.ascontiguousarray(image), layer.name, str(layer.unique_id), leading, placement)

    def lift(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Return a (H, W) result with an axis of length 1 for each leading axis of the picture."""
        return plane[(None,) * self.leading]


def is_smear(layer: Layer) -> bool:
    """Tell whether a layer is an RGB image, and so may be a stained smear."""
    return bool(getattr(layer, "rgb", False))


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

    def common(role: str, title: str) -> dict[str, Any]:
        about = {"role": role, "source": source.uid, **run}
        return {"name": f"{source.name} {title}", "metadata": {KEY: about}, **source.placement}

    layers: list[LayerDataTuple] = [
        (
            source.lift(prediction.saliency),
            {
                **common("saliency", "saliency"),
                "colormap": "inferno",
                "blending": "additive",
                "opacity": 0.6,
                "contrast_limits": (0.0, 1.0),
                "visible": False,
            },
            "image",
        )
    ]
    if prediction.gradcam is not None:
        layers.append(
            (
                source.lift(prediction.gradcam),
                {
                    **common("gradcam", "Grad-CAM"),
                    "colormap": "turbo",
                    "blending": "translucent",
                    "opacity": 0.5,
                    "contrast_limits": (0.0, 1.0),
                    "visible": False,
                },
                "image",
            )
        )
    cells = prediction.cells
    named = dict(zip(cells["label"].astype(int), cells["class"].astype(str), strict=True))
    features = cells.sort_values("label", ignore_index=True)
    features.insert(0, "index", features["label"])  # by which napari finds the row of a label
    layers.append(_labels(source.lift(prediction.labels), features, named, common("cells", "WBC"), classes))
    layers[-1][1]["metadata"][f"{KEY}_nucleus"] = prediction.nucleus  # edited cells are measured with it
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


def show_layers(viewer: ViewerModel, layers: Sequence[LayerDataTuple]) -> list[Layer]:
    """Put results into the viewer; those of an earlier run on the same picture are updated.

    Parameters
    ----------
    viewer : napari.components.ViewerModel
        Where to.
    layers : sequence of (data, dict, str)
        From `prediction_layers`.

    Returns
    -------
    list of Layer
        The layers in the viewer. What the user set on a layer (visible, opacity, name) stays.
    """
    from napari.layers import Layer

    shown = []
    for data, attributes, kind in layers:
        about = attributes["metadata"][KEY]
        old = next((layer for layer in viewer.layers if _is_same(layer, about)), None)
        if old is None:
            new = viewer.add_layer(Layer.create(data, attributes, kind))
            if kind == "labels":  # outlines, so that the cell itself can be judged; the constructor takes none
                new.contour, new.opacity = _OUTLINE, 1.0
            shown.append(new)
            continue
        old.data = data
        for name in ("metadata", "translate", "scale", "features", "colormap"):
            if name in attributes and (name != "colormap" or kind == "labels"):
                setattr(old, name, attributes[name])
        shown.append(old)
    # What this run did not make again, like a Grad-CAM that is no longer asked for, belongs to no run any more.
    sources = {layer.metadata[KEY]["source"] for layer in shown}
    for layer in list(viewer.layers):
        if layer not in shown and layer.metadata.get(KEY, {}).get("source") in sources:
            viewer.layers.remove(layer)
    return shown


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
