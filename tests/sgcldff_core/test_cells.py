"""The table of cells and the differential count."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import regionprops_table

from sgcldff_core.cells import ALL_IMAGES, cell_columns, cell_table, class_sets, differential, prediction_sets
from sgcldff_core.errors import ConfigError

CLASSES = ("neutrophil", "lymphocyte", "monocyte")


def table(labels: NDArray[np.int32], **given: object) -> pd.DataFrame:
    count = len(np.unique(labels[labels > 0]))
    parts = {
        "image": "field",
        "labels": labels,
        "nucleus": labels > 0,
        "saliency": np.ones(labels.shape, np.float32),
        "classes": CLASSES,
        "probabilities": np.tile(np.array([0.2, 0.7, 0.1], np.float32), (count, 1)),
        "consistency": np.full(count, 0.5, np.float32),
        "review_reasons": [""] * count,
    }
    return cell_table(**(parts | given))  # type: ignore[arg-type]


def test_columns_are_those_of_the_contract() -> None:
    assert list(table(np.zeros((4, 4), np.int32)).columns) == [
        *("image", "label", "class", "confidence", "prob_neutrophil", "prob_lymphocyte", "prob_monocyte"),
        *("centroid_y", "centroid_x", "bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"),
        *("area_px", "equivalent_diameter_px", "eccentricity", "solidity", "nucleus_area_px", "nc_ratio"),
        *("mean_saliency", "saliency_consistency", "needs_review", "review_reason"),
    ]
    assert cell_columns(["a", "b"])[4:6] == ["prob_a", "prob_b"]


def test_a_rectangle_and_what_is_in_it() -> None:
    labels = np.zeros((20, 30), np.int32)
    labels[2:6, 10:20] = 7
    labels[10:14, 1:5] = 3
    nucleus = np.zeros(labels.shape, bool)
    nucleus[3:5, 12:17] = True
    nucleus[0] = True  # beyond any cell
    saliency = np.zeros(labels.shape, np.float32)
    saliency[2:4, 10:20] = 0.5
    probabilities = np.array([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]], np.float32)
    found = table(
        labels,
        nucleus=nucleus,
        saliency=saliency,
        probabilities=probabilities,
        consistency=np.array([0.25, 0.75], np.float32),
        review_reasons=["mask unstable", ""],
    )
    assert found["label"].tolist() == [3, 7]
    assert found["class"].tolist() == ["monocyte", "neutrophil"]
    row = found.iloc[1]
    assert row["image"] == "field"
    assert (row["centroid_y"], row["centroid_x"]) == (3.5, 14.5)
    assert row[["bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"]].tolist() == [2, 10, 6, 20]
    assert row["area_px"] == 40
    assert row["equivalent_diameter_px"] == pytest.approx(7.1365, abs=1e-4)
    assert row["eccentricity"] == pytest.approx(np.sqrt(1 - (4 / 10) ** 2))
    assert row["solidity"] == 1
    assert row["nucleus_area_px"] == 10
    assert row["nc_ratio"] == 0.25
    assert row["mean_saliency"] == pytest.approx(0.25)
    assert row["confidence"] == pytest.approx(0.6)
    assert found["saliency_consistency"].tolist() == [0.25, 0.75]
    assert found["needs_review"].tolist() == [True, False]
    assert found["review_reason"].tolist() == ["mask unstable", ""]


def test_no_cells_make_an_empty_table_of_the_same_kind() -> None:
    empty, some = table(np.zeros((9, 9), np.int32)), table(np.eye(9, dtype=np.int32))
    assert len(empty) == 0
    assert empty.dtypes["area_px"] == some.dtypes["area_px"]
    assert empty.dtypes["label"] == some.dtypes["label"]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(2, 5))
def test_shapes_are_those_of_skimage(seed: int, size: float) -> None:
    """For any blobs; solidity a little more, since skimage counts every pixel that the hull touches."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).random((60, 70)), size)
    labels = ndimage.label(noise > np.quantile(noise, 0.7))[0].astype(np.int32)
    found = table(labels)
    properties = ("label", "area", "centroid", "bbox", "eccentricity", "equivalent_diameter_area", "solidity")
    known = regionprops_table(labels, properties=properties)
    for ours, theirs in {
        "label": "label",
        "area_px": "area",
        "centroid_y": "centroid-0",
        "centroid_x": "centroid-1",
        "bbox_y0": "bbox-0",
        "bbox_x1": "bbox-3",
        "equivalent_diameter_px": "equivalent_diameter_area",
    }.items():
        np.testing.assert_allclose(found[ours], known[theirs])
    large = known["area"] >= 100
    np.testing.assert_allclose(found["eccentricity"][large], known["eccentricity"][large], atol=0.03)
    larger = known["area"] >= 200  # of what is smaller, the pixels at the hull are a larger share
    more = found["solidity"][larger] - known["solidity"][larger]
    assert more.between(-0.01, 0.06).all()
    assert found["solidity"].between(0, 1).all()


