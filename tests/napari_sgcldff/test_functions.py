"""The functions for notebooks: by themselves, and as forms that magicgui makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from magicgui import magicgui
from napari.layers import Image, Labels, Layer
from pytestqt.qtbot import QtBot

from napari_sgcldff.functions import explain_cells, saliency_map, segment_cells
from napari_sgcldff.layers import KEY, classes_of
from sgcldff_core.errors import ConfigError
from sgcldff_core.saliency import compute_prior
from sgcldff_core.smear import Smear


def test_cells_are_segmented_and_explained_without_a_viewer(smear: Smear) -> None:
    image = Image(smear.image, name="field", scale=(2, 2))
    *_, cells = (Layer.create(*data) for data in segment_cells(image, diameter=60))
    assert isinstance(cells, Labels)
    assert ((np.asarray(cells.data) > 0) == (smear.labels > 0)).mean() > 0.95
    assert classes_of(cells)
    label = max(classes_of(cells))
    shown = Layer.create(*explain_cells(cells, image, label=label, level=8))
    about = shown.metadata[KEY]
    assert (about["model"], about["diameter"], about["level"], about["cells"]) == ("leukocytes", 60, 8, [label])
    y, x = np.argwhere(np.asarray(cells.data) == label).mean(0)
    top, left = shown.translate
    assert top <= 2 * y <= top + 2 * shown.data.shape[0]
    assert left <= 2 * x <= left + 2 * shown.data.shape[1]
    everyone = Layer.create(*explain_cells(cells, image))
    assert everyone.metadata[KEY]["cells"] == sorted(classes_of(cells))
    with pytest.raises(ConfigError, match="the model does not know smudge"):
        explain_cells(cells, image, label=label, kind="smudge")


def test_a_plane_of_a_stack_is_chosen_by_its_number(smear: Smear) -> None:
    stack = Image(np.stack([smear.image, smear.image[::-1]]), rgb=True, name="stack")
    shown = Layer.create(*saliency_map(stack, "stain", plane=1))
    np.testing.assert_array_equal(shown.data[0], compute_prior(smear.image[::-1], "stain"))
    np.testing.assert_array_equal(shown.translate, (1, 0, 0))
    with pytest.raises(ConfigError, match="unknown saliency prior 'x'"):
        saliency_map(stack, "x")


@pytest.mark.parametrize("function", [segment_cells, explain_cells, saliency_map])
def test_magicgui_makes_a_form_of_each(
    qtbot: QtBot, make_napari_viewer: Callable[..., Any], smear: Smear, function: Callable[..., Any]
) -> None:
    viewer = make_napari_viewer()
    viewer.add_image(smear.image, name="field")
    viewer.add_labels(smear.labels, name="truth")
    form = magicgui(function)
    viewer.window.add_dock_widget(form)
    assert form.image.choices == (viewer.layers["field"],)
    if function is saliency_map:  # the one that needs no model; the others were called above
        form()
        form()
        assert [layer.name for layer in viewer.layers] == ["field", "truth", "field saliency"]
