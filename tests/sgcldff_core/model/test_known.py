"""Stains and smears that a model knows: distances by hand, on disk, and refused where damaged."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from sgcldff_core.errors import ConfigError
from sgcldff_core.model.known_smears import LOOK, KnownSmears, focus, image_look
from sgcldff_core.model.known_stains import COLOURS, KnownStain, KnownStains, cell_colours

GLASS, CYTOPLASM, NUCLEUS = (230, 224, 228), (172, 165, 205), (88, 60, 142)


def stain(at: float, name: str = "made") -> KnownStain:
    return KnownStain(name, (at,) * 9, tuple(tuple(row) for row in np.eye(9).tolist()))


def test_the_nearest_stain_counts() -> None:
    known = KnownStains((stain(0.0), stain(10.0)), unit=3.0)
    # From (1, ..., 1): 3 to the first. From (9, ..., 9): 3 to the second. Between them, 15.
    np.testing.assert_allclose(known.distance(np.array([[1.0] * 9, [9.0] * 9, [5.0] * 9])), [1, 1, 5])
    assert known.distance(np.zeros((0, 9))).shape == (0,)


def test_colours_are_those_of_nucleus_cytoplasm_and_glass() -> None:
    image = np.full((40, 60, 3), GLASS, np.uint8)
    labels = np.zeros((40, 60), np.int32)
    labels[5:25, 5:25], labels[30:36, 40:50] = 1, 2
    nucleus = np.zeros((40, 60), bool)
    nucleus[10:20, 10:20] = True
    image[labels > 0], image[nucleus] = CYTOPLASM, NUCLEUS
    found = cell_colours(image, labels, nucleus)
    density = {name: -np.log(np.array(rgb) / 255) for name, rgb in (("g", GLASS), ("c", CYTOPLASM), ("n", NUCLEUS))}
    np.testing.assert_allclose(found[0], np.concatenate([density["n"], density["c"], density["g"]]), atol=1e-5)
    # The second has no nucleus: the mean of the cell stands for it.
    np.testing.assert_allclose(found[1], np.concatenate([density["c"], density["c"], density["g"]]), atol=1e-5)
    assert cell_colours(image, 0 * labels, nucleus).shape == (0, len(COLOURS))


def smears() -> KnownSmears:
    return KnownSmears((0.0,) * 10, tuple(tuple(row) for row in np.eye(10).tolist()), 2.0, -0.2, -1.2)


def test_a_look_is_far_or_out_of_focus() -> None:
    look = np.zeros(10)
    look[0] = 3.0
    assert smears().distance_of_look(look) == pytest.approx(1.5)
    look[:] = 0
    look[list(LOOK).index("fine over coarse")] = -1.7  # 1.7 / 2 away, but (-0.2 + 1.7) / 1 out of focus
    assert focus(look) == pytest.approx(-1.7)
    assert smears().distance_of_look(look) == pytest.approx(1.5)


@pytest.mark.parametrize("tone", [0, 128, 255])
def test_a_blank_image_has_a_look(tone: int) -> None:
    assert np.isfinite(image_look(np.full((30, 40, 3), tone, np.uint8), 20.0)).all()


def test_neither_lamp_nor_scale_has_a_part_in_the_look() -> None:
    rng = np.random.default_rng(0)
    yy, xx = np.mgrid[:240, :320]
    image = np.full((240, 320, 3), GLASS, float)
    for y, x in ((70, 80), (150, 220), (60, 250)):
        inside = np.clip(40 - np.hypot(yy - y, xx - x), 0, 3)[..., None] / 3
        image = image * (1 - inside) + inside * np.array(NUCLEUS)
    image = np.clip(image + rng.normal(0, 1, image.shape), 0, 255)
    look = image_look(image.astype(np.uint8), 80.0)
    dimmer = image_look((0.85 * image).astype(np.uint8), 80.0)
    np.testing.assert_allclose(dimmer, look, atol=0.06)
    larger = np.kron(image.astype(np.uint8), np.ones((2, 2, 1), np.uint8))
    np.testing.assert_allclose(image_look(larger, 160.0), look, atol=0.25)


def test_they_come_back_from_json() -> None:
    known = KnownStains((stain(0.0), stain(1.5, "other")), unit=3.0)
    assert KnownStains.from_dict(json.loads(json.dumps(known.to_dict()))) == known
    assert KnownSmears.from_dict(json.loads(json.dumps(smears().to_dict()))) == smears()


def test_smears_that_were_measured_otherwise_are_refused_with_the_remedy() -> None:
    before = {key: value for key, value in smears().to_dict().items() if key != "version"}
    with pytest.raises(ConfigError, match=r"of version 1; this release reads 2: .* 'sgcldff models trust'"):
        KnownSmears.from_dict(before)


def test_a_yellow_glass_is_no_light_and_a_lamp_in_the_picture_is() -> None:
    """The blue of a yellow glass is dark, so that noise there is a large share of it."""
    rng = np.random.default_rng(0)
    place = list(LOOK).index("above glass")
    yellow = np.clip(np.array([250, 240, 120]) + rng.normal(0, 7, (200, 200, 3)), 0, 255).astype(np.uint8)
    assert image_look(yellow, 32.0)[place] == 0
    yellow[50:100, 50:100, 2] = 200
    assert image_look(yellow, 32.0)[place] == pytest.approx(0.25, abs=0.01)


def test_one_sharp_edge_among_soft_ones_shows_the_focus() -> None:
    image = np.full((160, 160), 235.0)
    image[20:60, 20:60] = 120
    soft = ndimage.gaussian_filter(image, 3.2)
    soft[:, 80:] = np.where(np.arange(160)[:, None] < 80, 235, 120)  # as long as a third of the soft one
    place = list(LOOK).index("fine over coarse")
    looks = [image_look(np.repeat(x[..., None], 3, 2).astype(np.uint8), 32.0) for x in (image, soft)]
    assert focus(looks[1]) == looks[1][place] > 0.8
    blurred = ndimage.gaussian_filter(image, 3.2)
    assert focus(image_look(np.repeat(blurred[..., None], 3, 2).astype(np.uint8), 32.0)) < 0.4


@pytest.mark.parametrize(
    "changed",
    [
        {"unit": 0.0},
        {"unit": float("nan")},
        {"unit": "a"},
        {"stains": []},
        {"stains": [{"name": "a", "mean": [1.0], "spread": []}]},
        {"stains": [{"name": "a", "mean": 1.0, "spread": []}]},
        {"stains": 3},
        {"stains": [3]},
        {"surplus": 1},
    ],
)
def test_damaged_stains_are_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="stain"):
        KnownStains.from_dict(KnownStains((stain(0.0),), 1.0).to_dict() | changed)


@pytest.mark.parametrize(
    "changed",
    [{"mean": [0.0]}, {"unit": -1.0}, {"sharp": -2.0}, {"spread": "a"}, {"surplus": 1}, {"mean": [float("nan")] * 10}],
)
def test_damaged_smears_are_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="known smears"):
        KnownSmears.from_dict(smears().to_dict() | changed)
