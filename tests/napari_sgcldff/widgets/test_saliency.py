"""Saliency maps, driven as a person would."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import Any

import dask.array as da
import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_sgcldff.layers import KEY
from napari_sgcldff.saliency_preview import Part, Recipe, refined
from napari_sgcldff.session import session_of
from napari_sgcldff.view import camera_of
from napari_sgcldff.widgets.saliency import SaliencyWidget
from sgcldff_core.saliency import compute_prior
from sgcldff_core.smear import Smear


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any], smear: Smear) -> Any:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(smear.image, name="field", scale=(0.5, 0.5), translate=(3, 4))
    return viewer


@pytest.fixture
def widget(qtbot: QtBot, viewer: Any) -> SaliencyWidget:
    widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Saliency maps")[1]
    qtbot.waitUntil(widget.isVisible, timeout=5000)
    return widget


def _wait(qtbot: QtBot, widget: SaliencyWidget, recipe: Recipe | None = None) -> None:
    wanted = recipe or widget.recipe()
    qtbot.waitUntil(
        lambda: not widget.panel.running and widget._last is not None and widget._last.recipe == wanted, timeout=10_000
    )


def _compute(qtbot: QtBot, widget: SaliencyWidget) -> None:
    qtbot.mouseClick(widget.panel.run_button, Qt.MouseButton.LeftButton)
    _wait(qtbot, widget)


def test_one_click_shows_the_prior_on_the_image(
    qtbot: QtBot, viewer: Any, widget: SaliencyWidget, smear: Smear
) -> None:
    assert viewer.layers[:] == [viewer.layers["field"]]  # opening computes nothing
    _compute(qtbot, widget)
    shown = viewer.layers["field saliency"]
    np.testing.assert_array_equal(shown.data, compute_prior(smear.image))
    assert (shown.colormap.name, shown.blending) == ("inferno", "additive")
    np.testing.assert_array_equal(shown.scale, (0.5, 0.5))
    np.testing.assert_array_equal(shown.translate, (3, 4))
    assert not widget.figures.isVisibleTo(widget)
    assert widget.panel.message.text() == "320 × 240 px"


def test_each_change_is_seen_at_once_and_the_prior_is_not_computed_again(
    qtbot: QtBot, viewer: Any, widget: SaliencyWidget, smear: Smear, monkeypatch: pytest.MonkeyPatch
) -> None:
    _compute(qtbot, widget)
    raw = compute_prior(smear.image)
    computed: list[str] = []
    monkeypatch.setattr(
        "sgcldff_core.saliency.compute_prior",
        lambda image, method: computed.append(method) or compute_prior(image, method),
    )
    widget.gamma.slider.setValue(widget.gamma.slider.value() - 6)
    widget.threshold.set_value(0.25)
    widget.smoothing.set_value(1.5)
    assert widget.recipe() == Recipe("fused", 1.5, pytest.approx(0.7), 0.25)  # type: ignore[arg-type]
    _wait(qtbot, widget)
    shown = viewer.layers["field saliency"]
    np.testing.assert_array_equal(shown.data, refined(raw, widget.recipe()))
    assert not ((shown.data > 0) & (shown.data < 0.25)).any()
    assert computed == []
    widget.method.setCurrentIndex(widget.method.findData("stain"))
    _wait(qtbot, widget)
    assert computed == ["stain"]
    assert shown.metadata[KEY]["prior"] == "stain"
    assert [layer.name for layer in viewer.layers] == ["field", "field saliency"]


def test_without_preview_a_change_waits_for_the_button(qtbot: QtBot, viewer: Any, widget: SaliencyWidget) -> None:
    widget.live.setChecked(False)
    widget.gamma.set_value(2)
    qtbot.wait(400)
    assert len(viewer.layers) == 1
    _compute(qtbot, widget)
    assert viewer.layers["field saliency"].metadata[KEY]["gamma"] == 2


def test_it_is_measured_against_labelled_cells(qtbot: QtBot, viewer: Any, widget: SaliencyWidget, smear: Smear) -> None:
    viewer.add_labels(smear.labels, name="truth", scale=(0.5, 0.5), translate=(3, 4))
    _wait(qtbot, widget)
    figures = widget._last.figures  # type: ignore[union-attr]
    assert figures is not None
    mask, prior = smear.labels > 0, compute_prior(smear.image)
    inside, outside = prior[mask][::7], prior[~mask][::7]
    assert figures.auc == pytest.approx((inside[:, None] > outside).mean(), abs=0.01)
    assert widget.figures.item(0, 1).text() == f"AUC {figures.auc:.3f}"
    assert widget.figures.isVisibleTo(widget)
    qtbot.mouseClick(widget.take_threshold, Qt.MouseButton.LeftButton)
    assert widget.threshold.value() == pytest.approx(figures.threshold, abs=0.01)
    _wait(qtbot, widget)
    found = viewer.layers["field saliency"].data > 0
    assert (found & mask).sum() / (found | mask).sum() == pytest.approx(figures.iou, abs=0.02)
    assert widget._last.figures.auc == pytest.approx(figures.auc)  # type: ignore[union-attr]  # of all levels


def test_the_plane_that_is_shown_is_computed(
    qtbot: QtBot, make_napari_viewer: Callable[..., Any], smear: Smear
) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.add_image(np.stack([smear.image, smear.image[::-1]]), name="stack", rgb=True)
    widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Saliency maps")[1]
    viewer.dims.set_current_step(0, 0)
    qtbot.waitUntil(widget.isVisible, timeout=5000)
    _compute(qtbot, widget)
    viewer.dims.set_current_step(0, 1)
    qtbot.waitUntil(lambda: widget._last.part.key[1] == (1,) and not widget.panel.running, timeout=10_000)
    shown = viewer.layers["stack saliency"]
    np.testing.assert_array_equal(shown.data, compute_prior(smear.image[::-1])[None])
    np.testing.assert_array_equal(shown.translate, (1, 0, 0))


def test_of_a_large_image_what_is_seen_is_computed(
    qtbot: QtBot, make_napari_viewer: Callable[..., Any], smear: Smear
) -> None:
    viewer = make_napari_viewer(show=True)
    tile = np.tile(smear.image, (2, 2, 1))  # 480 x 640
    data = da.tile(da.from_array(tile, chunks=(480, 640, 3)), (20, 16, 1))  # 9600 x 10240
    viewer.add_image([data, data[::4, ::4]], name="slide", rgb=True, multiscale=True)
    camera_of(viewer).center = (0, 1000, 1300)
    camera_of(viewer).zoom = 1.0
    widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Saliency maps")[1]
    qtbot.waitUntil(widget.isVisible, timeout=5000)
    qtbot.wait(100)
    assert not widget.whole.isEnabled()
    assert widget.whole.toolTip().startswith("The image is too large")
    _compute(qtbot, widget)
    shown = viewer.layers["slide saliency"]
    assert shown.data.size <= 2**22
    assert shown.data.shape != data.shape[:2]
    y, x = np.rint(shown.translate).astype(int)
    assert (y, x) != (0, 0)
    part = np.asarray(data[y : y + shown.data.shape[0], x : x + shown.data.shape[1]])
    np.testing.assert_array_equal(shown.data, compute_prior(part))
    camera_of(viewer).center = (0, 5000, 5000)
    before = widget._last
    qtbot.waitUntil(lambda: widget._last is not before and not widget.panel.running, timeout=10_000)
    assert shown.translate[0] > 3000


def test_a_coarse_view_is_placed_pixel_by_pixel(smear: Smear) -> None:
    """Of a plane of 6000 x 6000 px every second one is taken, from a pyramid that has that level."""
    from napari.layers import Image

    data = da.zeros((6000, 6000, 3), np.uint8, chunks=1000)
    layer = Image([data, data[::2, ::2]], rgb=True, multiscale=True, scale=(3, 3))
    layer.corner_pixels = np.array([[0, 0], [6000, 6000]])
    layer._data_level = 0
    part = Part.of(layer, (0, 0))
    assert part.stride == (3, 3)
    assert part.pixels.shape == (2000, 2000, 3)
    np.testing.assert_allclose(part.placement((0, 0))["scale"], (9, 9))
    np.testing.assert_allclose(part.placement((0, 0))["translate"], (3, 3))  # the middle of three pixels
    labels = np.zeros((6000, 6000), np.int64)
    labels[3:6, 9:12] = 5
    from napari.layers import Labels

    found = np.asarray(part.labels_of(Labels(labels, scale=(3, 3)), layer, (0, 0)))
    assert np.argwhere(found).tolist() == [[1, 3]]


def test_another_task_comes_first(qtbot: QtBot, viewer: Any, widget: SaliencyWidget) -> None:
    session_of(viewer).occupy("Segment white blood cells")
    widget.gamma.set_value(2)
    qtbot.wait(400)
    assert len(viewer.layers) == 1
    session_of(viewer).release()
    widget.gamma.set_value(1.5)
    _wait(qtbot, widget)


def test_alone_covers_the_image(qtbot: QtBot, viewer: Any, widget: SaliencyWidget) -> None:
    _compute(qtbot, widget)
    qtbot.mouseClick(widget.alone, Qt.MouseButton.LeftButton)
    shown = viewer.layers["field saliency"]
    assert (shown.blending, shown.opacity) == ("translucent", 1)
    widget.alone.setChecked(False)
    assert shown.blending == "additive"


def test_an_image_that_is_removed_meanwhile_does_no_harm(qtbot: QtBot, viewer: Any, widget: SaliencyWidget) -> None:
    qtbot.mouseClick(widget.panel.run_button, Qt.MouseButton.LeftButton)
    viewer.layers.clear()
    qtbot.waitUntil(lambda: not widget.panel.running, timeout=10_000)
    assert len(viewer.layers) == 0
    assert widget.panel.message.text() == "field was removed; its saliency was dropped."
    assert widget.panel.run_button.toolTip() == "Open a colour image of a stained smear first."


def test_a_closed_widget_is_forgotten(qtbot: QtBot, viewer: Any) -> None:
    widget = viewer.window.add_plugin_dock_widget("napari-sgcldff", "Saliency maps")[1]
    qtbot.waitUntil(widget.isVisible, timeout=5000)
    _compute(qtbot, widget)
    gone = weakref.ref(widget)
    viewer.window.remove_dock_widget(widget)
    widget.deleteLater()
    del widget
    qtbot.wait(50)
    gc.collect()
    assert gone() is None
    with qtbot.captureExceptions() as raised:
        camera_of(viewer).zoom = 2
        viewer.dims.events.current_step()
    assert raised == []


def test_opening_the_widgets_loads_neither_torch_nor_the_priors() -> None:
    code = (
        "import sys\n"
        "import napari_sgcldff.widgets.saliency, napari_sgcldff.widgets.explain\n"
        "assert not {'torch', 'sgcldff_core.saliency'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_prior_has_a_title() -> None:
    from napari_sgcldff.prior_titles import PRIOR_TITLES, listed_priors
    from sgcldff_core.saliency import available_priors

    assert [name for name, *_ in listed_priors()] == list(available_priors())
    assert len({title for title, _ in PRIOR_TITLES.values()}) == len(PRIOR_TITLES)
