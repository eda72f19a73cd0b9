"""``crossval`` as a user types it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sgcldff_core.cli.app import app
from sgcldff_core.errors import ConfigError


@pytest.fixture(scope="module")
def curated(make_data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("data"), 7, tests=1, views=8) / "curated"


def _run(curated: Path, out: Path, *extra: str) -> Result:
    common = ["crossval", str(curated), "--out", str(out), "--config", str(curated.parent / "run.toml")]
    return CliRunner().invoke(app, [*common, *extra])


@pytest.fixture(scope="module")
def half(curated: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    out = tmp_path_factory.mktemp("runs") / "cv"
    return out, _run(curated, out, "--folds", "2", "--fold", "1")


def test_one_fold_can_be_done_by_itself(half: tuple[Path, Result]) -> None:
    out, done = half
    assert done.exit_code == 0, done.output
    assert "mean so far, 1 of 2 trials" in done.output
    assert "published test split of synthetic (1 images)" in done.output
    assert {p.name for p in out.iterdir()} == {"folds.json", "settings.json", "seed0"}
    assert [p.name for p in (out / "seed0").iterdir()] == ["fold1"]


def test_the_rest_is_done_later_and_the_report_is_whole(
    half: tuple[Path, Result], curated: Path, tmp_path: Path
) -> None:
    out = tmp_path / "cv"
    shutil.copytree(half[0], out)
    before = (out / "seed0" / "fold1" / "model.safetensors").stat().st_mtime_ns
    done = _run(curated, out, "--folds", "2")
    assert done.exit_code == 0, done.output
    assert (out / "seed0" / "fold1" / "model.safetensors").stat().st_mtime_ns == before
    report = json.loads((out / "crossval.json").read_text())
    assert report["figures"]["synthetic"]["images"] == 6
    assert list(report["figures"]["synthetic"]["figures"]["iou"]) == ["value", "low", "high"]
    assert [case["image"]["name"] for cases in report["worst"].values() for case in cases]
    text = (out / "crossval.md").read_text()
    assert "Left out: the published test split of synthetic (1 images)." in text
    assert "![worst](worst.png)" in text
    for name in ("confusion.png", "reliability.png", "worst.png"):
        assert (out / name).stat().st_size > 5000


def test_an_unusable_image_is_named(half: tuple[Path, Result], curated: Path, tmp_path: Path) -> None:
    out = tmp_path / "cv"
    shutil.copytree(half[0], out)
    judged = json.loads((out / "seed0" / "fold1" / "judged.json").read_text())
    judged["failures"] = ["images/s0.png: is empty"]
    (out / "seed0" / "fold1" / "judged.json").write_text(json.dumps(judged))
    done = _run(curated, out, "--folds", "2", "--fold", "1")
    assert done.exit_code == 1
    assert "images/s0.png: is empty" in done.output


def test_bad_usage_is_refused(half: tuple[Path, Result], curated: Path) -> None:
    out = half[0]
    for extra, message in (
        (["--folds", "3"], "holds 2 folds, not 3"),
        (["--folds", "2", "--fold", "2"], "there is no fold 2"),
        (["--folds", "2", "--flips"], r"other settings \(flips\)"),
    ):
        done = _run(curated, out, *extra)
        assert isinstance(done.exception, ConfigError)
        with pytest.raises(ConfigError, match=message):
            raise done.exception
