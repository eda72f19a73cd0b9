"""Choosing among ways to adapt without annotation, and keeping what was chosen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sgcldff_core.adaptation import (
    Candidate,
    SelfTraining,
    adapt,
    choosing,
    keep,
    known_stains,
    place_for,
    stain_statistics,
)
from sgcldff_core.adaptation.choosing import _LARGEST_COST, _LEAST_SALIENT, choose
from sgcldff_core.adaptation.names import drawn_smears
from sgcldff_core.adaptation.scoring import UnsupervisedScore, agreement, look_at_all, score
from sgcldff_core.errors import ConfigError
from sgcldff_core.model import Model, load_model
from sgcldff_core.model.stain import StainTransform

PIXEL = np.zeros((1, 1, 3), np.uint8)
GOOD = UnsupervisedScore(1.0, 0.97, 0.95, 0.8)
MATRIX = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@pytest.fixture(scope="module")
def shipped() -> Model:
    return load_model()


def candidate(name: str, better_by: float, rejected: str = "") -> Candidate:
    return Candidate(name, None, replace(GOOD, sure=GOOD.sure + better_by), rejected=rejected)  # type: ignore[arg-type]


def test_the_source_model_stays_where_nothing_is_clearly_better() -> None:
    chosen = choose([candidate("frozen", 0), candidate("a", 0.01), candidate("b", -0.1)])
    assert chosen.chosen.name == "frozen"
    assert "nothing is better" in chosen.reason


def test_the_best_that_is_not_rejected_is_taken() -> None:
    chosen = choose([candidate("frozen", -0.2), candidate("a", 0, "costs too much"), candidate("b", -0.05)])
    assert chosen.chosen.name == "b"
    assert len(chosen.candidates) == 3


def test_the_score_falls_where_colours_make_the_network_fail(shipped: Model, source_images: list[np.ndarray]) -> None:
    images = source_images[:3]
    good = score(look_at_all(images, shipped))
    inverted = replace(shipped, stain=StainTransform("negative", "lab", ((-1.0, 0, 0), *MATRIX[1:]), (100.0, 0, 0)))
    bad = score(look_at_all(images, inverted))
    assert 0 <= bad.total < good.total - 0.1
    assert good.found == 1
    assert all(0 <= getattr(good, sign) <= 1 for sign in ("found", "firm", "sure", "salient"))


def test_what_the_prior_says_has_no_part_in_the_score() -> None:
    """It knows nothing of a crowd of red cells: better outlines may agree less with it."""
    assert replace(GOOD, salient=0.2).total == GOOD.total
    assert replace(GOOD, firm=0.9).total < GOOD.total
    assert UnsupervisedScore(0.0, 1, 1, 1).total == 0


def test_outlines_agree_with_themselves_and_less_with_those_of_another_model(
    shipped: Model, source_images: list[np.ndarray]
) -> None:
    small = load_model("leukocytes-small")  # finds other scales, so that its looks are of another size
    one, other = (look_at_all(source_images[:2], model) for model in (shipped, small))
    assert one[0].view.foreground.shape != other[0].view.foreground.shape
    assert agreement(one, one) == 1
    assert 0.7 < agreement(one, other) < 1
    bare = look_at_all([np.full((80, 80, 3), 230, np.uint8)], shipped)
    assert agreement(bare, bare) == 1
    assert agreement(one[:1], bare) == 0


class Scripted:
    """Stands in for looking: each model is seen as the test wants it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, signs: dict[str, UnsupervisedScore], costs: dict[str, float]):
        self.signs, self.costs, self.said = signs, costs, ""
        monkeypatch.setattr(choosing, "look_at_all", lambda _images, _model: [self.said])
        monkeypatch.setattr(choosing, "score", lambda looks: self.signs[looks[0]])
        monkeypatch.setattr(choosing._Trial, "_cost", lambda _self, _changed: self.costs[self.said])
        monkeypatch.setattr(choosing, "self_train", lambda teacher, *_: teacher)
        self.mixed: list[object] = []
        self.named_as: list[object] = []  # networks whose names a changed one is to keep, on images of the laboratory
        monkeypatch.setattr(choosing, "keep_names", lambda changed, seen: self.named_as.append(seen[0][0]) or changed)
        monkeypatch.setattr(choosing, "between", lambda one, _other, _share: self.mixed.append(one) or one)

    def say(self, what: str) -> None:
        self.said = what if what in self.signs else self.said


