"""A change of colours: what it does to pixels, to which images, and how it travels with a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sgcldff_core.errors import ConfigError, CorruptModelError
from sgcldff_core.inference import predict_image
from sgcldff_core.model import Model, ModelConfig, build_network, load_model, save_model
from sgcldff_core.model.stain import SPACES, StainTransform, from_space, palette, to_space

IDENTITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
SMALL = ModelConfig(swin=False, width=32, cardinality=8, embedding=32)


def darker(**tables: tuple[tuple[float, ...], ...]) -> StainTransform:
    return StainTransform("by hand", "density", IDENTITY, (0.5, 0.5, 0.5), **tables)


def flat(colour: tuple[int, int, int]) -> np.ndarray:
    return np.full((4, 5, 3), colour, np.uint8)


@settings(deadline=None, max_examples=20)
@given(image=arrays(np.uint8, (3, 4, 3)), space=st.sampled_from(SPACES))
def test_colours_survive_the_way_into_a_space_and_back(image: np.ndarray, space: str) -> None:
    """Up to the step of one grey level, and black, whose density is bounded."""
    back = from_space(to_space(image, space), space)
    assert np.abs(back.astype(int) - image).max() <= 1


def test_an_offset_of_density_is_a_darker_lamp() -> None:
    changed = darker().apply(flat((200, 100, 50)))
    assert np.abs(changed[0, 0] - np.exp(-0.5) * np.array([200, 100, 50])).max() <= 0.5


@settings(deadline=None, max_examples=20)
@given(
    numbers=arrays(np.float64, (4, 3), elements=st.floats(-200, 200)),
    space=st.sampled_from(SPACES),
    image=arrays(np.uint8, (2, 3, 3)),
)
def test_no_transform_leaves_the_range_or_warns(numbers: np.ndarray, space: str, image: np.ndarray) -> None:
    rows = tuple(map(tuple, numbers.tolist()))
    changed = StainTransform("drawn", space, rows[:3], rows[3]).apply(image)
    assert changed.dtype == np.uint8
    assert changed.shape == image.shape


def test_an_image_of_the_models_own_stain_stays_as_it_is() -> None:
    theirs, own = flat((240, 240, 150)), flat((250, 220, 200))
    transform = darker(theirs=(tuple(palette(theirs)),), own=(tuple(palette(own)),))
    assert transform.concerns(theirs)
    assert not transform.concerns(own)
    assert transform.apply(own) is own
    assert (transform.apply(theirs) < theirs).all()


def test_the_palette_tells_slide_and_nucleus() -> None:
    image = np.full((10, 10, 3), 255, np.uint8)
    image[:2, :8] = 0
    assert palette(image) == pytest.approx([100, 0, 0, 0, 0, 0], abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"space": "hsv"}, "unknown colour space 'hsv'"),
        ({"matrix": IDENTITY[:2]}, "has 3 rows, got 2"),
        ({"matrix": ((1.0,), (1.0, 2.0), (3.0,))}, "not a table of numbers"),
        ({"offset": (0.0, 0.0)}, "rows of 3 finite numbers"),
        ({"offset": (0.0, float("nan"), 0.0)}, "rows of 3 finite numbers"),
        ({"own": ((0.0,) * 6,)}, "needs those of the laboratory"),
        ({"theirs": ((0.0,) * 5,)}, "rows of 6 finite numbers"),
    ],
)
def test_bad_numbers_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(darker(), **change)


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "here"
    stain = darker(theirs=((1.0,) * 6,), own=((2.5,) * 6, (3.0,) * 6))
    return save_model(Model("here", SMALL, build_network(SMALL), stain=stain), folder)


def test_a_transform_travels_with_its_model(adapted: Path) -> None:
    stain = load_model(str(adapted)).stain
    assert stain == darker(theirs=((1.0,) * 6,), own=((2.5,) * 6, (3.0,) * 6))


def test_a_model_without_one_says_nothing_of_it(tmp_path: Path) -> None:
    folder = save_model(Model("plain", SMALL, build_network(SMALL)), tmp_path / "plain")
    assert "stain" not in json.loads((folder / "model.json").read_text())
    assert load_model(str(folder)).stain is None


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("offset", [0.5, 0.5, 0.6], "sha256 is not that of its numbers"),
        ("method", None, "a stain transform has"),
        ("matrix", 3, "sha256"),
    ],
)
def test_a_changed_transform_is_refused(adapted: Path, tmp_path: Path, key: str, value: object, message: str) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes((adapted / "model.safetensors").read_bytes())
    description = json.loads((adapted / "model.json").read_text())
    description["stain"][key] = value
    if value is None:
        del description["stain"][key]
    (folder / "model.json").write_text(json.dumps(description))
    with pytest.raises(CorruptModelError, match=message):
        load_model(str(folder))


def test_prediction_sees_the_changed_colours() -> None:
    torch_model = Model("here", SMALL, build_network(SMALL).eval())
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    through = predict_image(image, replace(torch_model, stain=darker()), diameter=40)
    beforehand = predict_image(darker().apply(image), torch_model, diameter=40)
    assert np.array_equal(through.saliency, beforehand.saliency)
