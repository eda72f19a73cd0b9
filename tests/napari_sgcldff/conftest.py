"""Fixtures for the plugin's tests: a screen, and a model that is quick and known."""

from __future__ import annotations

import os
import sys
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from sgcldff_core.cells import cell_table
from sgcldff_core.smear import Smear, SmearSettings, make_smear
from sgcldff_core.taxonomy import LEUKOCYTES

CLASSES = tuple(c.name for c in LEUKOCYTES)
HAS_SCREEN = sys.platform != "linux" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what opens a window where there is no screen, on which Qt would end the whole run."""
    if not HAS_SCREEN and {"make_napari_viewer", "qtbot", "qapp"} & set(getattr(item, "fixturenames", ())):
        pytest.skip("needs a screen; put `sh scripts/on-screen.sh` before pytest")


@dataclass
class FakePrediction:
    """What the core returns, as far as the plugin looks at it."""

    labels: NDArray[np.int32]
    saliency: NDArray[np.float32]
    gradcam: NDArray[np.float32] | None
    cells: pd.DataFrame
    diameter: float
    nucleus: NDArray[np.bool_]


@dataclass
class FakeModel:
    """Returns the truth about a smear; can be held, made to fail, and counts its calls."""

    smear: Smear
    error: Exception | None = None
    hold: threading.Event = field(default_factory=threading.Event)
    calls: list[dict[str, Any]] = field(default_factory=list)
    loads: list[tuple[str, str]] = field(default_factory=list)

    def load(self, name_or_path: str | None = None, *, device: str = "cpu") -> Any:
        self.loads.append((name_or_path or "", device))
        config = types.SimpleNamespace(classes=CLASSES, canonical_diameter=80.0)
        return types.SimpleNamespace(name=name_or_path or "leukocytes", sha256="0" * 64, config=config)

    def predict(
        self,
        image: NDArray[np.uint8],
        model: Any,
        *,
        name: str = "image",
        diameter: float | None = None,
        explain: bool = False,
        tile: int = 640,
        mirror: bool = True,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> FakePrediction:
        self.calls.append(
            {
                "name": name,
                "shape": image.shape,
                "dtype": image.dtype,
                "model": model.name,
                "diameter": diameter,
                "explain": explain,
                "tile": tile,
                "mirror": mirror,
            }
        )
        assert progress is not None
        self._work(progress)
        return predict_truth(self.smear, image.shape[:2], explain=explain, diameter=diameter or 60.0)

    def predict_plane(
        self, read: Callable[[tuple[int, int, int, int]], Any], shape: tuple[int, int], model: Any, **settings: Any
    ) -> FakePrediction:
        image = read((0, 0, *shape))
        found = self.predict(image, model, **settings)
        # The truth about the part that was read, found by its pixels in the field.
        y, x = next(
            (y, x)
            for y in range(self.smear.image.shape[0] - shape[0] + 1)
            for x in range(self.smear.image.shape[1] - shape[1] + 1)
            if np.array_equal(self.smear.image[y, x], image[0, 0])
            and np.array_equal(self.smear.image[y : y + shape[0], x : x + shape[1]], image)
        ) if image.any() else (0, 0)  # fmt: skip
        if (y, x) != (0, 0):
            explain = settings.get("explain", False)
            found = predict_truth(self.smear, shape, explain=explain, diameter=found.diameter, corner=(y, x))
        found.cells["image"] = settings["name"]
        return found

    def estimate(
        self, read: Callable[..., Any], shape: tuple[int, int], model: Any, *, tile: int = 640, progress: Any = None
    ) -> float:
        self.calls.append({"estimate": shape, "model": model.name, "tile": tile})
        self._work(progress)
        return 61.6

    def _work(self, progress: Callable[[str, int, int], None]) -> None:
        step = 0
        progress("finding cells", step, 4)
        while not self.hold.wait(0.02):
            progress("finding cells", min(step := step + 1, 3), 4)
        if self.error is not None:
            raise self.error


def predict_truth(
    smear: Smear,
    shape: tuple[int, ...],
    *,
    explain: bool = False,
    diameter: float = 60.0,
    corner: tuple[int, int] = (0, 0),
) -> FakePrediction:
    """Return the truth about a smear, or a part of it, as if a model had said it."""
    part = (slice(corner[0], corner[0] + shape[0]), slice(corner[1], corner[1] + shape[1]))
    labels, nucleus = smear.labels[part], smear.nucleus[part]
    prior = nucleus.astype(np.float32)
    present = [int(label) for label in np.unique(labels) if label]
    probabilities = np.zeros((len(present), len(CLASSES)), np.float32)
    for row, label in enumerate(present):
        probabilities[row, CLASSES.index(smear.classes[label])] = 0.9
    reasons = ["low confidence" if i == 0 else "" for i in range(len(present))]
    cells = cell_table("", labels, nucleus, prior, CLASSES, probabilities, np.ones(len(present), np.float32), reasons)
    return FakePrediction(labels, prior, prior if explain else None, cells, diameter, nucleus)


@pytest.fixture(scope="session")
def smear() -> Smear:
    """Return a small synthetic field with several cells."""
    return make_smear(3, SmearSettings(height=240, width=320, diameter=60, leukocytes=5, cut=0.0, stain="wright"))


@pytest.fixture
def fake_model(monkeypatch: pytest.MonkeyPatch, smear: Smear) -> FakeModel:
    """Put a quick model in the place of the core's inference; it answers at once unless held."""
    fake = FakeModel(smear)
    fake.hold.set()
    inference = types.ModuleType("sgcldff_core.inference")
    inference.predict_image = fake.predict  # type: ignore[attr-defined]
    inference.predict_plane = fake.predict_plane  # type: ignore[attr-defined]
    inference.estimate_plane_diameter = fake.estimate  # type: ignore[attr-defined]
    inference.choose_device = lambda name: "cpu" if name == "auto" else name  # type: ignore[attr-defined]
    inference.with_engine = lambda model: model  # type: ignore[attr-defined]
    model = types.ModuleType("sgcldff_core.model")
    model.load_model = fake.load  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sgcldff_core.inference", inference)
    monkeypatch.setitem(sys.modules, "sgcldff_core.model", model)
    monkeypatch.setattr("napari_sgcldff.segmenting.load_torch", lambda: None)  # seconds that prove nothing here
    return fake