def test_ten_thousand_cells_take_seconds() -> None:
    yy, xx = np.mgrid[:24, :24] - 11.5
    disc = np.hypot(yy, xx) < 10
    numbers = np.arange(1, 10_001, dtype=np.int32).reshape(100, 100)
    labels = np.kron(numbers, disc.astype(np.int32))
    started = time.process_time()
    found = table(labels)
    counts = differential(found, CLASSES)
    assert time.process_time() - started < 5
    assert len(found) == 10_000
    assert counts["count"].tolist() == [0, 10_000, 0] * 2


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"nucleus": np.zeros((3, 3), bool)}, r"labels \(9, 9\), nucleus \(3, 3\).* differ in shape"),
        (
            {"probabilities": np.zeros((2, 3), np.float32)},
            r"9 cells and 3 classes, but probabilities of shape \(2, 3\)",
        ),
        ({"review_reasons": ["", ""]}, "2 reasons"),
    ],
)
def test_parts_that_do_not_fit_are_refused(given: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        table(np.arange(81, dtype=np.int32).reshape(9, 9) % 10, **given)


def counted(*cells: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(cells, columns=["image", "class"])


def test_the_differential_counts_each_image_and_all() -> None:
    cells = counted(("b", "monocyte"), ("b", "neutrophil"), ("a", "neutrophil"), ("b", "neutrophil"))
    found = differential(cells, CLASSES)
    assert list(found.columns) == ["image", "class", "count", "percent"]
    assert found["image"].tolist() == ["b"] * 3 + ["a"] * 3 + [ALL_IMAGES] * 3
    assert found["class"].tolist() == list(CLASSES) * 3
    assert found["count"].tolist() == [2, 0, 1, 1, 0, 0, 3, 0, 1]
    np.testing.assert_allclose(found["percent"], [200 / 3, 0, 100 / 3, 100, 0, 0, 75, 0, 25])


def test_an_image_without_cells_is_listed_and_has_no_percentage() -> None:
    found = differential(counted(("a", "monocyte")), CLASSES, images=["empty", "a"])
    assert found["image"].unique().tolist() == ["empty", "a", ALL_IMAGES]
    assert found["percent"][:3].isna().all()
    assert found["count"][:3].tolist() == [0, 0, 0]
    nothing = differential(counted(), CLASSES)
    assert nothing["image"].unique().tolist() == [ALL_IMAGES]
    assert nothing["count"].tolist() == [0, 0, 0]


def test_strangers_are_refused() -> None:
    with pytest.raises(ConfigError, match="cells of class blast, which is not among neutrophil, lymphocyte, monocyte"):
        differential(counted(("a", "blast")), CLASSES)
    with pytest.raises(ConfigError, match="cells of a, which is not among the images"):
        differential(counted(("a", "monocyte")), CLASSES, images=["b"])


def test_a_set_holds_what_reaches_the_threshold_and_always_the_first() -> None:
    probabilities = np.array([[0.5, 0.4, 0.1], [0.2, 0.3, 0.5], [0.34, 0.33, 0.33]])
    assert prediction_sets(probabilities, 0.4).tolist() == [
        [True, True, False],
        [False, False, True],
        [True, False, False],
    ]
    assert prediction_sets(probabilities, 0.0).all()
    assert prediction_sets(np.zeros((0, 3)), 0.5).shape == (0, 3)


def test_sets_in_words_begin_with_the_most_probable() -> None:
    table = pd.DataFrame({"prob_monocyte": [0.4, 0.05], "prob_basophil": [0.6, 0.95]})
    assert class_sets(table, ("monocyte", "basophil"), 0.3) == ["basophil or monocyte", "basophil"]
    assert class_sets(table.iloc[:0], ("monocyte", "basophil"), 0.3) == []
