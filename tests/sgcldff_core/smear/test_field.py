"""The truth that a synthetic smear carries must be the truth about its pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi
from skimage.measure import regionprops

from sgcldff_core.errors import ConfigError
from sgcldff_core.smear import STAINS, Smear, SmearSettings, make_smear
from sgcldff_core.taxonomy import LEUKOCYTES

TYPES = [c.name for c in LEUKOCYTES]
CROP = SmearSettings(height=120, width=120, diameter=64, leukocytes=1, centred=True)


def crop(kind: str, seed: int, **changes: object) -> Smear:
    return make_smear(seed, replace(CROP, classes=(kind,), **changes))


def test_the_same_seed_gives_the_same_pixels() -> None:
    one, two = make_smear(7, CROP), make_smear(7, CROP)
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.labels, two.labels)
    np.testing.assert_array_equal(one.nucleus, two.nucleus)
    assert one.classes == two.classes


def test_another_seed_gives_another_smear() -> None:
    one, two = make_smear(7, CROP), make_smear(8, CROP)
    assert np.abs(one.image.astype(int) - two.image).mean() > 5


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    diameter=st.floats(8, 120),
    leukocytes=st.integers(0, 6),
    coverage=st.floats(0, 1.5),
    touching=st.sampled_from((0.0, 1.0)),
    stain=st.sampled_from((None, *STAINS)),
    seed=st.integers(0, 2**63),
)
def test_truth_is_consistent_for_any_settings(
    height: int,
    width: int,
    diameter: float,
    leukocytes: int,
    coverage: float,
    touching: float,
    stain: str | None,
    seed: int,
) -> None:
    """Shapes and dtypes are as promised, labels have classes, nuclei lie in cells, boxes in the image."""
    asked = SmearSettings(
        height=height,
        width=width,
        diameter=diameter,
        leukocytes=leukocytes,
        erythrocytes=coverage,
        touching=touching,
        stain=stain,
    )
    smear = make_smear(seed, asked)
    assert smear.image.shape == (height, width, 3)
    assert smear.image.dtype == np.uint8
    assert smear.labels.shape == smear.nucleus.shape == (height, width)
    assert smear.labels.dtype == np.int32
    assert smear.nucleus.dtype == np.bool_
    assert set(np.unique(smear.labels)) - {0} == set(smear.classes)
    assert len(smear.classes) <= leukocytes
    assert set(smear.classes.values()) <= set(TYPES)
    assert not smear.nucleus[smear.labels == 0].any()
    for box in (*smear.erythrocytes, *smear.platelets):
        assert 0 <= box.y0 < box.y1 <= height
        assert 0 <= box.x0 < box.x1 <= width


def test_one_more_leukocyte_leaves_the_others_as_they_are() -> None:
    few = make_smear(3, SmearSettings(height=300, width=300, diameter=60, leukocytes=2, touching=0, stain="wright"))
    more = make_smear(3, replace(few.settings, leukocytes=3))
    assert len(more.classes) == 3
    for label, kind in few.classes.items():
        assert more.classes[label] == kind
        np.testing.assert_array_equal(more.labels == label, few.labels == label)


def test_red_cells_stay_where_they_are_when_the_field_grows() -> None:
    small = make_smear(5, SmearSettings(height=150, width=180, diameter=60, leukocytes=0))
    large = make_smear(5, replace(small.settings, height=220, width=260))
    whole = [b for b in small.erythrocytes if b.y0 > 0 and b.x0 > 0 and b.y1 < 150 and b.x1 < 180]
    assert len(whole) >= 3
    assert set(whole) <= set(large.erythrocytes)


def test_all_leukocytes_are_there_when_there_is_room() -> None:
    smear = make_smear(1, SmearSettings(height=400, width=400, diameter=50, leukocytes=8, cut=0))
    assert list(smear.classes) == list(range(1, 9))


def test_classes_follow_the_weights() -> None:
    asked = SmearSettings(
        height=300,
        width=300,
        diameter=30,
        leukocytes=12,
        classes=("basophil", "monocyte"),
        weights=(1, 0),
        erythrocytes=0,
    )
    assert set(make_smear(0, asked).classes.values()) == {"basophil"}


@pytest.mark.parametrize("touching", [0.0, 1.0])
def test_cells_touch_when_asked(touching: float) -> None:
    asked = SmearSettings(
        height=220, width=220, diameter=60, leukocytes=3, touching=touching, cut=0, erythrocytes=0, platelets=0
    )
    contacts = 0
    for seed in range(4):
        labels = make_smear(seed, asked).labels
        for label in np.unique(labels)[1:]:
            ring = ndi.binary_dilation(labels == label, iterations=2)
            contacts += bool((labels[ring] > 0).sum() > (labels == label).sum())
    assert (contacts >= 6) if touching else (contacts == 0)


@pytest.mark.parametrize("diameter", [24.0, 60.0, 140.0])
def test_a_neutrophil_has_the_diameter_that_was_asked_for(diameter: float) -> None:
    side = int(1.6 * diameter)
    found = []
    for seed in range(6):
        smear = crop("neutrophil", seed, height=side, width=side, diameter=diameter, erythrocytes=0)
        found.append(2 * np.sqrt((smear.labels == 1).sum() / np.pi))
    assert np.mean(found) == pytest.approx(diameter, rel=0.1)


def test_sizes_and_nuclear_ratios_are_in_the_order_of_the_textbook() -> None:
    size, ratio = {}, {}
    for kind in TYPES:
        smears = [crop(kind, seed, height=150, width=150, erythrocytes=0) for seed in range(8)]
        size[kind] = np.mean([(s.labels > 0).sum() for s in smears])
        ratio[kind] = np.mean([s.nucleus.sum() / (s.labels > 0).sum() for s in smears])
    assert size["lymphocyte"] < 0.75 * size["neutrophil"]
    assert size["monocyte"] > 1.15 * size["neutrophil"]
    assert ratio["lymphocyte"] > 1.2 * ratio["monocyte"] > 1.2 * ratio["neutrophil"] > 0
    assert ratio["eosinophil"] < ratio["monocyte"]


def test_nuclei_are_darker_than_cytoplasm_and_cytoplasm_than_background() -> None:
    for kind in TYPES:
        for stain in STAINS:
            smear = crop(kind, 2, stain=stain, erythrocytes=0, platelets=0)
            green = smear.image[..., 1].astype(float)
            cell, nucleus = smear.labels > 0, smear.nucleus
            background = np.median(green[~ndi.binary_dilation(cell, iterations=4)])
            cytoplasm = np.median(green[cell & ~ndi.binary_dilation(nucleus, iterations=1)])
            assert np.median(green[nucleus]) + 15 < cytoplasm < background - 3, (kind, stain)


@pytest.mark.parametrize("stain", ["wright", "pink", "crowded", "pale"])
def test_eosinophils_are_redder_and_basophils_bluer_than_neutrophils(stain: str) -> None:
    """The granules give the cytoplasm its colour: compare optical densities of blue and red light in it."""

    def redness(kind: str) -> float:
        values = []
        for seed in range(4):
            smear = crop(kind, seed, stain=stain, erythrocytes=0, platelets=0)
            cell = ndi.binary_erosion(smear.labels > 0, iterations=2)
            light = np.percentile(smear.image[smear.labels == 0], 80, axis=0)
            part = cell & ~ndi.binary_dilation(smear.nucleus, iterations=1)
            density = -np.log((smear.image[part].mean(0) + 1) / light)
            values.append(density[2] - density[0])
        return float(np.mean(values))

    assert redness("eosinophil") > redness("neutrophil") + 0.03
    assert redness("basophil") < redness("eosinophil") - 0.1


def test_granules_roughen_the_cytoplasm_of_the_three_granulocytes() -> None:
    def roughness(kind: str) -> float:
        values = []
        for seed in range(4):
            smear = crop(
                kind, seed, height=220, width=220, diameter=130, stain="crowded", defocus=0.5, noise=0.0, erythrocytes=0
            )
            green = smear.image[..., 1].astype(float)
            part = ndi.binary_erosion((smear.labels > 0) & ~smear.nucleus, iterations=4)
            values.append((green - ndi.gaussian_filter(green, 1.2))[part].std())
        return float(np.mean(values))

    rough = {kind: roughness(kind) for kind in TYPES}
    smooth = max(rough["lymphocyte"], rough["monocyte"])
    assert min(rough["neutrophil"], rough["eosinophil"]) > 1.6 * smooth
    assert rough["basophil"] > 1.3 * rough["neutrophil"]


def test_lobes_of_neutrophils_and_roundness_of_lymphocytes() -> None:
    """Solidity (area over convex area) falls with the number of lobes."""

    def solidity(kind: str) -> float:
        smears = [crop(kind, seed, erythrocytes=0) for seed in range(8)]
        return float(np.mean([regionprops(s.nucleus.astype(np.uint8))[0].solidity for s in smears]))

    assert solidity("lymphocyte") > 0.93
    assert solidity("neutrophil") < solidity("lymphocyte") - 0.1
    assert solidity("monocyte") < solidity("lymphocyte") - 0.02


def test_settings_of_the_optics_do_what_they_say() -> None:
    base = SmearSettings(
        height=150, width=150, diameter=60, leukocytes=0, erythrocytes=0.4, stain="wright", noise=0, vignetting=0
    )
    sharp, soft = (make_smear(4, replace(base, defocus=d)).image.astype(float) for d in (0.5, 5.0))
    assert np.abs(np.diff(soft, axis=0)).mean() < 0.6 * np.abs(np.diff(sharp, axis=0)).mean()
    empty = replace(base, erythrocytes=0, platelets=0, defocus=0.0)
    quiet, noisy, shaded = (
        make_smear(4, s).image.astype(float)
        for s in (empty, replace(empty, noise=12.0), replace(empty, vignetting=0.5))
    )
    assert (noisy - quiet).std() > 5
    assert shaded[:9, :9].mean() < 0.8 * quiet[:9, :9].mean()
    assert shaded[70:80, 70:80].mean() > 0.95 * quiet[70:80, 70:80].mean()


def test_coverage_by_red_cells_follows_the_setting() -> None:
    base = SmearSettings(height=250, width=250, diameter=50, leukocytes=0, platelets=0)
    counts = [
        np.mean([len(make_smear(s, replace(base, erythrocytes=c)).erythrocytes) for s in range(3)])
        for c in (0, 0.3, 0.9)
    ]
    assert counts[0] == 0
    assert 10 < counts[1] < 0.55 * counts[2]


def test_the_sample_says_what_the_smear_knows() -> None:
    smear = make_smear(2, SmearSettings(height=200, width=240, diameter=60, leukocytes=3))
    sample = smear.to_sample("field")
    np.testing.assert_array_equal(sample.read_image(), smear.image)
    np.testing.assert_array_equal(sample.read_labels(), smear.labels)
    np.testing.assert_array_equal(sample.read_nucleus(), smear.nucleus)
    assert sample.classes == smear.classes
    assert sample.boxes is not None
    for label, kind in smear.classes.items():
        rows, columns = np.nonzero(smear.labels == label)
        box = next(b for b in sample.boxes if (b.y0, b.x0) == (rows.min(), columns.min()))
        assert (box.y1, box.x1, box.kind) == (rows.max() + 1, columns.max() + 1, kind)
    assert {b.kind for b in sample.boxes} >= {"erythrocyte"}
    assert sample.image_class is None
    assert crop("monocyte", 0).to_sample("crop").image_class == "monocyte"


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match="seed is -1; it must be 0 or more"):
        make_smear(-1)
