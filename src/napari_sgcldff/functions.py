"""What the widgets do, as functions for notebooks and scripts; magicgui makes a form of each.

>>> from magicgui import magicgui  # doctest: +SKIP
>>> viewer.window.add_dock_widget(magicgui(segment_cells, call_button="Segment"))  # doctest: +SKIP
>>> viewer.add_layer(Layer.create(*saliency_map(viewer.layers["smear"], "stain")))  # doctest: +SKIP

They return layers and change no viewer; they run where they are called, and take as long as it takes.
"""

# No postponed annotations here: magicgui looks the types up without knowing this module.
from typing import Literal

from napari.layers import Image, Labels
from napari.types import LayerDataTuple

from napari_sgcldff.cell_pictures import CellPicture
from napari_sgcldff.explaining import Question, answer, gradcam_layer, model_and_diameter
from napari_sgcldff.layers import KEY, Source, prediction_layers
from napari_sgcldff.saliency_preview import Part, Recipe, compute, saliency_layer
from napari_sgcldff.torch_loading import load_torch

__all__ = ["explain_cells", "saliency_map", "segment_cells"]


def segment_cells(
    image: Image, model: str = "", diameter: float = 0.0, explain: bool = False, plane: int = 0
) -> list[LayerDataTuple]:
    """Outline and name every white blood cell of an image.

    Parameters
    ----------
    image : napari.layers.Image
        RGB.
    model : str
        Name or folder of a model; empty for the one that ships.
    diameter : float
        Of a typical leukocyte in px; 0 to estimate it.
    explain : bool
        Whether to return the Grad-CAM as well.
    plane : int
        Of a stack.

    Returns
    -------
    list of (data, dict, str)
        Saliency, Grad-CAM where it was asked for, and the cells with their features.

    Raises
    ------
    SgcldffError
        If there is no such model, or the layer is no RGB image.
    """
    load_torch()
    from sgcldff_core.inference import predict_image
    from sgcldff_core.model import load_model

    source = Source.of(image, _step(image, plane))
    loaded = load_model(model or None)
    found = predict_image(source.image, loaded, name=source.name, diameter=diameter or None, explain=explain)
    run = {
        "model": loaded.name,
        "sha256": loaded.sha256,
        "diameter": found.diameter,
        "diameter_given": diameter > 0,
        "explain": explain,
    }
    return prediction_layers(found, source, run, tuple(loaded.config.classes))


def explain_cells(
    cells: Labels,
    image: Image,
    label: int = 0,
    kind: str = "",
    level: Literal[0, 4, 8, 16, 32] = 0,
    model: str = "",
    diameter: float = 0.0,
    plane: int = 0,
) -> LayerDataTuple:
    """Show where the evidence for a class of one cell, or of all, lies.

    Parameters
    ----------
    cells : napari.layers.Labels
        Outlined cells.
    image : napari.layers.Image
        RGB, the image they are on.
    label : int
        The cell; 0 for all of them.
    kind : str
        The class; empty for the name of each cell.
    level : int
        Stride of the level to look on; 0 for the fused map.
    model : str
        Name or folder; empty for the one that made the cells, or else the one that ships.
    diameter : float
        Of a typical leukocyte in px; 0 for the one with which the cells were made, or else theirs.
    plane : int
        Of a stack.

    Returns
    -------
    (data, dict, str)
        The Grad-CAM.

    Raises
    ------
    SgcldffError
        If there is no such cell, class, level or model, or the labels do not lie on the image.
    """
    about = cells.metadata.get(KEY, {})
    made_by, made_at = model_and_diameter(about, model, diameter)
    picture = CellPicture.of(cells, image, _step(image, plane), label or None)
    question = Question(
        picture,
        label or None,
        kind,
        level or None,
        model or made_by,
        diameter or made_at,
        str(image.unique_id),
        image.name,
    )
    return gradcam_layer(answer(question, _unheard))


def saliency_map(
    image: Image,
    prior: str = "fused",
    smoothing: float = 0.0,
    gamma: float = 1.0,
    threshold: float = 0.0,
    plane: int = 0,
) -> LayerDataTuple:
    """Show what stands out in an image.

    Parameters
    ----------
    image : napari.layers.Image
        RGB.
    prior : str
        Name of the prior, see `sgcldff_core.saliency.available_priors`.
    smoothing : float
        Standard deviation of a Gaussian in px; 0 for none.
    gamma : float
        Exponent: below 1 lifts what is faint, above 1 keeps what is strong.
    threshold : float
        In [0, 1]; what is below is set to 0.
    plane : int
        Of a stack.

    Returns
    -------
    (data, dict, str)
        The saliency, float in [0, 1].

    Raises
    ------
    ConfigError
        If there is no such prior, or the layer is no RGB image.
    """
    part = Part.of(image, _step(image, plane), whole=True)
    return saliency_layer(compute(part, Recipe(prior, smoothing, gamma, threshold), None, None, _unheard))


def _step(image: Image, plane: int) -> tuple[int, ...]:
    return (plane, *(0 for _ in range(image.ndim - 1))) if image.ndim > 2 else (0,) * image.ndim


def _unheard(stage: str, done: int, total: int) -> None:
    pass