@pytest.fixture
def predict(smear: Smear) -> Callable[..., FakePrediction]:
    """Return a function that makes a prediction for the small field: ``predict(explain=True)``."""
    return partial(predict_truth, smear, smear.labels.shape)


@pytest.fixture
def notifications() -> Iterator[list[Any]]:
    """Return what the user was notified of during a test."""
    from napari.utils.notifications import notification_manager

    seen: list[Any] = []
    notification_manager.notification_ready.connect(seen.append)
    yield seen
    notification_manager.notification_ready.disconnect(seen.append)


@pytest.fixture(autouse=True)
def _forgetful_settings(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what a test leaves to be remembered from the next test, and from the user who runs them."""
    from qtpy.QtCore import QSettings

    path = str(tmp_path_factory.mktemp("settings") / "sgcldff.ini")
    monkeypatch.setattr("napari_sgcldff.session.settings", lambda: QSettings(path, QSettings.Format.IniFormat))


@pytest.fixture(scope="session")
def set_canvas() -> Callable[[Any, tuple[int, int]], None]:
    """Return a function that gives a viewer's canvas a size: ``set_canvas(viewer, (height, width))``."""

    def resize(viewer: Any, size: tuple[int, int]) -> None:
        if hasattr(viewer, "canvas"):
            viewer.canvas.size = size
        else:  # before napari 0.9
            viewer._canvas_size = size

    return resize
