"""Cross-validation: which figures come out of trials, what is refused, and what is drawn."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from sgcldff_core.errors import ConfigError, FormatError
from sgcldff_core.evaluation.assessment import MISSED, ImageAssessment, JudgedCell, summarise
from sgcldff_core.evaluation.crossval import CrossValidation, Plan, finished, run_trials
from sgcldff_core.evaluation.crossval_figures import scopes
from sgcldff_core.evaluation.crossval_report import crossval_markdown
from sgcldff_core.evaluation.folds import Folds
from sgcldff_core.evaluation.trial import JUDGED, Trial
from sgcldff_core.evaluation.worst import Case, confidently_wrong, worst_outlined
from sgcldff_core.sample import Raster, Sample
from sgcldff_core.training import TrainingConfig


def _sample(name: str, source: str) -> Sample:
    return Sample(name=name, image=Raster.of(np.zeros((8, 8, 3), np.uint8)), source=source, group=name)


def _image(name: str, source: str, iou: float, *cells: tuple[str, str, float]) -> ImageAssessment:
    classes = tuple(JudgedCell(t, f, p, {} if f == MISSED else {f: p}) for t, f, p in cells)
    return ImageAssessment(name, source, iou, iou, None, 0.4, 1, 1, None, classes, 40.0)


SAMPLES = tuple(_sample(f"{source}{i}", source) for source in ("bccd", "zheng1") for i in range(4))
FOLD_OF = {s.name: int(s.name[-1]) % 2 for s in SAMPLES}


def _plan(folder: Path, **changes) -> Plan:
    return Plan(SAMPLES, Folds(2, FOLD_OF), TrainingConfig(), folder, **changes)


def _leave_trial(plan: Plan, seed: int, fold: int, gain: float = 0.0, failures: tuple[str, ...] = ()) -> Trial:
    """Write what a trial leaves, so that nothing has to be trained."""
    images = tuple(
        _image(s.name, s.source, 0.5 + 0.1 * i + gain, ("monocyte", "monocyte" if i else "eosinophil", 0.9))
        for i, s in enumerate(s for s in SAMPLES if FOLD_OF[s.name] == fold)
    )
    folder = plan.folder_of(seed, fold)
    folder.mkdir(parents=True)
    content = {"images": [asdict(i) for i in images], "failures": list(failures)}
    (folder / JUDGED).write_text(json.dumps(content))
    return Trial(folder, images, failures)


def test_a_finished_trial_is_read_and_only_the_named_folds_are_done(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    trial = _leave_trial(plan, 0, 1)
    assert list(run_trials(plan, [1])) == [(0, 1, trial)]
    result = finished(plan)
    assert not result.complete
    assert dict(result.trials) == {(0, 1): trial}
    _leave_trial(plan, 0, 0)
    assert finished(plan).complete


def test_each_seed_is_a_run_over_all_folds_and_figures_are_means_over_seeds(tmp_path: Path) -> None:
    plan = _plan(tmp_path, seeds=2)
    trials = {(s, k): _leave_trial(plan, s, k, gain=0.1 * s, failures=("a.png: empty",)) for s, k in plan.trials}
    result = finished(plan)
    assert result.complete
    assert result.failures == ("a.png: empty",)
    assert [len(run) for run in result.runs] == [8, 8]
    found = {scope.name: scope for scope in scopes(result, draws=50)}
    assert list(found) == ["bccd", "zheng1", "all"]
    first, second = (summarise([i for k in (0, 1) for i in trials[s, k].images]).figures["iou"] for s in (0, 1))
    everything = found["all"]
    assert everything.figures["iou"].value == pytest.approx((first + second) / 2)
    assert everything.figures["iou"].low < everything.figures["iou"].value < everything.figures["iou"].high
    assert everything.seeds["iou"].deviation == pytest.approx(np.std([first, second], ddof=1))
    folds = [np.mean([summarise(trials[s, k].images).figures["accuracy"] for s in (0, 1)]) for k in (0, 1)]
    assert everything.folds["accuracy"].mean == pytest.approx(np.mean(folds))
    assert everything.cells == {"monocyte": 8}
    assert everything.columns == ("monocyte", "eosinophil", MISSED)
    assert everything.confusion == ((12, 4, 0),)
    assert everything.classes["monocyte"]["recall"].value == 0.75


def test_the_tables_begin_with_the_disc_and_name_what_was_left_out(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    for seed, fold in plan.trials:
        _leave_trial(plan, seed, fold)
    text = crossval_markdown(plan, scopes(finished(plan), draws=20), ["Left out: much."], ["x.png: empty"], ["worst"])
    lines = text.splitlines()
    header = lines.index("|  | bccd (4) | zheng1 (4) | all (8) |")
    assert lines[header + 2].startswith("| IoU, centred disc (baseline) | 0.400 (0.400 to 0.400)")
    assert "| IoU, leukocyte mask | 0.550 ± 0.000 | 0.750 ± 0.000 | 0.650 ± 0.000 |" in lines
    assert "| monocyte | 8 | 1.000 (1.000 to 1.000) | 0.750" in text
    assert "Left out: much." in lines
    assert "- x.png: empty" in lines
    assert "![worst](worst.png)" in lines


def test_an_image_that_one_seed_could_not_use_is_left_out_of_all(tmp_path: Path) -> None:
    plan = _plan(tmp_path, seeds=2)
    trials = {(s, k): _leave_trial(plan, s, k) for s, k in plan.trials}
    trials[1, 0] = replace(trials[1, 0], images=trials[1, 0].images[1:])
    assert [len(run) for run in CrossValidation(trials, True).runs] == [7, 7]


def test_other_folds_and_other_settings_are_not_mixed_in(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    for seed, fold in plan.trials:
        _leave_trial(plan, seed, fold)
    assert len(list(run_trials(plan))) == 2
    with pytest.raises(ConfigError, match=r"other settings \(flips, size\)"):
        next(run_trials(replace(plan, flips=True, config=replace(plan.config, size=64))))
    with pytest.raises(ConfigError, match="other folds"):
        next(run_trials(replace(plan, folds=Folds(2, FOLD_OF | {"bccd0": 1}))))
    # More workers, or one seed more, is the same cross-validation.
    more = replace(plan, seeds=2, config=replace(plan.config, workers=3))
    assert next(run_trials(more))[:2] == (0, 0)


def test_what_cannot_be_run_is_refused(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    with pytest.raises(ConfigError, match="there is no fold 2; they are 0 to 1"):
        next(run_trials(plan, [2]))
    with pytest.raises(ConfigError, match="seeds is 0"):
        _plan(tmp_path, seeds=0)
    with pytest.raises(ConfigError, match="do not say where 1 groups belong, such as new"):
        next(run_trials(replace(plan, samples=(*SAMPLES, _sample("new", "bccd")))))
    assert not any(tmp_path.iterdir())


def test_a_trial_of_another_fold_is_not_taken_for_this_one(tmp_path: Path) -> None:
    plan = _plan(tmp_path)
    _leave_trial(plan, 0, 1)
    plan.folder_of(0, 1).rename(plan.folder_of(0, 0))
    with pytest.raises(FormatError, match="judged 4 images that are not in this fold, such as bccd1"):
        finished(plan)


def test_the_worst_come_first() -> None:
    judged = [
        Case(0, 0, _image("a", "bccd", 0.9, ("monocyte", "eosinophil", 0.7))),
        Case(0, 0, _image("b", "bccd", 0.2, ("monocyte", MISSED, 0.0))),
        Case(0, 1, _image("c", "zheng1", 0.5, ("monocyte", "monocyte", 0.99), ("basophil", "eosinophil", 0.95))),
        Case(0, 1, replace(_image("d", "zheng1", 0), iou=None)),
    ]
    outlined = worst_outlined(judged, 1)
    assert {s: [c.image.name for c in cases] for s, cases in outlined.items()} == {"bccd": ["b"], "zheng1": ["c"]}
    assert [(c.image.name, c.cell) for c in confidently_wrong(judged, 5)] == [("c", 1), ("a", 0)]
    assert len(confidently_wrong(judged, 1)) == 1
