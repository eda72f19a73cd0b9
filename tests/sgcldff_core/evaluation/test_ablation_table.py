"""The ablation's table: figures of finished rows, held against the full one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from sgcldff_core.errors import FormatError
from sgcldff_core.evaluation.ablation_guidance import GUIDANCE, Guidance
from sgcldff_core.evaluation.ablation_plan import Part, PlannedTrial, plan_trials
from sgcldff_core.evaluation.ablation_report import markdown, table_columns, write_report
from sgcldff_core.evaluation.ablation_table import tabulate
from sgcldff_core.evaluation.assessment import ImageAssessment, JudgedCell
from sgcldff_core.evaluation.trial import JUDGED

PLAN = plan_trials(
    ["full", "no-gating", "no-fusion"], [Part("fold0", (), ()), Part("fold1", (), ())], seeds=1, paper_seeds=2
)


def _finish(
    trial: PlannedTrial, out: Path, iou: float, *, right: bool = True, guidance: Guidance | None = None
) -> None:
    images = [_image(f"{trial.part.name}-{i}", source, iou, right) for source in ("x", "y") for i in range(12)]
    folder = trial.folder(out)
    folder.mkdir(parents=True)
    (folder / JUDGED).write_text(json.dumps({"images": [asdict(i) for i in images], "failures": []}))
    if guidance is not None:
        (folder / GUIDANCE).write_text(json.dumps(asdict(guidance)))


def _image(name: str, source: str, iou: float, right: bool) -> ImageAssessment:
    noise = np.random.default_rng(len(name) + int(name[-1])).uniform(-0.01, 0.01)
    cell = JudgedCell("neutrophil", "neutrophil" if right else "monocyte", 0.9, {})
    return ImageAssessment(
        name=name,
        source=source,
        iou=iou + noise - (0.1 if source == "y" else 0.0),
        cell_iou=None,
        nucleus_iou=None,
        disc_iou=0.5,
        cells=1,
        cells_found=1,
        boxes=None,
        classes=(cell,),
        diameter=80.0,
    )


def _of(row: str, seed: int | None = None) -> Sequence[PlannedTrial]:
    return [t for t in PLAN if t.row == row and seed in (None, t.seed)]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return an ablation in which full is done, one row lacks a fold, and one lacks a seed."""
    figures, blank = {"iou_x": 0.9, "accuracy": 0.9}, {"iou_x": 0.7, "accuracy": 0.9}
    guided = Guidance((0.3, 0.4, 0.5, 0.6), 0.25, (5.5, 0.4), 0.8, 0.3, figures, blank)
    for trial in _of("full"):
        _finish(trial, tmp_path, 0.9 + 0.02 * trial.seed, guidance=guided)
    _finish(_of("no-gating")[0], tmp_path, 0.8)
    for trial in _of("no-fusion", 0):
        _finish(trial, tmp_path, 0.81, right=False)
    return tmp_path


def test_figures_are_means_over_the_finished_seeds(out: Path) -> None:
    full, gating, fusion = tabulate(PLAN, out, draws=100)
    assert (full.planned, full.finished, full.seeds) == (4, 4, (0, 1))
    assert full.figures["x"]["iou"] == pytest.approx(0.91, abs=0.01)
    assert full.spread["x"]["iou"] == pytest.approx(0.02 / np.sqrt(2))
    assert (gating.planned, gating.finished, gating.seeds) == (2, 1, ())
    assert not gating.figures
    assert (fusion.planned, fusion.finished, fusion.seeds) == (4, 2, (0,))
    assert not fusion.spread
    assert set(fusion.figures) == {"x", "y", "all"}


def test_a_row_is_held_against_the_full_one_image_by_image(out: Path) -> None:
    full, gating, fusion = tabulate(PLAN, out, draws=200)
    assert not full.differences
    assert not gating.differences
    iou = fusion.differences["all"]["iou"]
    # The images differ by the same everywhere, so that resampling them changes nothing.
    assert iou.value == pytest.approx(-0.1)
    assert iou.low == pytest.approx(iou.high)
    assert iou.p < 0.05
    assert fusion.differences["y"]["accuracy"].value == -1


def test_an_image_that_one_network_could_not_judge_is_left_out_of_the_comparison(out: Path) -> None:
    path = _of("no-fusion", 0)[0].folder(out) / JUDGED
    content = json.loads(path.read_text())
    content["images"] = content["images"][1:]
    path.write_text(json.dumps(content))
    fusion = tabulate(PLAN, out, draws=50)[-1]
    assert fusion.differences["all"]["iou"].value == pytest.approx(-0.1)


def test_a_figure_that_one_of_the_networks_lacks_has_no_mean(out: Path) -> None:
    for trial in _of("full", 1):
        path = trial.folder(out) / JUDGED
        content = json.loads(path.read_text())
        for image in content["images"]:
            image["iou"] = None
        path.write_text(json.dumps(content))
    full = tabulate(PLAN, out, draws=20)[0]
    assert "iou" not in full.figures["x"]
    assert full.figures["x"]["accuracy"] == 1


def test_a_damaged_trial_is_named(out: Path) -> None:
    path = _of("full")[0].folder(out) / JUDGED
    path.write_text("{")
    with pytest.raises(FormatError, match="delete it, and run the trial again"):
        tabulate(PLAN, out)
    path.write_text(json.dumps({"images": [], "failures": []}))
    (path.parent / GUIDANCE).write_text("{}")
    with pytest.raises(FormatError, match=r"guidance\.json: cannot be read"):
        tabulate(PLAN, out)


def test_the_table_shows_what_is_known_and_says_what_is_not(out: Path) -> None:
    results = tabulate(PLAN, out, draws=100)
    columns = table_columns(results)
    assert columns[:3] == [("x", "iou"), ("y", "iou"), ("all", "accuracy")]
    text = markdown(results, "Learned from x.")
    rows = {line.split(" | ")[0].strip("| "): line for line in reversed(text.splitlines()) if line.startswith("| ")}
    assert "| full | 4 | 0.91" in text
    assert "1 of 2, not finished" in rows["no gating"]
    assert "2 of 4, not finished" in rows["no fusion"]
    assert "**-0.100** [-0.100, -0.100]" in text
    assert "0.30, 0.40, 0.50, 0.60 | 0.25 | 5.5 at 0.40 | 0.800 | 0.300 | -0.200 | +0.000 |" in text
    assert "(`no-gating`): No level is lifted" in text


def test_the_report_is_written_for_people_and_programs(out: Path) -> None:
    write_report(tabulate(PLAN, out, draws=50), out, "Learned from x.", {"few": None})
    content = json.loads((out / "ablate.json").read_text())
    assert list(content["rows"]) == ["full", "no-gating", "no-fusion"]
    fusion = content["rows"]["no-fusion"]
    assert set(fusion["differences"]["x"]["iou"]) == {"value", "low", "high", "p"}
    assert content["rows"]["full"]["guidance"][0]["alpha"] == [0.3, 0.4, 0.5, 0.6]
    assert (out / "ablate.md").read_text().startswith("# Ablation\n\nLearned from x.\n")


def test_nothing_finished_is_a_table_too(tmp_path: Path) -> None:
    results = tabulate(PLAN, tmp_path)
    assert [r.finished for r in results] == [0, 0, 0]
    assert "0 of 4, not finished" in markdown(results, "Nothing yet.")