def test_a_student_is_not_taken_for_its_sureness_which_it_was_taught(
    shipped: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught = {"frozen": GOOD, "self-training 1 from frozen": replace(GOOD, sure=0.999)}
    script = Scripted(monkeypatch, taught, dict.fromkeys(taught, 0.0))
    trial = choosing._Trial(shipped, [PIXEL], [PIXEL], script.say)
    trial.train_on_sure_cells(SelfTraining())
    assert trial.candidates[1].score.sure == GOOD.sure
    assert choose(trial.candidates).chosen.name == "frozen"
    script.signs["self-training 1 from frozen"] = replace(GOOD, firm=0.99, sure=0.999)
    trial.candidates.pop()
    trial.train_on_sure_cells(SelfTraining())
    assert choose(trial.candidates).chosen.name == "self-training 1 from frozen"


def test_statistics_are_moved_after_the_best_change_of_colours_too_and_a_student_is_mixed_with_its_teacher(
    shipped: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    better = replace(GOOD, firm=0.98)
    signs = {
        "frozen": GOOD,
        "reinhard": replace(GOOD, firm=0.9),
        "macenko": better,
        "statistics 1": GOOD,
        "statistics 1 after macenko": replace(GOOD, firm=0.99),
        "self-training 1 from statistics 1 after macenko": replace(GOOD, firm=0.995),
    }
    script = Scripted(monkeypatch, signs, dict.fromkeys(signs, 0.0))
    moved = load_model().network
    monkeypatch.setattr(choosing, "cell_windows", lambda views, _fill: views)
    monkeypatch.setattr(choosing, "activation_moments", lambda *_: {})
    monkeypatch.setattr(choosing, "with_statistics", lambda *_: moved)
    trial = choosing._Trial(shipped, [PIXEL], [PIXEL], script.say)
    trial.before = []
    trial.looks = {name: [] for name in signs}
    stained = replace(shipped, stain=StainTransform("macenko", "density", MATRIX, (0.0, 0.0, 0.0)))
    for name in ("reinhard", "macenko"):
        trial._try(name, stained)
        trial.looks[name] = []
    trial.move_statistics()
    after = trial.candidates[-1]
    assert [c.name for c in trial.candidates] == list(signs)[:5]
    assert after.model.stain is stained.stain
    trial.looks = {name: [PIXEL] for name in signs}
    trial.before = [PIXEL]
    trial.train_on_sure_cells(SelfTraining())
    assert trial.candidates[-1].name == list(signs)[-1]
    assert script.mixed == [moved]
    assert script.named_as == [shipped.network, shipped.network, moved]
    assert choose(trial.candidates).chosen is trial.candidates[-1]


def test_what_leaves_the_salient_or_changes_the_source_is_rejected(
    shipped: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("frozen", "nonsense", "forgetful", "fair")
    better = replace(GOOD, firm=0.99)
    script = Scripted(
        monkeypatch,
        dict(zip(names, (GOOD, replace(better, salient=0.6), better, replace(better, salient=0.75)), strict=True)),
        dict(zip(names, (0.0, 0.0, 0.2, 0.06), strict=True)),
    )
    trial = choosing._Trial(shipped, [PIXEL], [PIXEL], script.say)
    assert [trial._try(name, shipped) for name in names[1:]] == [False, False, True]
    assert [c.rejected for c in trial.candidates] == [
        "",
        "leaves what is salient",
        "outlines 20.0% otherwise on the source",
        "",
    ]


def test_every_way_is_tried_and_the_chosen_one_is_a_model_like_others(
    shipped: Model,
    source_images: list[np.ndarray],
    target_images: list[np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choosing, "drawn_smears", lambda: drawn_smears(2))
    told: list[str] = []
    stains = {"wright": stain_statistics(source_images)}
    learning = SelfTraining(steps=1, synthetic=1)
    adaptation = adapt(shipped, target_images[:3], stains, source_images[:3], learning=learning, report=told.append)
    names = [c.name for c in adaptation.candidates]
    assert names[:4] == ["frozen", "macenko to wright", "reinhard to wright", "statistics 1"]
    assert names[-1].startswith("self-training")
    assert set(told) >= set(names)
    least = adaptation.candidates[0].score.salient - _LEAST_SALIENT
    for tried in adaptation.candidates:
        assert bool(tried.rejected) == (tried.cost > _LARGEST_COST or tried.score.salient < least)
    assert adaptation.candidates[2].cost == 0  # a change of colours leaves the model's own stain alone
    before = {k: v.clone() for k, v in shipped.network.state_dict().items()}
    assert all(v.equal(before[k]) for k, v in load_model().network.state_dict().items())
    forced = replace(adaptation, chosen=adaptation.candidates[2], reason="to see it on disk")
    folder = keep(forced, shipped, tmp_path / "there", ["a.png", "b.png", "c.png"])
    kept = load_model(str(folder))
    assert kept.stain == adaptation.candidates[2].model.stain
    record = kept.training["adapted"]
    assert (record["from"], record["chosen"], len(record["images"])) == ("leukocytes", "reinhard to wright", 3)
    assert set(record["scores"]) == set(names)
    assert all(split.startswith("before adaptation: ") for split in kept.metrics)
    with pytest.raises(ConfigError, match="was adapted already"):
        adapt(kept, target_images, stains)


def test_without_images_of_the_source_the_network_stays_as_it_is(
    shipped: Model, source_images: list[np.ndarray], target_images: list[np.ndarray]
) -> None:
    adaptation = adapt(shipped, target_images[:3], {"wright": stain_statistics(source_images)})
    assert [c.name for c in adaptation.candidates] == ["frozen", "macenko to wright", "reinhard to wright"]
    assert all(c.model.network is shipped.network and c.cost is None for c in adaptation.candidates)


@pytest.mark.parametrize(("given", "said"), [(0, "0 images are"), (1, "1 image is"), (2, "2 images are")])
def test_too_few_images_are_refused(shipped: Model, source_images: list[np.ndarray], given: int, said: str) -> None:
    with pytest.raises(ConfigError, match=f"^{said} too few to tell a stain; give 3 or more, better 5 to 50$"):
        adapt(shipped, source_images[:given], {})


def test_stains_are_read_from_a_models_description(shipped: Model, source_images: list[np.ndarray]) -> None:
    record = {"here": stain_statistics(source_images).to_dict()}
    model = replace(shipped, training={"stains": json.loads(json.dumps(record))})
    assert known_stains(model)["here"].images == 5
    assert known_stains(replace(shipped, training={})) == {}
    with pytest.raises(ConfigError, match="cannot be read; give reference images"):
        known_stains(replace(shipped, training={"stains": 3}))


@pytest.mark.parametrize("name", ["leukocytes", ".", ""])
def test_names_that_are_taken_or_none_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"already|no name"):
        place_for(name)
