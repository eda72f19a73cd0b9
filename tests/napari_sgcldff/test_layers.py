"""Core results to layers and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_sgcldff.layers import KEY, Source, annotation_layer, classes_of, is_smear, prediction_layers, show_layers
from sgcldff_core.cells import cell_columns
from sgcldff_core.errors import ConfigError
from sgcldff_core.smear import Smear
from sgcldff_core.taxonomy import LEUKOCYTES, colour_of

CLASSES = tuple(c.name for c in LEUKOCYTES)
Predict = Callable[..., Any]


@pytest.fixture
def viewer(smear: Smear) -> ViewerModel:
    """Return a viewer without a window that shows the small field."""
    model = ViewerModel()
    model.add_image(smear.image, name="field", scale=(0.5, 0.25), translate=(10, 20))
    return model


def _run(viewer: ViewerModel, prediction: Any, **run: Any) -> dict[str, Any]:
    source = Source.of(viewer.layers["field"], viewer.dims.current_step)
    shown = show_layers(viewer, prediction_layers(prediction, source, run, CLASSES))
    return {layer.metadata[KEY]["role"]: layer for layer in shown}


def test_a_prediction_becomes_the_layers_of_the_design(viewer: ViewerModel, predict: Predict, smear: Smear) -> None:
    shown = _run(viewer, predict(explain=True), model="leukocytes", diameter=60.0)

    assert [layer.name for layer in viewer.layers] == ["field", "field saliency", "field Grad-CAM", "field WBC"]
    assert shown["saliency"].colormap.name == "inferno"
    assert shown["saliency"].blending == "additive"
    assert shown["gradcam"].colormap.name == "turbo"
    assert shown["gradcam"].blending == "translucent"
    cells = shown["cells"]
    assert isinstance(cells, Labels)
    np.testing.assert_array_equal(cells.data, smear.labels)
    assert cells.metadata[KEY]["model"] == "leukocytes"
    assert cells.metadata[KEY]["diameter"] == 60.0
    for layer in shown.values():
        np.testing.assert_array_equal(layer.scale, (0.5, 0.25))
        np.testing.assert_array_equal(layer.translate, (10, 20))


def test_features_have_the_columns_of_the_table_and_colours_those_of_the_class(
    viewer: ViewerModel, predict: Predict, smear: Smear
) -> None:
    prediction = predict()
    prediction.cells = prediction.cells.iloc[::-1]
    cells = _run(viewer, prediction)["cells"]

    assert list(cells.features.columns) == ["index", *cell_columns(CLASSES)]
    assert cells.features["index"].tolist() == sorted(smear.classes)
    assert classes_of(cells) == smear.classes
    for label, name in smear.classes.items():
        np.testing.assert_allclose(cells.get_color(label)[:3], np.array(colour_of(name)) / 255, atol=1e-3)
    label = next(iter(smear.classes))
    y, x = np.argwhere(smear.labels == label)[0]
    status = cells.get_status((10 + 0.5 * y, 20 + 0.25 * x), world=True)
    assert f"class: {smear.classes[label]}" in status["value"]


def test_a_second_run_updates_its_layers_and_keeps_what_the_user_set(viewer: ViewerModel, predict: Predict) -> None:
    first = _run(viewer, predict(explain=True), model="a")
    first["cells"].name = "my cells"
    first["cells"].opacity = 0.3
    first["saliency"].visible = True
    fewer = predict()
    gone = int(fewer.cells["label"].iloc[0])
    fewer.labels = np.where(fewer.labels == gone, 0, fewer.labels)
    fewer.cells = fewer.cells.iloc[1:]
    viewer.layers["field"].name = "renamed"
    viewer.layers["renamed"].translate = (0, 0)
    source = Source.of(viewer.layers["renamed"])
    second = show_layers(viewer, prediction_layers(fewer, source, {"model": "b"}, CLASSES))

    assert [layer.name for layer in viewer.layers] == ["renamed", "field saliency", "my cells"]
    assert second[-1] is first["cells"]
    assert second[-1].metadata[KEY]["model"] == "b"
    assert second[-1].opacity == 0.3
    assert second[0].visible
    assert gone not in classes_of(second[-1])
    np.testing.assert_array_equal(second[-1].translate, (0, 0))


def test_results_of_two_images_stay_apart(viewer: ViewerModel, predict: Predict, smear: Smear) -> None:
    _run(viewer, predict())
    other = viewer.add_image(smear.image, name="other")
    show_layers(viewer, prediction_layers(predict(), Source.of(other), {}, CLASSES))
    assert [layer.name for layer in viewer.layers if isinstance(layer, Labels)] == ["field WBC", "other WBC"]


def test_nothing_found_makes_empty_layers(viewer: ViewerModel, predict: Predict) -> None:
    nothing = predict()
    nothing.labels = np.zeros_like(nothing.labels)
    nothing.cells = nothing.cells.iloc[:0]
    cells = _run(viewer, nothing)["cells"]
    assert len(cells.features) == 0
    assert classes_of(cells) == {}
    assert cells.data.shape == nothing.labels.shape


def test_the_shown_plane_of_a_stack_is_used_and_its_results_lie_on_it(predict: Predict, smear: Smear) -> None:
    viewer = ViewerModel()
    planes = [da.from_array(np.full_like(smear.image, value)) for value in (10, 20, 30)]
    stack = viewer.add_image(da.stack(planes), name="stack", rgb=True, scale=(2, 1, 1), translate=(5, 0, 0))
    viewer.dims.set_current_step(0, 2)
    source = Source.of(stack, viewer.dims.current_step)
    shown = show_layers(viewer, prediction_layers(predict(), source, {}, CLASSES))

    assert (source.image == 30).all()
    assert shown[-1].data.shape == (1, *smear.labels.shape)
    np.testing.assert_array_equal(shown[-1].translate, (9, 0, 0))
    y, x = np.argwhere(smear.labels)[0]
    assert shown[-1].get_value((9, y, x), world=True) == smear.labels[y, x]
    viewer.dims.set_current_step(0, 1)
    assert not shown[-1].get_value((7, y, x), world=True)


def test_a_padded_plane_is_cut_to_its_own_size(smear: Smear) -> None:
    stack = Image(np.stack([smear.image, smear.image]), rgb=True, metadata={KEY: {"sizes": [(240, 320), (100, 50)]}})
    assert Source.of(stack, (1, 0, 0)).image.shape == (100, 50, 3)


@pytest.mark.parametrize(
    "convert",
    [
        lambda rgb: rgb,
        lambda rgb: np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)]),
        lambda rgb: rgb.astype(np.uint16) * 257,
        lambda rgb: rgb / 255,
        lambda rgb: da.from_array(rgb, chunks=64),
        lambda rgb: [rgb, rgb[::2, ::2]],
    ],
    ids=["uint8", "alpha", "uint16", "float", "dask", "multiscale"],
)
def test_any_rgb_image_comes_as_8_bit_rgb(smear: Smear, convert: Callable[[Any], Any]) -> None:
    image = smear.image.copy()
    image[0, 0] = 255  # full brightness tells the scale
    layer = Image(convert(image), rgb=True)
    taken = Source.of(layer).image
    assert taken.dtype == np.uint8
    np.testing.assert_array_equal(taken, image)


def test_what_is_no_smear_is_refused() -> None:
    grey = Image(np.zeros((8, 8)), name="depth")
    assert not is_smear(grey)
    with pytest.raises(ConfigError, match="the layer 'depth' is no RGB image; choose a colour image"):
        Source.of(grey)
    wild = Image(np.full((8, 8, 3), -1.0), rgb=True, name="wild")
    with pytest.raises(ConfigError, match="the layer 'wild' cannot be used: "):
        Source.of(wild)


def test_annotations_keep_their_classes_both_ways() -> None:
    labels = np.array([[0, 1], [2, 3]])
    known = {1: "eosinophil", 3: "Smudge cell"}
    data, attributes, kind = annotation_layer(labels, known, "truth")
    layer = Labels(data, **attributes)
    assert kind == "labels"
    assert classes_of(layer) == known
    np.testing.assert_allclose(layer.get_color(3)[:3], np.array(colour_of("Smudge cell", ["Smudge cell"])) / 255)


def test_labels_without_classes_keep_naparis_colours() -> None:
    data, attributes, _ = annotation_layer(np.array([[0, 1]]), None, "truth")
    layer = Labels(data, **attributes)
    assert classes_of(layer) == {}
    assert layer.get_color(1)[3] > 0
