"""Folds: every group in one, every fold alike, and a file that says which."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgcldff_core.errors import ConfigError, FormatError
from sgcldff_core.evaluation.folds import make_folds, read_folds, write_folds
from sgcldff_core.sample import Raster, Sample
from sgcldff_core.training import read_annotated

IMAGE = Raster.of(np.zeros((8, 8, 3), np.uint8))


def _samples(*strata: tuple[str, str, int]) -> list[Sample]:
    return [
        Sample(name=f"{source}{name}{i}", image=IMAGE, source=source, group=f"{source}/{name}{i}", image_class=name)
        for source, name, count in strata
        for i in range(count)
    ]


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from(["monocyte", "basophil"]), st.integers(1, 12)),
        min_size=2,
        max_size=4,
        unique_by=lambda s: s[:2],
    ),
    st.integers(2, 5),
)
@settings(deadline=None, max_examples=30)
def test_every_group_is_judged_once_and_every_stratum_is_spread(strata: list[tuple[str, str, int]], count: int) -> None:
    """No group is in two folds, and no fold has over one more of a stratum than an even share allows."""
    samples = _samples(*strata)
    if len(samples) < count:
        return
    folds = make_folds(samples, count)
    judged = [s.group for fold in range(count) for s in folds.split(samples, fold)[1]]
    assert sorted(judged) == sorted(s.group for s in samples)
    for source, name, number in strata:
        found = Counter(folds.fold_of_group[s.group] for s in samples if (s.source, s.image_class) == (source, name))
        assert max(found.values()) - min(found[f] for f in range(count)) <= 2, number


def test_forms_of_one_field_stay_together() -> None:
    samples = _samples(("a", "monocyte", 10))
    twin = Sample(name="twin", image=IMAGE, source="b", group="a/monocyte3", image_class="monocyte")
    folds = make_folds([*samples, twin], 5)
    learned, judged = folds.split([*samples, twin], folds.fold_of_group["a/monocyte3"])
    assert twin in judged
    assert not {s.group for s in learned} & {s.group for s in judged}


def test_a_file_keeps_folds(tmp_path: Path) -> None:
    folds = make_folds(_samples(("a", "monocyte", 10), ("b", "basophil", 3)), 5, seed=3)
    write_folds(folds, tmp_path / "folds.json")
    assert read_folds(tmp_path / "folds.json") == folds


def test_an_image_that_no_fold_knows_is_refused() -> None:
    folds = make_folds(_samples(("a", "monocyte", 4)), 2)
    with pytest.raises(ConfigError, match="where 1 groups belong, such as b/basophil0"):
        folds.split(_samples(("a", "monocyte", 4), ("b", "basophil", 1)), 0)
    with pytest.raises(ConfigError, match="no fold 2; they are 0 to 1"):
        folds.split([], 2)


def test_too_few_images_for_the_folds_are_refused() -> None:
    with pytest.raises(ConfigError, match="3 independent images cannot be shared by 5 folds"):
        make_folds(_samples(("a", "monocyte", 3)), 5)


@pytest.mark.parametrize(
    "content",
    [
        "no json",
        "[]",
        json.dumps({"version": 2, "folds": [["a"], ["b"]]}),
        json.dumps({"version": 1, "folds": [["a"]]}),
        json.dumps({"version": 1, "folds": [["a"], ["a"]]}),
    ],
)
def test_a_file_without_folds_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "folds.json").write_text(content)
    with pytest.raises(FormatError, match=r"folds\.json"):
        read_folds(tmp_path / "folds.json")


def test_the_folds_that_ship_know_every_real_image(real_data: Path) -> None:
    folds = read_folds(Path(__file__).parents[3] / "docs" / "recipes" / "folds.json")
    samples, _ = read_annotated([real_data / "zheng", real_data / "bccd"])
    judged = [len(folds.split(samples, fold)[1]) for fold in range(folds.count)]
    assert sum(judged) == len(samples)
    assert max(judged) - min(judged) <= 3
