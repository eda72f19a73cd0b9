"""What an ablation trains: folds, other stains, few labels, seeds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgcldff_core.errors import ConfigError, FormatError
from sgcldff_core.evaluation.ablation_plan import (
    Part,
    claim_folder,
    few_with_masks,
    parts_across,
    parts_of_folds,
    plan_trials,
)
from sgcldff_core.evaluation.folds import Folds
from sgcldff_core.sample import Raster, Sample

IMAGE = Raster.of(np.zeros((8, 8, 3), np.uint8))
LABELS = Raster.of(np.eye(8, dtype=np.int32))


def _sample(name: str, source: str, cell: str = "neutrophil", *, masks: bool = True, group: str = "") -> Sample:
    labels, classes = (LABELS, {1: cell}) if masks else (None, None)
    return Sample(name=name, image=IMAGE, source=source, group=group or name, labels=labels, classes=classes)


SAMPLES = [
    *(_sample(f"a{i}", "a", "neutrophil") for i in range(20)),
    *(_sample(f"b{i}", "b", "lymphocyte" if i % 2 else "monocyte") for i in range(6)),
    _sample("b-rare", "b", "basophil"),
    *(_sample(f"c{i}", "c", masks=False) for i in range(3)),
]


@given(seed=st.integers(0, 1000), counts=st.tuples(st.integers(2, 27), st.integers(2, 27)))
@settings(deadline=None, max_examples=30)
def test_few_images_are_as_many_as_asked_for_and_more_of_them_include_these(seed: int, counts: tuple[int, int]) -> None:
    fewer, more = ([s.name for s in few_with_masks(SAMPLES, n, seed)] for n in sorted(counts))
    assert (len(fewer), len(more)) == tuple(sorted(counts))
    assert set(fewer) <= set(more)
    assert not any(name.startswith("c") for name in more)


@given(seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_every_source_and_class_has_its_turn_first(seed: int) -> None:
    chosen = few_with_masks(SAMPLES, 4, seed)
    strata = {(s.source, next(iter((s.classes or {}).values()))) for s in chosen}
    assert strata == {("a", "neutrophil"), ("b", "lymphocyte"), ("b", "monocyte"), ("b", "basophil")}


def test_which_images_are_chosen_is_drawn() -> None:
    assert len({tuple(s.name for s in few_with_masks(SAMPLES, 4, seed)) for seed in range(5)}) > 1


@pytest.mark.parametrize("count", [1, 28])
def test_no_more_images_than_there_are(count: int) -> None:
    with pytest.raises(ConfigError, match=f"{count} images with masks were asked for; it can be 2 to 27 here"):
        few_with_masks(SAMPLES, count, 0)


def test_a_source_is_judged_by_those_who_never_saw_it() -> None:
    first, second = parts_across(SAMPLES, ["a", "b"])
    assert (first.name, second.name) == ("onto-a", "onto-b")
    assert {s.source for s in first.judged} == {"a"}
    assert {s.source for s in first.learned} == {"b", "c"}
    assert {s.source for s in parts_across(SAMPLES, ["b"], ["a"])[0].learned} == {"a"}


def test_another_form_of_a_judged_image_is_not_learned_from() -> None:
    twin = _sample("twin", "a", group="b-rare")
    (part,) = parts_across([*SAMPLES, twin], ["b"])
    assert twin not in part.learned
    assert len(part.learned) == 23


@pytest.mark.parametrize(
    ("judge_on", "learn_from", "message"),
    [
        (["z"], [], "no image is of source z; there are a, b, c"),
        (["a"], ["y"], "no image is of source y"),
        (["a"], ["a"], "nothing is left to learn from when a is judged"),
    ],
)
def test_sources_that_cannot_be_are_refused(judge_on: list[str], learn_from: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parts_across(SAMPLES, judge_on, learn_from)


def test_folds_become_parts() -> None:
    folds = Folds(2, {s.group: i % 2 for i, s in enumerate(SAMPLES)})
    (part,) = parts_of_folds(SAMPLES, folds, [1])
    assert part.name == "fold1"
    assert list(part.judged) == SAMPLES[1::2]
    assert list(part.learned) == SAMPLES[::2]


def test_every_row_has_a_first_seed_before_any_has_a_second() -> None:
    parts = [Part("fold0", (), ()), Part("fold1", (), ())]
    plan = plan_trials(["full", "no-swin", "no-fusion"], parts, seeds=1, paper_seeds=2)
    assert [(t.row, t.seed, t.part.name) for t in plan] == [
        ("full", 0, "fold0"),
        ("full", 0, "fold1"),
        ("no-swin", 0, "fold0"),
        ("no-swin", 0, "fold1"),
        ("no-fusion", 0, "fold0"),
        ("no-fusion", 0, "fold1"),
        ("full", 1, "fold0"),
        ("full", 1, "fold1"),
        ("no-fusion", 1, "fold0"),
        ("no-fusion", 1, "fold1"),
    ]
    assert plan[-1].folder(Path("out")) == Path("out/no-fusion/seed1/fold1")
    assert len(plan_trials(["full", "no-swin"], parts, seeds=3, paper_seeds=1)) == 12
    with pytest.raises(ConfigError, match="at least one seed, got 0 and 1"):
        plan_trials(["full"], parts, 0, 1)


def test_a_folder_is_for_one_recipe(tmp_path: Path) -> None:
    claim_folder(tmp_path / "new", {"recipe": {"size": 64, "scale": (1, 2)}, "few": None})
    claim_folder(tmp_path / "new", {"recipe": {"size": 64, "scale": (1, 2)}, "few": None})
    with pytest.raises(ConfigError, match="holds an ablation with another few, recipe; choose another --out"):
        claim_folder(tmp_path / "new", {"recipe": {"size": 96, "scale": (1, 2)}, "few": 20})
    (tmp_path / "new" / "settings.json").write_text("{")
    with pytest.raises(FormatError, match="delete it if its trials are of these settings"):
        claim_folder(tmp_path / "new", {})
